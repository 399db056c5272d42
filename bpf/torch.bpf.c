// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The probes in libtorch. This object is loaded once per distinct plan, with the plan in its
 * read-only data: the constants cost nothing per hit and need no map, and the verifier drops what
 * the build does not need. The load address of the file in the process at hand is the instruction
 * pointer less the site's link-time address; which file it is, the cookie says (cookie.bpf.h).
 *
 * Entry probes only. What they decide on is the thread's own state (tls.bpf.h), read at the call:
 * attaching in mid-trace needs no history. Pushes and pops only update traces (traces.bpf.h).
 */
#include "vmlinux.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "arguments.bpf.h"
#include "cookie.bpf.h"
#include "gradwatch/abi.h"
#include "machine.bpf.h"
#include "maps.bpf.h"
#include "probe.bpf.h"
#include "traces.bpf.h"
#include "threads.bpf.h"
#include "tls.bpf.h"
#include "trace.bpf.h"

char LICENSE[] SEC("license") = "GPL";

/* Watch every process, not only those in the map. */
const volatile bool watch_all = false;

enum watched { WATCHED_NO, WATCHED_YES };

/*
 * Whether the current process is watched, and its thread's entry in *thread (NULL when it
 * does not fit). An entry exists only for a thread of a watched process: the usual hit is one
 * look-up. One of a process that is not watched is two.
 */
static __always_inline enum watched thread_get(struct gw_thread **thread)
{
	__u64 pid_tid = bpf_get_current_pid_tgid();
	__u32 tid = (__u32)pid_tid, pid = pid_tid >> 32;

	*thread = thread_at(tid, 0);
	if (!*thread) {
		if (!watch_all && !bpf_map_lookup_elem(&processes, &pid))
			return WATCHED_NO;
		*thread = thread_elsewhere_or_new(tid);
	}
	if (*thread)
		enforce_note_life(*thread);
	return WATCHED_YES;
}

/* The state to judge by; returns whether it is certain. */
static __always_inline bool state_get(struct gw_thread *thread, __u64 base, struct tls_state *state)
{
	if (plan.certain) {
		enum tls_result result = tls_read(thread, base, state);

		if (result == TLS_READ && !state->unsure)
			return true;
		count(GW_UNREADABLE);
		if (result == TLS_READ)
			return false;
	}
	track_state(thread, state);
	return false;
}

/* In a trace, as it seems: what becomes of this call? */
static __always_inline enum gw_counter judge(struct gw_thread *thread, struct tls_state *state,
					     __u8 to, bool certain, struct pt_regs *ctx)
{
	if (state->grad == to)
		return GW_REDUNDANT;
	tls_resolve(state);
	/* Only now, as it is dear: anyone may put a mode of his own into the slot. */
	if (certain && plan.mode_api == GW_MODES_KEYED) {
		switch (mode_is_proxy(thread, state->ref.mode)) {
		case PYTHON_PROXY_NO:
			return GW_OUTSIDE;
		case PYTHON_PROXY_UNREADABLE:
			count(GW_UNREADABLE);
			certain = false;
			break;
		case PYTHON_PROXY_YES:
			break;
		}
	}
	return trace_change(thread, state, to, certain, ctx);
}

/* c10::GradMode::set_enabled(bool enabled) */
PROBE(set_enabled)
{
	__u64 base = PT_REGS_IP(ctx) - plan.site_address[GW_SITE_SET_ENABLED];
	struct gw_counters *all = counters_get();
	struct tls_state state = {};
	__u8 to = PT_REGS_PARM1(ctx) & 1;
	struct gw_thread *thread;
	bool certain;

	if (!all)
		return 0;
	counters_add(all, GW_HITS);
	if (thread_get(&thread) == WATCHED_NO) {
		counters_add(all, GW_FILTERED);
		return 0;
	}
	state.file_id = cookie_file(ctx);
	certain = state_get(thread, base, &state);
	if (thread)
		track_grad(thread, to);
	if (state.tracing) {
		counters_add(all, judge(thread, &state, to, certain, ctx));
		return 0;
	}
	if (state.pre_dispatch) {
		counters_add(all, trace_pre_dispatch(thread, &state, to, ctx));
		return 0;
	}
	counters_add(all, GW_OUTSIDE);
	if (state.fake && !state.functional) /* rare, too */
		trace_around(thread, &state, to);
	if (thread && (thread->depth || thread->pre_dispatch)) /* rare: a trace may be over */
		trace_none(thread);
	return 0;
}

