/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which files are to be probed: those that the watched processes have mapped. Fills the registries
 * of files and processes (user/target/), and reports what is found.
 *
 * Arming is on mapping. Probes are per inode, so a file that any process has shown us is armed for
 * all that map it later. For a file that nobody has mapped yet, a record of the new mapping
 * (mappings.h) starts inspection and probing. A build that is met for the first time takes the
 * verifier some tenths of a second, on a thread of its own; a copy of a known one about a
 * millisecond. `import torch` goes on for more than a second before any Python code can change the
 * grad mode. The time is in the "attached" event, so that a program which is quicker is not a
 * silent miss.
 */
#ifndef GRADWATCH_WATCH_DISCOVER_H
#define GRADWATCH_WATCH_DISCOVER_H

#include <stdbool.h>

#include "model/event.h"
#include "model/model.h"
#include "probe/programs.h"
#include "target/bindings.h"
#include "target/files.h"
#include "target/interpreters.h"
#include "target/processes.h"
#include "watch/filter.h"
#include "watch/library.h"

/* Why a process that maps a probed library may not have its probes. */
#define DISCOVER_ELSEWHERE                                                                         \
	"the process has mapped what its path no longer leads to (a file that an overlay has "     \
	"copied up); restart it to watch it"

struct discover {
	struct programs *programs;
	struct inodes *inodes;
	struct files *files;
	struct processes *processes;
	struct inspections *inspections;
	struct libraries *libraries;
	struct model *model;
	event_handler handler;
	void *context;
	unsigned int probed;  /* mappings of probed libraries seen so far */
	uint64_t missed;      /* processes that had ended before their mappings could be read */
	struct mapped mapped; /* of the process that is being looked at */
	/* Which processes of the host are watched; NULL: those in BPF's map, or all. */
	const struct filter *filter;
	/* As struct watch_actor's process(); NULL: nobody wants to know. */
	int (*found)(void *context, struct process *process, struct library *library,
		     const struct process_file *file, const struct mapped *mapped);
	void (*ended)(void *context, uint32_t pid); /* the same: process_ended() */
	void *found_context;                        /* of both */
};

/* Makes the registries; the programs are there. 0, or negative errno with the cause in err. */
int discover_open(struct discover *discover, struct err *err);

/* Removes all probes, and frees the registries. */
void discover_close(struct discover *discover);

/*
 * Looks at one process's mappings. mapped_at: when the mapping was made, 0: before we came. 0 also
 * for a process that has ended; a negative errno when its mappings could not be read, or when a
 * file could not be probed for lack of memory, descriptors or space: it is to be tried again.
 */
int discover_process(struct discover *discover, uint32_t pid, uint64_t mapped_at);

/*
 * A watched process has forked: what it has, its child has. Returns whether the child is to be
 * looked at: something of it is not known.
 */
bool discover_forked(struct discover *discover, const struct gw_fork_record *record);

/* Reports a process that cannot be watched because of code. */
void discover_failed(struct discover *discover, uint32_t pid, int code);

/*
 * Whether files that were given to be inspected or probed before `time` still are, or wait for
 * discover_armed().
 */
bool discover_is_busy(const struct discover *discover, uint64_t time);

/*
 * Takes a library whose probing, and a Python or binding whose inspection has come to its end;
 * false: there is none. To be called when libraries_fd() or inspections_fd() is readable. again:
 * called for each process that maps it, and is to be looked at again.
 */
bool discover_armed(struct discover *discover,
		    void (*again)(void *context, const struct process *process), void *context);

/* What a process and a library are in events; both may be NULL. */
void discover_describe_process(struct event_process *event, const struct process *process);
void discover_describe_torch(struct event_torch *event, const struct library *library);

/* The groups that a process is in. The strings are the registry's: for one event. */
void discover_describe_cgroup(struct event_cgroup *event, const struct process *process);

#endif
