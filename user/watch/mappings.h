/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Learns of new executable mappings without polling: one perf event per CPU delivers a record for
 * each mmap of the host, about 100 us after it happened. Works where tracefs does not.
 */
#ifndef GRADWATCH_WATCH_MAPPINGS_H
#define GRADWATCH_WATCH_MAPPINGS_H

#include <stdint.h>

#include "base/err.h"

struct mappings;

struct mappings_handler {
	/* A candidate for libtorch was mapped executable by pid at time (monotonic ns). */
	void (*mapped)(void *context, uint32_t pid, uint64_t time);
	/* Records were lost: something may have been mapped unseen. */
	void (*lost)(void *context, uint64_t count);
	void *context;
};

/* The handler is copied. */
int mappings_open(struct mappings **mappings, const struct mappings_handler *handler,
		  struct err *err);
void mappings_close(struct mappings *mappings);

/* Readable when mappings_read() has work. */
int mappings_fd(const struct mappings *mappings);
int mappings_read(struct mappings *mappings);

#endif
