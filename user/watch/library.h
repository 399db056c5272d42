/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The libtorch files that have been met: each is inspected and probed once, whoever maps it. Owns
 * the contents of FILE_SETTER in the registry of files.
 */
#ifndef GRADWATCH_WATCH_LIBRARY_H
#define GRADWATCH_WATCH_LIBRARY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "inspect/plan.h"
#include "probe/probes.h"
#include "target/files.h"
#include "target/inspections.h"
#include "target/procfs.h"

enum library_state {
	LIBRARY_ARMING, /* is being inspected and probed */
	LIBRARY_PROBED,
	LIBRARY_NOT_TORCH, /* a candidate by name only: no grad-mode setter in it */
	LIBRARY_SKIPPED,   /* a libtorch that cannot be watched: see reason */
};

struct library {
	uint32_t id;      /* of the file */
	const char *path; /* the file's */
	enum library_state state;
	uint32_t pid;        /* the process that has shown it */
	bool reported;       /* there was an event for it */
	bool again;          /* SKIPPED: for lack of memory or descriptors, so it is tried again */
	uint64_t tried;      /* ns, when it was last tried */
	char version[64];    /* of PyTorch, "" when unknown */
	char reason[512];    /* SKIPPED: why */
	unsigned int placed; /* probes */
	struct inspect_plan plan;
	struct probes *probes; /* NULL: it has none */
	uint32_t *bound;       /* ids of the binding files whose probe is in place */
	size_t bound_count;
};

struct libraries;

/* All are the caller's, and are needed as long as the libraries are. NULL: out of memory. */
struct libraries *libraries_new(struct programs *programs, struct files *files,
				struct inspections *inspections);

/* After the files were freed. NULL-safe. */
void libraries_free(struct libraries *libraries);

/*
 * Adds the probes of all libraries, which have none any more, and get none: what is ARMING stays
 * so. To be closed, by any thread.
 */
void libraries_take_probes(struct libraries *libraries, struct probes_queue *queue);

/*
 * The library of a file's entry. Where the entry is new, its inspection and probing begin; fd: the
 * file. It is ARMING until libraries_take() has returned it, or at once what it will be. NULL: out
 * of memory.
 */
struct library *libraries_arm(struct libraries *libraries, struct file *file, int fd, pid_t pid);

/* Has a library that is SKIPPED tried again; fd: the file. 0 or -ENOMEM. */
int libraries_arm_again(struct libraries *libraries, struct library *library, int fd);

/* The library of a file that is known; NULL: none. */
struct library *libraries_get(const struct libraries *libraries, uint32_t id);

/* Readable when libraries_take() has something. */
int libraries_fd(const struct libraries *libraries);

/* A library that is ARMING no more; NULL: none. */
struct library *libraries_take(struct libraries *libraries);

/* Whether some are ARMING since before `time`. */
bool libraries_are_arming(struct libraries *libraries, uint64_t time);

/*
 * Whether a process that maps the library has its probes: what the path of a mapping leads to can
 * be another file by now, as on an overlay. Where that cannot be seen: true.
 */
bool library_is_placed(const struct library *library, pid_t pid,
		       const struct procfs_mapping *mapping);

/* Whether a code says nothing about a file: memory, descriptors or space in a map were short. */
bool library_is_short(int code);

/*
 * Probes the Python binding of a library's setter, in the file behind fd, once. 0 or negative errno
 * with the cause; what failed is not tried again, unless something was short.
 */
int library_bind(struct library *library, uint32_t binding_id, int fd, uint64_t file_offset,
		 struct err *err);

/* Calls gone for each file that is rewritten while it is probed; its probes are removed. */
void libraries_on_rewrite(struct libraries *libraries,
			  void (*gone)(void *context, const struct library *library),
			  void *context);

#endif
