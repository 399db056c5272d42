/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The table of threads: an array, in which a thread has one of a few slots that follow from its id.
 *
 * Every call of the setter begins by finding its thread, and a look-up in an array is a few
 * instructions of the program itself, where one in a hash is a call of the kernel: 70 ns of 270.
 * A slot is taken by claiming it: one is added to its claims, which are above the thread id in one
 * word, and then the word is read. Whoever sees his own claim alone has the slot, the others take
 * theirs back. Two cannot both see that, as all of it happens in one word, and he who has the slot
 * leaves his claim there. Two that claim it at the same moment may both go on to another of their
 * slots. (An atomic operation that returns something is not there before 5.12.)
 *
 * The first slot of a thread is its id modulo the number of slots: threads of one job, whose ids
 * follow each other, never want the same. The others are mixed from all of the id, so that two jobs
 * whose ids are that number apart (kernel.pid_max can be 4194304) do not fill each other's slots. A
 * thread has no slot when all of them are taken: 1 of 140,000 threads while 10,000 are in the
 * table.
 */
#ifndef GRADWATCH_THREADS_BPF_H
#define GRADWATCH_THREADS_BPF_H

#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

#include "maps.bpf.h"

#define THREAD_WAYS  8            /* slots that a thread may have */
#define THREAD_CLAIM (1ULL << 32) /* one of gw_thread.owner */

static __always_inline __u32 thread_slot(__u32 tid, __u32 way)
{
	__u32 mixed = tid + way * 0x9e3779b9;

	if (!way)
		return tid & (GW_MAX_THREADS - 1);
	/* The end of MurmurHash3: each bit of the id changes half of the bits. */
	mixed ^= mixed >> 16;
	mixed *= 0x85ebca6b;
	mixed ^= mixed >> 13;
	mixed *= 0xc2b2ae35;
	return (mixed ^ mixed >> 16) & (GW_MAX_THREADS - 1);
}
_Static_assert((GW_MAX_THREADS & (GW_MAX_THREADS - 1)) == 0, "a mask");

/* The thread's entry in one of its slots, NULL: it is another's, or nobody's. */
static __always_inline struct gw_thread *thread_at(__u32 tid, __u32 way)
{
	__u32 slot = thread_slot(tid, way);
	struct gw_thread *thread = bpf_map_lookup_elem(&threads, &slot);

	return thread && thread->tid == tid ? thread : NULL;
}

/*
 * The three functions below are global: the verifier checks each once, not at each call. The loops
 * are unrolled: clang enters one in its middle, and the verifier takes that for a loop without end
 * (5.10, 6.1: "back-edge").
 */

/* The slot, other than its first, that a thread has; -1: none. */
__noinline int thread_elsewhere(__u32 tid)
{
#pragma unroll
	for (int way = 1; way < THREAD_WAYS; way++)
		if (thread_at(tid, way))
			return thread_slot(tid, way);
	return -1;
}

static __always_inline struct gw_thread *thread_in(int slot)
{
	__u32 index = slot;

	return slot < 0 ? NULL : bpf_map_lookup_elem(&threads, &index);
}

/* The entry of a thread, NULL when it has none. */
static __always_inline struct gw_thread *thread_find(__u32 tid)
{
	struct gw_thread *thread = thread_at(tid, 0);

	return thread ? thread : thread_in(thread_elsewhere(tid));
}

/* Whether the slot is the current thread's now. */
static __always_inline bool thread_claim(struct gw_thread *thread)
{
	if (thread->owner) /* cheap to see */
		return false;
	__sync_fetch_and_add(&thread->owner, THREAD_CLAIM);
	if (*(volatile __u64 *)&thread->owner == THREAD_CLAIM)
		return true;
	__sync_fetch_and_add(&thread->owner, -THREAD_CLAIM);
	return false;
}

/* Takes a slot for the current thread, and clears it; -1: they are all taken, which is counted. */
__noinline int thread_take(__u32 tid)
{
#pragma unroll
	for (int way = 0; way < THREAD_WAYS; way++) {
		__u32 slot = thread_slot(tid, way);
		struct gw_thread *thread = bpf_map_lookup_elem(&threads, &slot);

		if (!thread)
			return -1;
		if (!thread_claim(thread))
			continue;
		__builtin_memset(&thread->block, 0,
				 sizeof(*thread) - offsetof(struct gw_thread, block));
		__sync_fetch_and_add(&thread->owner, tid);
		return slot;
	}
	count(GW_THREADS_FULL);
	return -1;
}

/*
 * The entry of the current thread, which has none in its first slot; one that has no entry is given
 * one. NULL when its slots are all taken.
 */
static __always_inline struct gw_thread *thread_elsewhere_or_new(__u32 tid)
{
	int slot = thread_elsewhere(tid);

	return thread_in(slot < 0 ? thread_take(tid) : slot);
}

/*
 * Gives a thread's slot up, and all that is known of it. What its probes have written there is seen
 * before that, as the thread has left them long ago.
 */
__noinline int thread_drop(__u32 tid)
{
#pragma unroll
	for (int way = 0; way < THREAD_WAYS; way++) {
		struct gw_thread *thread = thread_at(tid, way);

		if (thread)
			__sync_fetch_and_add(&thread->owner, -(THREAD_CLAIM + tid));
	}
	bpf_map_delete_elem(&nests, &tid);
	return 0;
}

#endif
