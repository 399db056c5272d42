/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The records that a log makes itself: what a segment begins and ends with, and gaps (private to
 * log/). */
#ifndef GRADWATCH_LOG_NOTES_H
#define GRADWATCH_LOG_NOTES_H

#include <stdint.h>

#include "log/format.h"
#include "log/identity.h"

/* One run of gradwatch. */
struct notes_run {
	struct log_identity identity;
	char begun[24];
	char level[16];
	uint64_t removed; /* segments, to make room for others */
};

struct notes_close {
	uint64_t segment, records, first_seq;
	const char *reason;
	const uint64_t *types; /* how many of each type */
	const char *totals;    /* an object; NULL: none */
};

struct notes_gap {
	uint64_t count, first_seq;
	uint64_t types[LOG_TYPE_MAX + 1];
	int error; /* negative errno */
};

/* Each is an object as text, malloc'ed; NULL when out of memory. now: CLOCK_MONOTONIC. */
char *notes_header(const struct notes_run *run, uint64_t segment, uint64_t now);
char *notes_close(const struct notes_run *run, const struct notes_close *close, uint64_t now);
char *notes_gap(const struct notes_run *run, const struct notes_gap *gap, uint64_t now);

#endif
