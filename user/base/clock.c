// SPDX-License-Identifier: GPL-2.0-or-later
#include "base/clock.h"

#include <stdio.h>
#include <time.h>

#define NS_PER_SEC 1000000000ull
#define NS_PER_MS  1000000

static uint64_t read_clock(clockid_t id)
{
	struct timespec now;

	/* Cannot fail: both clocks exist on every Linux. */
	clock_gettime(id, &now);
	return (uint64_t)now.tv_sec * NS_PER_SEC + (uint64_t)now.tv_nsec;
}

uint64_t clock_monotonic(void)
{
	return read_clock(CLOCK_MONOTONIC);
}

/*
 * The two clocks cannot be read at once. UTC is read between two readings of the other; of several
 * tries the one with the shortest gap counts, so that being preempted in between does no harm.
 */
int64_t clock_utc_offset(void)
{
	uint64_t best_gap = UINT64_MAX;
	int64_t offset = 0;

	for (int i = 0; i < 8; i++) {
		uint64_t before = read_clock(CLOCK_MONOTONIC);
		uint64_t utc = read_clock(CLOCK_REALTIME);
		uint64_t gap = read_clock(CLOCK_MONOTONIC) - before;

		if (gap < best_gap) {
			best_gap = gap;
			offset = (int64_t)(utc - (before + gap / 2));
		}
	}
	return offset;
}

void clock_follow_utc(int64_t *offset)
{
	uint64_t monotonic = read_clock(CLOCK_MONOTONIC);
	int64_t error = (int64_t)(read_clock(CLOCK_REALTIME) - monotonic) - *offset;

	if (error > NS_PER_MS || error < -NS_PER_MS)
		*offset = clock_utc_offset();
}

void clock_rfc3339(char out[CLOCK_RFC3339_SIZE], uint64_t utc_ns)
{
	time_t seconds = (time_t)(utc_ns / NS_PER_SEC);
	unsigned int fraction = (unsigned int)(utc_ns % NS_PER_SEC);
	struct tm tm = {0};
	size_t length;

	/* UINT64_MAX ns is in the year 2554: always four digits. */
	gmtime_r(&seconds, &tm);
	length = strftime(out, CLOCK_RFC3339_SIZE, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(out + length, CLOCK_RFC3339_SIZE - length, ".%09uZ", fraction);
}
