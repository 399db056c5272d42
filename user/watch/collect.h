/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What BPF reports: records from the ring, traces and counters from the maps. */
#ifndef GRADWATCH_WATCH_COLLECT_H
#define GRADWATCH_WATCH_COLLECT_H

#include "base/err.h"
#include "model/model.h"
#include "probe/programs.h"

struct collect;

struct watch_actor;

/*
 * All stay the caller's; actor: NULL: nobody acts. While the actor waits for what becomes of a
 * process, the end of its traces is not reported.
 */
int collect_open(struct collect **collect, struct programs *programs, struct model *model,
		 const struct watch_actor *actor, struct err *err);
void collect_close(struct collect *collect);

/* Told of the life of processes, in the order of the records. */
struct collect_processes {
	void (*forked)(void *context, const struct gw_fork_record *record);
	void (*gone)(void *context, const struct gw_process_record *record);
	/* Forks were lost: at the next sweep after that. */
	void (*forks_lost)(void *context);
	void *context;
};

/* The handler is copied. */
void collect_on_process(struct collect *collect, const struct collect_processes *handler);

/* Readable when collect_records() has work. */
int collect_fd(const struct collect *collect);

/*
 * Takes the records that are there now, not those that are made meanwhile. Unless all of them are
 * to be taken it stops after a while and returns false; the next call goes on to where this one
 * would have stopped.
 */
bool collect_records(struct collect *collect, bool all);

/* Moves with each record that is taken. */
unsigned long collect_position(const struct collect *collect);

enum sweep {
	SWEEP_EMPTY,   /* there was no trace: the first record of the next one is a sign of it */
	SWEEP_DONE,    /* all traces were looked at */
	SWEEP_STOPPED, /* it took long: the next call goes on */
};

/*
 * Looks at the traces and at the counters. The end of a trace is reported when the records
 * before it have been taken. last: gradwatch ends, so do the traces, and all are looked at.
 */
enum sweep collect_sweep(struct collect *collect, bool last);

#endif
