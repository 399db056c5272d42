/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who acts on violations (user/enforce), as the loop sees it: called for what happens, in the
 * loop's own thread.
 */
#ifndef GRADWATCH_WATCH_ACTOR_H
#define GRADWATCH_WATCH_ACTOR_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "model/model.h"
#include "watch/discover.h"

struct watch_actor {
	/* Before anything is watched. The discover is the loop's, and good until stop(). */
	int (*start)(void *context, struct discover *discover, struct err *err);
	/*
	 * A watched process has a probed library mapped; again when it maps the Python binding, and
	 * when the result was not 0: something was short.
	 */
	int (*process)(void *context, struct process *process, struct library *library,
		       const struct process_file *file, const struct mapped *mapped);
	/* A process that process() was called for, or a child of it, has ended. */
	void (*process_ended)(void *context, uint32_t pid);
	/* What a record leaves to be decided; its own events are out. decision->event is the
	 * actor's to fill in, and goes to model_action(). */
	void (*decide)(void *context, struct model_decision *decision);
	/* A trace is over. May be called again for the same one. */
	void (*trace_ended)(void *context, uint64_t trace);
	/*
	 * All records that were there have been taken. Returns whether the caller is to look for
	 * more and call again: then the processes they may come from stand still.
	 */
	bool (*settle)(void *context);
	void (*tick)(void *context, uint64_t now);
	/* Whether a process was sent a signal, and it is not known yet what became of it. */
	bool (*is_undecided)(void *context, uint32_t pid);
	/* Somebody wants us, or the command, to end: what is held must not stand in the way. */
	void (*interrupt)(void *context);
	/* The end is near: nothing is to be asked any more, and what is held goes on. */
	void (*cease)(void *context);
	/* The probes are gone. */
	void (*stop)(void *context);
	void *context;
};

#endif
