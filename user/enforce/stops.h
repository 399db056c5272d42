/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The processes that BPF has stopped, as two maps show them: `held` is written by BPF before it
 * stops a process, `answers` by user space when the process goes on or is held. Both gradwatch and
 * its watchdog read them, so each can continue a process without the other, and without a
 * descriptor of the process: its entry in `held` is deleted by BPF when it ends, so a pid that is
 * there is its own.
 */
#ifndef GRADWATCH_ENFORCE_STOPS_H
#define GRADWATCH_ENFORCE_STOPS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "gradwatch/abi.h"

struct stops {
	int held_fd, answers_fd; /* of the maps; the caller's */
};

/* What is known of a process; false: BPF has not stopped it, or it has ended. */
bool stops_get(const struct stops *stops, pid_t pid, struct gw_held *held,
	       struct gw_answer *answer);

/*
 * Continues a process that BPF has stopped, also if it is continued already. A stop signal that
 * somebody else has sent it meanwhile is sent again, so that it takes effect after all. 0; -ESRCH:
 * it has ended; or what kill(2) said three times.
 */
int stops_continue(const struct stops *stops, pid_t pid, uint64_t start_time);

/* It is held until a time of CLOCK_MONOTONIC, in ns. */
void stops_hold(const struct stops *stops, pid_t pid, uint64_t until);

/* Somebody else has ended its stops up to one (gw_held.stopped). */
void stops_note_continued(const struct stops *stops, pid_t pid, uint64_t stopped);

/* Visits all processes that stand still because of BPF; the visitor may continue them. */
void stops_each(const struct stops *stops,
		void (*visit)(void *context, pid_t pid, const struct gw_held *held,
			      const struct gw_answer *answer),
		void *context);

#endif
