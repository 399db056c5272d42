/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The libtorch files that have been met: each is inspected and probed once, whoever maps it.
 * A file is known by device, inode, size and modification time.
 */
#ifndef GRADWATCH_WATCH_LIBRARY_H
#define GRADWATCH_WATCH_LIBRARY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "inspect/plan.h"
#include "watch/procfs.h"
#include "watch/programs.h"

#define LIBRARY_MAX GW_MAX_FILES /* different files; more are reported as skipped */

enum library_state {
	LIBRARY_PROBED,
	LIBRARY_NOT_TORCH, /* a candidate by name only: no grad-mode setter in it */
	LIBRARY_SKIPPED,   /* a libtorch that cannot be watched: see reason */
};

struct library {
	uint32_t id;
	enum library_state state;
	uint32_t pid;        /* the process that has shown it */
	char path[4096];     /* as first met */
	char version[64];    /* of PyTorch, "" when unknown */
	char reason[1024];   /* SKIPPED: why */
	unsigned int placed; /* probes */
	struct inspect_plan plan;
};

struct libraries;

struct libraries *libraries_new(struct programs *programs);

/* Removes all probes. Waits until none of them runs any more. */
void libraries_free(struct libraries *libraries);
void libraries_detach(struct libraries *libraries);

/*
 * The library behind a mapping, inspected and probed if it is new (*is_new). NULL when the process
 * or the mapping is gone, with a negative errno in *code. The result stays the table's.
 */
const struct library *libraries_learn(struct libraries *libraries, pid_t pid,
				      const struct procfs_mapping *mapping, bool *is_new,
				      int *code);

/*
 * Whether a process that maps the library has its probes: what the path of a mapping leads to can
 * be another file by now, as on an overlay. Where that cannot be seen: true.
 */
bool library_is_placed(const struct library *library, pid_t pid,
		       const struct procfs_mapping *mapping);

/*
 * Probes the Python binding of a library's setter, in the file behind fd. 0 or negative errno with
 * the cause.
 */
int libraries_bind(struct libraries *libraries, uint32_t id, int fd, uint64_t file_offset,
		   struct err *err);

/* By gw_plan.file_id; NULL for an id that was never given. */
const struct library *libraries_get(const struct libraries *libraries, uint32_t id);

/* Readable when a file may have been written to; negative errno when that cannot be noticed. */
int libraries_rewrites_fd(const struct libraries *libraries);

/*
 * Removes the probes of files that were written to, and calls gone for each. What such a file has
 * now is inspected when a process maps it.
 */
void libraries_read_rewrites(struct libraries *libraries,
			     void (*gone)(void *context, const struct library *library),
			     void *context);

#endif
