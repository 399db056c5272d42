/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Watching, from the first probe to the last event. One thread, one loop (base/loop.h), also while
 * what is mapped already is being probed: signals, records and time are served then, too.
 *
 * Order at start: programs and maps, then the processes to watch, then the records of new
 * mappings, then a look at what is mapped already (so that nothing falls between), then "start",
 * then the command is let go. At the end: probes away first, so that the ledger stands still.
 */
#ifndef GRADWATCH_WATCH_WATCH_H
#define GRADWATCH_WATCH_WATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "model/inputs.h"
#include "watch/actor.h"
#include "watch/service.h"
#include "watch/spawn.h"

/* What can be changed while it runs. */
struct watch_settings {
	const struct filter *filter; /* as in watch_config; NULL stays NULL */
	unsigned int kinds;          /* these as in model_options */
	bool began_on;
	uint64_t idle_ns;
};

struct watch_config {
	const uint32_t *pids;
	size_t pid_count;
	bool all;
	const struct filter *filter; /* of all: only these; NULL: every one */
	bool follow;
	struct spawn *command; /* prepared; NULL: none */
	uint32_t rate;         /* see struct programs_options */
	struct gw_policy policy;
	const struct watch_actor *actor;     /* NULL: nobody acts */
	const struct watch_service *service; /* NULL: nobody asks */
	struct model_options model;
	event_handler handler;
	/* SIGHUP; NULL: ends it, as SIGTERM does. May change the settings. */
	void (*hung_up)(void *context, struct watch_settings *settings);
	void *hung_up_context;
	/* Whether records are to wait for a reader that is slow; NULL: never. */
	bool (*is_full)(void *context);
	model_input_handler input; /* NULL: nobody wants the model's inputs */
	/* Inputs have come in. Returns when this wants to be called again (ns), 0: with the next.
	 */
	uint64_t (*flush)(void *context);
	void *context; /* of all four */
};

struct watch_result {
	struct event_totals totals;
	int command_status; /* exit status of the command as a shell gives it */
};

/* 0, or a negative errno with the line for people in *err. Blocks until the end. */
int watch_run(const struct watch_config *config, struct watch_result *result, struct err *err);

#endif
