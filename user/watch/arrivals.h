/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The processes whose mappings are to be looked at: those that have reported a new mapping, those
 * that could not be watched and are tried again, and, at the start or after a loss, all. To look at
 * a process can take long, so it is not done where the records of mappings are read, and only for a
 * limited time per turn of the loop.
 *
 * Processes with new mappings come first, round robin by user. A turn also tries one of the others
 * again, and goes on with the look at all processes, however many new ones there are: so nobody
 * waits for ever, and nobody new waits for those that are tried again.
 */
#ifndef GRADWATCH_WATCH_ARRIVALS_H
#define GRADWATCH_WATCH_ARRIVALS_H

#include <stdbool.h>
#include <stdint.h>

#include "watch/discover.h"

#define ARRIVALS_MAX      1024 /* that wait; when there are more, all processes are looked at */
#define ARRIVALS_PER_USER (ARRIVALS_MAX / 2)

struct arrival {
	uint32_t pid, uid;
	uint64_t time;  /* when the mapping was made, 0: unknown */
	uint64_t after; /* of a retry: not to be looked at before this time */
	unsigned int tries;
};

/* In the order in which they came. */
struct arrivals_queue {
	struct arrival item[ARRIVALS_MAX];
	unsigned int count;
};

struct arrivals {
	struct arrivals_queue waiting, retries;
	uint32_t last_uid;  /* the user of the one that was looked at last */
	bool lost;          /* some are unknown: all processes are to be looked at */
	uint64_t again;     /* but not before this time */
	bool scanning;      /* all are being looked at, a part of them per turn */
	uint32_t looked_at; /* of these, up to this id */
};

/* uid: whose process it is. One that waits already keeps its place and its time. */
void arrivals_add(struct arrivals *arrivals, uint32_t pid, uint32_t uid, uint64_t time);

/* A child has what its parent has: it is to be looked at if its parent is. */
void arrivals_fork(struct arrivals *arrivals, uint32_t parent, uint32_t child);

/* Mappings were made that are not known. */
void arrivals_lost(struct arrivals *arrivals);

/* All processes are to be looked at, from now on. */
void arrivals_all(struct arrivals *arrivals);

/*
 * Looks at processes, for about budget ns. Returns whether some are left that need no waiting. A
 * process that cannot be watched now is reported once, and tried again as long as it lives.
 */
bool arrivals_look(struct arrivals *arrivals, struct discover *discover, uint64_t budget);

/* Whether processes wait to be looked at for the first time that have not arrived after `time`. */
bool arrivals_wait(const struct arrivals *arrivals, uint64_t time);

/* When arrivals_look() has work again though nobody arrives, ns; 0: never. */
uint64_t arrivals_next_time(const struct arrivals *arrivals);

#endif
