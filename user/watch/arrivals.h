/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The processes whose new mappings are to be looked at. To inspect a file can take long, so it is
 * not done where the records of mappings are read, and only a part of it per turn of the loop.
 */
#ifndef GRADWATCH_WATCH_ARRIVALS_H
#define GRADWATCH_WATCH_ARRIVALS_H

#include <stdbool.h>
#include <stdint.h>

#include "watch/discover.h"

#define ARRIVALS_MAX 1024 /* that wait; when there are more, all processes are looked at */

struct arrival {
	uint32_t pid;
	uint64_t time;  /* when the mapping was made, 0: unknown */
	uint64_t after; /* not to be looked at before this time */
	unsigned int tries;
};

struct arrivals {
	struct arrival waiting[ARRIVALS_MAX];
	unsigned int count;
	bool lost;          /* some are unknown: all processes are to be looked at */
	uint64_t again;     /* but not before this time */
	bool scanning;      /* all are being looked at, a part of them per turn */
	uint32_t looked_at; /* of these, up to this id */
};

/* A process that waits already keeps its place and its time. */
void arrivals_add(struct arrivals *arrivals, uint32_t pid, uint64_t time);

/* A child has what its parent has: it is to be looked at if its parent is. */
void arrivals_fork(struct arrivals *arrivals, uint32_t parent, uint32_t child);

/* Mappings were made that are not known. */
void arrivals_lost(struct arrivals *arrivals);

/* Looks at all processes at once. */
void arrivals_all(struct arrivals *arrivals, struct discover *discover);

/*
 * Looks at processes that wait, for about budget ns at most. Returns whether some are left that
 * need no more waiting. A process that cannot be watched now is told of once, and tried again as
 * long as it lives.
 */
bool arrivals_look(struct arrivals *arrivals, struct discover *discover, uint64_t budget);

#endif
