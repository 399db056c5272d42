/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who shows others what gradwatch is doing while it runs (user/serve), as the loop sees it, and
 * what it can ask. All in the loop's own thread.
 */
#ifndef GRADWATCH_WATCH_SERVICE_H
#define GRADWATCH_WATCH_SERVICE_H

#include "base/err.h"
#include "base/loop.h"
#include "model/event.h"
#include "watch/coverage.h"

struct watch;

struct watch_service {
	/* Before anything is watched: sources go into the loop with this order or a later one. */
	int (*start)(void *context, const struct watch *watch, struct loop *loop, int order,
		     struct err *err);
	/* What was mapped at the start is probed. */
	void (*ready)(void *context);
	/* Each event, in order. */
	void (*event)(void *context, const struct event *event);
	/* The loop has ended, and is still there; nothing is to be asked any more. */
	void (*stop)(void *context);
	void *context;
};

/* Totals, ledger and coverage so far: at most about a second old. */
void watch_totals(const struct watch *watch, struct event_totals *totals);

/* As coverage_each(). */
void watch_processes(const struct watch *watch,
		     void (*visit)(void *context, const struct coverage_process *process),
		     void *context);

struct watch_load {
	unsigned int processes; /* in the registry */
	unsigned int files;     /* the same */
	unsigned int probed;    /* libtorch files with probes */
	uint64_t started;       /* ns, CLOCK_MONOTONIC */
	bool armed;             /* what was mapped at the start is probed */
};

void watch_load(const struct watch *watch, struct watch_load *load);

#endif