/*
 * torch._C._set_grad_enabled(enabled), where calls are to raise: a function of another file than
 * the setter, so the plan is for the file at torch_base.
 */
PROBE(set_grad_enabled)
{
	struct gw_enforced *process = enforce_process();
	struct tls_state state = {};
	struct gw_thread *thread;
	__u64 trace;
	int to;

	if (!process || thread_get(&thread) == WATCHED_NO || !thread || !plan.certain)
		return 0;
	enforce_note_past(thread);
	state.file_id = cookie_file(ctx);
	if (tls_read(thread, process->torch_base, &state) != TLS_READ || !state.tracing)
		return 0;
	to = binding_value(ctx, process->method_o);
	if (to < 0 || to == state.grad)
		return 0;
	tls_resolve(&state);
	if (state.unsure || (plan.mode_api == GW_MODES_KEYED &&
			     mode_is_proxy(thread, state.ref.mode) != PYTHON_PROXY_YES))
		return 0;
	trace = trace_ask(thread, &state, to, ctx);
	/* A constant that the verifier knows: elsewhere it would refuse to write registers. */
	if (policy.registers && trace)
		call_instead(ctx, process->err_format, process->exception, process->message[to & 1],
			     trace);
	return 0;
}

/* The mode that a `const std::shared_ptr<SafePyObject> &` argument, or one by value, refers to. */
static __always_inline void argument_mode(__u64 shared_ptr, struct mode_ref *ref)
{
	ref->holder = user_word(shared_ptr);
	ref->mode = ref->holder ? user_word(ref->holder) : 0;
}

/* Whether a mode comes back from an operator; with keys, pops say more than pushes. */
static __always_inline bool ends_operator(enum peek peek)
{
	if (plan.mode_api != GW_MODES_STACK)
		return false;
	return peek == PEEK_UNKNOWN || peek == (plan.hands_on_in_python ? PEEK_ASIDE : PEEK_OTHER);
}

enum pushed {
	PUSHED_GOES_ON,   /* the mode's trace goes on */
	PUSHED_FIRST,     /* a trace begins */
	PUSHED_IN_MIDDLE, /* one that has begun before it was watched */
};

/*
 * What a push by the current thread means, as enum pushed. Global: the verifier checks it on its
 * own, and goes once through what comes then.
 */
__noinline int push_find(__u64 mode, __u64 holder)
{
	struct gw_thread *thread = thread_find((__u32)bpf_get_current_pid_tgid());
	struct gw_nest *nest;
	enum peek peek;
	int index;

	if (!thread)
		return PUSHED_GOES_ON;
	nest = nest_get(thread);
	index = traces_find(thread, nest, mode);
	peek = trace_push_meaning(nest, index, holder);
	if (!traces_push(thread, nest, index, peek, ends_operator(peek)))
		return PUSHED_GOES_ON;
	return peek == PEEK_ENTER || peek == PEEK_UNKNOWN ? PUSHED_FIRST : PUSHED_IN_MIDDLE;
}

/* A ProxyTorchDispatchMode is about to be pushed. */
static __always_inline void push(struct pt_regs *ctx, struct gw_thread *thread, __u64 base,
				 const struct mode_ref *ref)
{
	struct tls_state state = {.file_id = cookie_file(ctx)};
	int pushed = push_find(ref->mode, ref->holder);
	bool certain;

	if (pushed == PUSHED_GOES_ON)
		return;
	certain = state_get(thread, base, &state);
	state.ref = *ref;
	trace_begin(thread, &state, pushed == PUSHED_FIRST, certain);
}

/* TorchDispatchModeTLS::set_mode(const std::shared_ptr<...> &mode, TorchDispatchModeKey key) */
PROBE(set_mode)
{
	__u64 base = PT_REGS_IP(ctx) - plan.site_address[GW_SITE_SET_MODE];
	__u32 key = (__u8)PT_REGS_PARM2(ctx);
	struct gw_thread *thread;
	struct mode_ref ref;

	if (key != GW_MODE_KEY_PROXY && plan.certain)
		return 0;
	if (thread_get(&thread) == WATCHED_NO || !thread)
		return 0;
	track_key(thread, key, true);
	if (key != GW_MODE_KEY_PROXY)
		return 0;
	argument_mode(register_value(ctx, plan.mode_register), &ref);
	if (ref.mode)
		push(ctx, thread, base, &ref);
	return 0;
}

