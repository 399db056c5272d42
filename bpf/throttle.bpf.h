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
 * Takes a token; false when there is none. Threads that have no entry share one bucket: two of them
 * that take a token at the same time may take one for both. must: the record is sent in any case,
 * and the bucket goes below empty for it.
 */
static __always_inline bool throttle_take(struct gw_thread *thread, bool must)
{
	__u32 zero = 0;
	struct gw_shared *numbers;
	__u64 now, next, *full_at;

	if (!throttle_interval)
		return true;
	if (thread) {
		full_at = &thread->next_record;
	} else {
		numbers = bpf_map_lookup_elem(&shared, &zero);
		if (!numbers)
			return true;
		full_at = &numbers->next_record;
	}
	now = bpf_ktime_get_ns();
	next = *full_at > now ? *full_at : now;
	if (!must && next - now > throttle_burst)
		return false;
	*full_at = next + throttle_interval;
	return true;
}

#endif
