/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Signals that were sent, until it is known what became of them. */
#ifndef GRADWATCH_ENFORCE_PENDING_H
#define GRADWATCH_ENFORCE_PENDING_H

#include <stdbool.h>
#include <stdint.h>

#include "enforce/target.h"
#include "model/event.h"

struct pending;

struct pending_rules {
	/* Whether the thread has gone on with the change. */
	bool (*ran_on)(void *context, uint32_t tid, uint64_t asked);
	/* Told what became of it: ACTION_PERFORMED when the process has ended before, else
	 * ACTION_TOO_LATE. */
	void (*decided)(void *context, const struct target *target, struct event *event);
	void *context;
};

/* NULL when out of memory; free is NULL-safe. */
struct pending *pending_new(const struct pending_rules *rules);
void pending_free(struct pending *pending);

/*
 * A signal (event->action.signal) was sent for the violation that is named by `asked`, 0: after
 * the change, so that only its end counts. Takes the target over. -ENOMEM.
 */
int pending_add(struct pending *pending, const struct target *target, const struct event *event,
		uint64_t asked, uint64_t now);

/* Whether there is a signal to a process that is not decided. */
bool pending_has(const struct pending *pending, pid_t pid);

/* Tells of those that are decided; last: of all, after having waited for them. */
void pending_tick(struct pending *pending, uint64_t now);
void pending_finish(struct pending *pending);

#endif
