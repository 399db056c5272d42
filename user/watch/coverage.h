/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What gradwatch can say of each process that has PyTorch: whether it is watched, with what is
 * missing, and what it has done so far. One that cannot be watched stays in the table as long as it
 * lives: that nothing is heard of it is no sign that it is well.
 */
#ifndef GRADWATCH_WATCH_COVERAGE_H
#define GRADWATCH_WATCH_COVERAGE_H

#include "watch/discover.h"

enum coverage {
	COVERAGE_WATCHED,     /* every change in it is seen, with its stack */
	COVERAGE_PARTIAL,     /* something is missing or not certain: see reason */
	COVERAGE_UNSUPPORTED, /* nothing is seen: see reason */
	COVERAGE_WAITING,     /* a file of it is being inspected or probed */
	COVERAGE_MAX,
};

#define COVERAGE_REASON_SIZE 512

struct coverage_process {
	const struct process *process;
	enum coverage coverage;
	char reason[COVERAGE_REASON_SIZE]; /* "": there is nothing to say */
	struct event_torch torch;          /* of its first libtorch; "" when unknown */
	uint16_t python;                   /* major << 8 | minor, 0: unknown */
};

/* "watched", "partial", "unsupported", "waiting". */
const char *coverage_name(enum coverage coverage);

/* What is known of a process. Its strings are the registries', and good until the loop goes on. */
void coverage_of(const struct discover *discover, const struct process *process,
		 struct coverage_process *out);

/* Calls visit for each process that lives and has PyTorch, in the order in which they were met. */
void coverage_each(const struct discover *discover,
		   void (*visit)(void *context, const struct coverage_process *process),
		   void *context);

/* Counts an event with the process that it is of. */
void coverage_count(struct discover *discover, const struct event *event);

#endif
