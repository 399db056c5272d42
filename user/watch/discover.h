/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which files are to be probed: those that the watched processes have mapped.
 *
 * Arming is on mapping. Probes are per inode, so a file that any process has shown us is armed for
 * all that map it later. For a file that nobody has mapped yet, a record of the new mapping
 * (mappings.h) starts inspection and probing; that takes about 20 ms, while `import torch` goes on
 * for more than a second before any Python code can change the grad mode. The time is told in the
 * "attached" event, so that a program which is quicker is not a silent miss.
 */
#ifndef GRADWATCH_WATCH_DISCOVER_H
#define GRADWATCH_WATCH_DISCOVER_H

#include <stdbool.h>

#include "model/event.h"
#include "model/model.h"
#include "watch/bindings.h"
#include "watch/interpreters.h"
#include "watch/library.h"
#include "watch/processes.h"
#include "watch/programs.h"

struct discover {
	struct programs *programs;
	struct libraries *libraries;
	struct processes *processes;
	struct interpreters *interpreters;
	struct bindings *bindings;
	struct model *model;
	event_handler handler;
	void *context;
	unsigned int probed; /* mappings of probed libraries seen so far */
	uint64_t missed;     /* processes that had ended before their mappings could be read */
	/* Called for each probed library of each process, NULL: nobody wants to know. */
	void (*found)(void *context, uint32_t pid, const struct library *library,
		      const struct procfs_mapping *mapping);
	void *found_context;
};

/*
 * Looks at one process's mappings. mapped_at: when the mapping was made, 0: before we came. 0 also
 * for a process that has ended; a negative errno when its mappings could not be read.
 */
int discover_process(struct discover *discover, uint32_t pid, uint64_t mapped_at);

/* Reports a process whose mappings could not be read. */
void discover_unreadable(struct discover *discover, uint32_t pid, int code);

/* Reports the probed files that were written to; their probes are removed. */
void discover_rewritten(struct discover *discover);

/*
 * All processes of the host that are watched. failed: called for one that could not be read, unless
 * one is never allowed to: there is no sign that such a process has a libtorch.
 */
void discover_all(struct discover *discover, void (*failed)(void *context, uint32_t pid),
		  void *context);

#endif
