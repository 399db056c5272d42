/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How often a thread may send a record with a stack: a token bucket, so that a storm costs the
 * target little. Kept as the time when the bucket would be full again (the generic cell rate
 * algorithm): one word per thread and no timer. What is not sent is counted, never guessed.
 */
#ifndef GRADWATCH_THROTTLE_BPF_H
#define GRADWATCH_THROTTLE_BPF_H

#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

#include "maps.bpf.h"

/* Time that one record takes from the bucket, 0: no limit; and the bucket's size. ns */
const volatile __u64 throttle_interval = 0;
const volatile __u64 throttle_burst = 0;

/*
 * Takes a token; false when there is none. A thread that has no entry is not limited. must: the
 * record is sent in any case, and the bucket goes below empty for it.
 */
static __always_inline bool throttle_take(struct gw_thread *thread, bool must)
{
	__u64 now, next;

	if (!thread || !throttle_interval)
		return true;
	now = bpf_ktime_get_ns();
	next = thread->next_record > now ? thread->next_record : now;
	if (!must && next - now > throttle_burst)
		return false;
	thread->next_record = next + throttle_interval;
	return true;
}

#endif
