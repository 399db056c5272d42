/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Processes that are stopped for a person to look at, until somebody or the time lets them go. */
#ifndef GRADWATCH_ENFORCE_HOLDS_H
#define GRADWATCH_ENFORCE_HOLDS_H

#include <stdbool.h>
#include <stdint.h>

#include "enforce/stops.h"
#include "enforce/target.h"
#include "model/event.h"

struct holds;

/* Told when a process goes on: the event it was held with, with ACTION_LET_GO and why. */
typedef void (*holds_handler)(void *context, struct event *event);

/* limit: ns. NULL when out of memory; free is NULL-safe and lets nobody go. */
struct holds *holds_new(uint64_t limit, const struct stops *stops, holds_handler handler,
			void *context);
void holds_free(struct holds *holds);

/* A stopped process is held from now on. Takes the target over. -ENOMEM. */
int holds_add(struct holds *holds, const struct target *target, const struct event *event,
	      uint64_t now);

/* By pid: a process that is held cannot end and give its number away unseen for long. */
bool holds_has(const struct holds *holds, pid_t pid);

/* Looks who has ended, runs again, or was held for too long. */
void holds_tick(struct holds *holds, uint64_t now);

/* Lets all go. Those that cannot be continued stay, for the watchdog. */
void holds_release_all(struct holds *holds, const char *why, uint64_t now);

#endif
