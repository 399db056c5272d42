/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What watch.c (start and end) and sources.c (the turns between) share. */
#ifndef GRADWATCH_WATCH_PRIVATE_H
#define GRADWATCH_WATCH_PRIVATE_H

#include "base/loop.h"
#include "watch/arrivals.h"
#include "watch/collect.h"
#include "watch/discover.h"
#include "watch/mappings.h"
#include "watch/relay.h"
#include "watch/spawn.h"
#include "watch/watch.h"

struct watch {
	const struct watch_config *config;
	struct watch_settings settings; /* in force */
	struct programs *programs;
	struct collect *collect;
	struct mappings *mappings;
	struct arrivals arrivals;
	struct discover discover;
	struct relay relay;
	struct loop *loop;
	/* Sources that are woken by others than their descriptor. */
	struct loop_source *relaying, *records, *flushing, *ticking, *sweeping, *looking, *failing;
	int signal_fd;
	uint64_t gaps;    /* records of new mappings that were lost */
	bool acting;      /* the actor was started */
	bool serving;     /* the service was */
	bool resting;     /* nothing is traced: it wakes up once a second */
	uint64_t taken;   /* ns, when a turn has taken records last */
	uint64_t opened;  /* ns, when the sources were */
	uint64_t looked;  /* ns, when what was mapped before that had been looked at; 0: not yet */
	bool armed;       /* what was mapped before that is probed: START was reported */
	struct err error; /* why the loop was ended, code 0: it was to end */
};

/* A process is to be looked at; time: when it has made a mapping, 0: unknown. */
void watch_arrive(struct watch *watch, uint32_t pid, uint64_t time);

/* The service's sources come after all others. */
#define SOURCES_ORDER_SERVICE 100

/* Registers all sources with a new loop. 0, or negative errno with the cause. */
int sources_open(struct watch *watch, struct err *err);

/* Frees the loop. */
void sources_close(struct watch *watch);

/* What is reported of new mappings; context: the watch. */
extern const struct mappings_handler sources_mappings;

/* What is reported of the lives of processes (collect_on_process()); context: the watch. */
extern const struct collect_processes sources_processes;

/*
 * Takes all records that are there, and does what they ask, while the probes are being removed or
 * are gone. Waits for outputs that are full, unless a signal comes.
 */
void sources_take_all(struct watch *watch);

/* Whether all that was mapped when the sources were opened is probed, or known not to be. */
bool sources_are_armed(struct watch *watch);

#endif
