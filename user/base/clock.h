/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Monotonic time, which events carry, and its place in UTC. */
#ifndef GRADWATCH_BASE_CLOCK_H
#define GRADWATCH_BASE_CLOCK_H

#include <stddef.h>
#include <stdint.h>

#define CLOCK_RFC3339_SIZE 32

/*
 * Start times of processes are whole ticks of USER_HZ in /proc, nanoseconds in BPF: divided by this
 * both are the same.
 */
#define CLOCK_TICK_NS 10000000

/* CLOCK_MONOTONIC, ns. */
uint64_t clock_monotonic(void);

/*
 * The time from one moment to another, 0 when `to` is not later: times of records come from several
 * CPUs, and a record may be made after the clock was read.
 */
static inline uint64_t clock_between(uint64_t from, uint64_t to)
{
	return to > from ? to - from : 0;
}

/* CLOCK_REALTIME - CLOCK_MONOTONIC now, ns. Add it to an event's time to get its place in UTC. */
int64_t clock_utc_offset(void);

/*
 * The same, taken again only if the clock has been set since *offset was taken, or has drifted by
 * a millisecond: so it does not jitter, and costs two readings.
 */
void clock_follow_utc(int64_t *offset);

/* ns since 1970 as RFC 3339 in UTC with nanoseconds: 2026-01-02T03:04:05.000000006Z. */
void clock_rfc3339(char out[CLOCK_RFC3339_SIZE], uint64_t utc_ns);

#endif
