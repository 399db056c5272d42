/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who has called the setter: Python code through its binding, autograd's Function.apply, or other
 * C++ code. Told by the address that the setter returns to, and only looked at when the grad mode
 * changes in a trace.
 */
#ifndef GRADWATCH_CALLER_BPF_H
#define GRADWATCH_CALLER_BPF_H

#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

#include "machine.bpf.h"
#include "maps.bpf.h"
#include "tls.bpf.h"

static __always_inline bool is_within(const struct gw_range *range, __u64 address)
{
	return address >= range->start && address < range->end;
}

static __noinline __u32 caller_of(struct pt_regs *ctx)
{
	__u32 pid = bpf_get_current_pid_tgid() >> 32;
	struct gw_interpreter *interpreter = bpf_map_lookup_elem(&interpreters, &pid);
	__u64 address = return_address(ctx, plan.setter_frame);

	if (!interpreter || !interpreter->binding.end || !address)
		return GW_CALLER_UNKNOWN;
	if (is_within(&interpreter->binding, address))
		return GW_CALLER_BINDING;
	return is_within(&interpreter->apply, address) ? GW_CALLER_APPLY : GW_CALLER_OTHER;
}

#endif