/* TorchDispatchModeTLS::unset_mode(key), which returns an object */
PROBE(unset_mode)
{
	__u64 base = PT_REGS_IP(ctx) - plan.site_address[GW_SITE_UNSET_MODE];
	__u32 key = (__u8)PT_REGS_ALONE(ctx);
	struct tls_state state = {};
	struct gw_thread *thread;

	if (key != GW_MODE_KEY_PROXY && plan.certain)
		return 0;
	if (thread_get(&thread) == WATCHED_NO || !thread)
		return 0;
	if (key == GW_MODE_KEY_PROXY) {
		bool certain;

		state.file_id = cookie_file(ctx);
		certain = state_get(thread, base, &state);
		trace_pop(thread, &state, false, certain);
	}
	track_key(thread, key, false);
	return 0;
}

/* TorchDispatchModeTLS::pop_highest_infra_mode(): FUNCTIONAL goes first, then PROXY */
PROBE(pop_highest_infra_mode)
{
	__u64 base = PT_REGS_IP(ctx) - plan.site_address[GW_SITE_POP_INFRA];
	struct tls_state state = {};
	struct gw_thread *thread;
	bool certain;

	if (thread_get(&thread) == WATCHED_NO || !thread)
		return 0;
	state.file_id = cookie_file(ctx);
	certain = state_get(thread, base, &state);
	if (!state.functional)
		trace_pop(thread, &state, true, certain);
	track_pop_highest(thread);
	return 0;
}

/* TorchDispatchModeTLS::push_onto_stack(std::shared_ptr<SafePyObject> mode), builds without keys */
PROBE(push_onto_stack)
{
	__u64 base = PT_REGS_IP(ctx) - plan.site_address[GW_SITE_PUSH_STACK];
	struct gw_thread *thread;
	struct mode_ref ref;
	bool proxy;

	if (thread_get(&thread) == WATCHED_NO || !thread)
		return 0;
	argument_mode(register_value(ctx, plan.mode_register), &ref);
	proxy = mode_is_proxy(thread, ref.mode) != PYTHON_PROXY_NO;
	track_stack_push(thread, proxy);
	if (proxy)
		push(ctx, thread, base, &ref);
	return 0;
}

/* TorchDispatchModeTLS::pop_stack(), builds without keys */
PROBE(pop_stack)
{
	__u64 base = PT_REGS_IP(ctx) - plan.site_address[GW_SITE_POP_STACK];
	struct tls_state state = {};
	struct gw_thread *thread;
	bool certain;

	if (thread_get(&thread) == WATCHED_NO || !thread)
		return 0;
	state.file_id = cookie_file(ctx);
	certain = state_get(thread, base, &state);
	if (!state.ref.above)
		trace_pop(thread, &state, false, certain);
	track_stack_pop(thread);
	return 0;
}

/*
 * All of the above in one program, for kernels where a link has many places: the cookie says which
 * one was hit. So a file takes two links, this one's and the setter's, which is hit most and is on
 * its own.
 */
PROBE(modes)
{
	switch (cookie_site(ctx)) {
	case GW_SITE_SET_MODE:
		return plan.site_address[GW_SITE_SET_MODE] ? probe_set_mode(ctx) : 0;
	case GW_SITE_UNSET_MODE:
		return plan.site_address[GW_SITE_UNSET_MODE] ? probe_unset_mode(ctx) : 0;
	case GW_SITE_POP_INFRA:
		return plan.site_address[GW_SITE_POP_INFRA] ? probe_pop_highest_infra_mode(ctx) : 0;
	case GW_SITE_PUSH_STACK:
		return plan.site_address[GW_SITE_PUSH_STACK] ? probe_push_onto_stack(ctx) : 0;
	case GW_SITE_POP_STACK:
		return plan.site_address[GW_SITE_POP_STACK] ? probe_pop_stack(ctx) : 0;
	}
	return 0;
}
