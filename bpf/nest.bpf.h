/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The traces that are open on a thread, one within the other. They are apart from the thread's
 * entry, as most threads never trace: made with a thread's first trace, and kept until it ends.
 */
#ifndef GRADWATCH_NEST_BPF_H
#define GRADWATCH_NEST_BPF_H

#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

#include "maps.bpf.h"

/* NULL: no trace is open on the thread. */
static __always_inline struct gw_nest *nest_get(const struct gw_thread *thread)
{
	__u32 tid = thread->tid;

	return thread->depth ? bpf_map_lookup_elem(&nests, &tid) : NULL;
}

/* Not on the stack, where it does not fit. */
static const struct gw_nest empty_nest;

/* Global, as those of threads.bpf.h. 0: the thread has an entry. */
__noinline int nest_make(__u32 tid)
{
	if (bpf_map_lookup_elem(&nests, &tid) ||
	    !bpf_map_update_elem(&nests, &tid, &empty_nest, BPF_ANY))
		return 0;
	count(GW_THREADS_FULL);
	return -1;
}

/* For the thread to open a trace; NULL: the map is full, which is counted. */
static __always_inline struct gw_nest *nest_get_or_make(const struct gw_thread *thread)
{
	__u32 tid = thread->tid;

	nest_make(tid);
	return bpf_map_lookup_elem(&nests, &tid);
}

/*
 * An open trace by number. The mask is what the verifier sees the bound by; without the barrier
 * clang drops it wherever it has seen a comparison of its own.
 */
static __always_inline struct gw_open_trace *nest_trace(struct gw_nest *nest, __u32 index)
{
	asm volatile("" : "+r"(index));
	return &nest->trace[index & (GW_MAX_NESTING - 1)];
}
_Static_assert((GW_MAX_NESTING & (GW_MAX_NESTING - 1)) == 0, "a mask");

#endif
