/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * PROBE(name) begins a uprobe's program; its body is given `struct pt_regs *ctx`.
 *
 * Since 6.13 a tracing program whose frame has 64 bytes or more gets a stack outside the kernel's
 * own, one per CPU (Linux a76ab5731e32, bpf_enable_priv_stack() in kernel/bpf/verifier.c). That is
 * meant for programs that are not run again on a CPU while they are in progress there. A uprobe's
 * is, since 6.0 (88bf18581375): it can be preempted (preempt=full, or lazy after a tick), and the
 * next thread may be at the same probe. Then both have one stack, with spilled pointers in it, and
 * the kernel oopses: tests/kernels/test_preemption.py does that to a guest.
 *
 * A program with a tail call in it keeps the kernel's stack, on every kernel, even if the verifier
 * finds that the call is never made and takes it out.
 *
 * When gradwatch ends, the map `over` switches all probes off at the same moment. A thread that
 * changes the grad mode without pause then spends little time in them, so removing them takes less
 * time; and no change is seen by only some of the probes.
 */
#ifndef GRADWATCH_PROBE_BPF_H
#define GRADWATCH_PROBE_BPF_H

#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

#include "maps.bpf.h"

const volatile bool never = false;

static __always_inline bool probes_are_over(void)
{
	__u32 zero = 0;
	__u32 *value = bpf_map_lookup_elem(&over, &zero);

	return value && *value;
}

#define PROBE(name)                                                                                \
	static __always_inline int probe_##name(struct pt_regs *ctx);                              \
	SEC("uprobe") int name(struct pt_regs *ctx)                                                \
	{                                                                                          \
		if (never)                                                                         \
			bpf_tail_call(ctx, &no_programs, 0);                                       \
		if (probes_are_over())                                                             \
			return 0;                                                                  \
		return probe_##name(ctx);                                                          \
	}                                                                                          \
	static __always_inline int probe_##name(struct pt_regs *ctx)

#endif
