/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What pushes, pops and changes mean for the trace that they happen in, and what is sent of it: a
 * new trace and a change with their stacks, the first operator after a change (whose stack names
 * the function that `@torch.no_grad()` decorates: at the change it is not called yet), and a drift:
 * a thread's state that at an operator is not what the last change made it. That is how those
 * changes are found that pass by the setter, like inference mode, without a probe in hot guards.
 */
#ifndef GRADWATCH_TRACE_BPF_H
#define GRADWATCH_TRACE_BPF_H

#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

#include "caller.bpf.h"
#include "emit.bpf.h"
#include "enforce.bpf.h"
#include "maps.bpf.h"
#include "traces.bpf.h"
#include "throttle.bpf.h"
#include "tls.bpf.h"

static __always_inline __u8 state_bits(const struct tls_state *state)
{
	return (state->grad ? GW_STATE_GRAD : 0) | (state->inference ? GW_STATE_INFERENCE : 0);
}

/* Fills in what a record says of its trace. */
static __always_inline void change_of_trace(struct change *change, const struct gw_trace *trace)
{
	change->trace = trace->id;
	change->mode = trace->mode;
	change->file_id = trace->file_id;
	change->operators = trace->operators;
	change->changes = trace->changes;
	/* A pre-dispatch trace is first seen at its first call: nothing has changed the mode
	 * before. */
	change->began = trace->seen_from_start || trace->mode == GW_MODE_PRE_DISPATCH
				? trace->began
				: GW_STATE_UNKNOWN;
}

#define AROUND_KNOWN 0x40

/*
 * A call of the setter outside of a trace, while fake tensors are in use: torch.export traces
 * within a no_grad() of its own. What is around that is what PyTorch's guard looked at.
 */
static __noinline void trace_around(struct gw_thread *thread, const struct tls_state *state,
				    __u8 to)
{
	if (!thread || !state)
		return;
	if (to)
		thread->around = 0;
	else if (peek_is_export())
		thread->around = AROUND_KNOWN | state_bits(state);
}

static __always_inline __u8 trace_began(const struct gw_thread *thread, __u8 state)
{
	bool within = thread->around & AROUND_KNOWN && !(state & GW_STATE_GRAD);

	return within ? thread->around & ~AROUND_KNOWN : state;
}

/*
 * Opens a trace for the mode of a state and returns its id, 0 when the map is full. Not inline:
 * see tls_read_block() for what the stack allows.
 */
static __noinline __u64 trace_open(struct gw_thread *thread, const struct tls_state *state,
				   bool from_start)
{
	struct trace_start start = {.from_start = from_start};

	if (!thread || !state)
		return 0;
	start.file_id = state->file_id;
	start.ref = state->ref;
	start.state = state_bits(state);
	start.began = trace_began(thread, start.state);
	return traces_open(thread, &start);
}

/*
 * Tells of a trace that begins: its first stack says what kind it is. The record is the caller's,
 * as two do not fit on the stack; all but its certainty is overwritten.
 */
static __always_inline void trace_tell(struct change *change, __u64 trace,
				       const struct tls_state *state, __u64 mode, __u8 began)
{
	if (!trace)
		return;
	change->type = GW_RECORD_TRACE;
	change->trace = trace;
	change->mode = mode;
	change->file_id = state->file_id;
	change->operators = change->changes = 0;
	change->from = 0;
	change->to = state_bits(state);
	change->began = began;
	change->ask = GW_ASK_NONE;
	if (!emit(change))
		count(GW_TRACES_LOST);
}

/* A trace begins with the mode of a state. */
static __noinline void trace_begin(struct gw_thread *thread, const struct tls_state *state,
				   bool from_start, bool certain)
{
	struct change change = {.certain = certain};
	__u64 id;

	if (!state)
		return;
	id = trace_open(thread, state, from_start);
	trace_tell(&change, id, state, state->ref.mode,
		   from_start && thread ? trace_began(thread, state_bits(state))
					: GW_STATE_UNKNOWN);
}

/* The trace of the mode in force, which is opened and sent if it is not known. */
static __always_inline struct gw_trace *
trace_in_force(struct gw_thread *thread, const struct tls_state *state, struct change *change)
{
	__u64 id = traces_of(thread, state->ref.mode);

	if (!id) {
		id = trace_open(thread, state, false);
		trace_tell(change, id, state, state->ref.mode, GW_STATE_UNKNOWN);
	}
	return bpf_map_lookup_elem(&traces, &id);
}

/* An operator is about to be traced. */
static __always_inline void trace_operator(struct gw_thread *thread, const struct gw_trace *trace,
					   __u8 state, bool certain)
{
	struct change change = {.type = GW_RECORD_OPERATOR, .from = state, .to = state};

	bool wanted = thread->tell_operator, must = wanted;
	enum gw_counter lost = GW_NAMES_LOST;

	thread->tell_operator = 0;
	if (certain && thread->expected != state) {
		bool undone = thread->at_operator == state;

		change.type = GW_RECORD_DRIFT;
		change.from = undone ? state : thread->expected;
		thread->expected = state;
		if (!undone) {
			count(GW_DRIFTS);
			lost = GW_DRIFTS_LOST;
		}
		wanted = true;
	}
	thread->at_operator = state;
	if (!wanted)
		return;
	change_of_trace(&change, trace);
	change.certain = certain;
	/* After a change that was sent: without its first operator it would be another finding. */
	if (!throttle_take(thread, must) || !emit(&change))
		count(lost);
}

/* The mode in force is about to be popped; by_guard: for an operator, by the C++ guard. */
static __noinline void trace_pop(struct gw_thread *thread, struct tls_state *state, bool by_guard,
				 bool certain)
{
	enum peek peek = PEEK_OTHER;
	struct gw_trace *trace;
	struct gw_nest *nest;
	int index;

	if (!thread || !state || !state->tracing)
		return;
	tls_resolve(state);
	nest = nest_get(thread);
	index = traces_find(thread, nest, state->ref.mode);
	trace = traces_at(nest, index);
	if (!trace)
		return;
	if (by_guard)
		nest_trace(nest, index)->stash = state->ref.holder;
	else
		peek = peek_caller();
	trace_operator(thread, trace, state_bits(state), certain);
	traces_pop(thread, nest, trace, peek, by_guard, state_bits(state));
}

/*
 * What a push means. The guard brings back the very holder that it took away, and has kept it
 * alive: then there is nothing to find out.
 */
static __always_inline enum peek trace_push_meaning(struct gw_nest *nest, int index, __u64 holder)
{
	struct gw_open_trace *trace;

	if (nest && index >= 0) {
		trace = nest_trace(nest, index);
		if (trace->stash == holder) {
			trace->stash = 0;
			return PEEK_OTHER;
		}
	}
	return peek_caller();
}

/*
 * Whether the thread may send a change. The grad mode has two values, so a change away from that of
 * the trace's begin is followed by one back to it. Both are sent, or neither: half a pair would be
 * reported as a change that was not put back. A trace that was first seen in its middle is taken to
 * have begun with grad on. must: it is sent in any case.
 */
static __always_inline bool change_may_be_sent(struct gw_thread *thread, struct gw_trace *trace,
					       __u8 to, bool must)
{
	__u8 begin = GW_STATE_GRAD;

	if (!trace)
		return throttle_take(thread, must);
	if (trace->seen_from_start)
		begin = trace->state_begin & GW_STATE_GRAD;
	if (to == begin && trace->dropping && !must) {
		trace->dropping = 0;
		return false;
	}
	trace->dropping = !throttle_take(thread, must || to == begin);
	return !trace->dropping;
}

/*
 * Counts a change for its trace, if that is known, and sends it with its stack, if the thread
 * may. Returns the counter that it belongs to.
 */
static __always_inline enum gw_counter change_send(struct gw_thread *thread, struct gw_trace *trace,
						   struct change *change)
{
	if (trace) {
		trace->changes++;
		change_of_trace(change, trace);
	}
	if (change_may_be_sent(thread, trace, change->to, change->ask != GW_ASK_NONE))
		return emit(change) ? GW_REPORTED : GW_LOST;
	if (trace)
		trace->throttled++;
	return GW_THROTTLED;
}

/* What every record of a call of the setter says of the change. */
static __always_inline void change_of_call(struct change *change, const struct tls_state *state,
					   __u8 to, struct pt_regs *ctx)
{
	change->stack_pointer = PT_REGS_SP(ctx);
	change->from = state->grad;
	change->to = to;
	change->inference = state->inference;
}

/*
 * What an operator after a change to `to` is expected to see. An inference mode that is on may be
 * left again before one does. One that was sent and is off has been left, which the change's
 * record says; where the trace began in it, an operator is to see that.
 */
static __always_inline __u8 expected_after(const struct gw_thread *thread,
					   const struct gw_trace *trace,
					   const struct tls_state *state, __u8 to)
{
	__u8 inference = thread->expected & GW_STATE_INFERENCE;

	if (!state->inference && trace && !(trace->state_begin & GW_STATE_INFERENCE))
		inference = 0;
	return inference | to;
}

/*
 * The grad mode changes in a trace. Returns the counter that it belongs to. Not inline: see
 * tls_read_block().
 */
static __noinline enum gw_counter trace_change(struct gw_thread *thread, struct tls_state *state,
					       __u8 to, bool certain, struct pt_regs *ctx)
{
	struct change change = {.certain = certain};
	struct gw_trace *trace = NULL;
	enum gw_counter result;

	if (!state)
		return GW_OUTSIDE;
	if (thread) {
		trace = trace_in_force(thread, state, &change);
		thread->expected = expected_after(thread, trace, state, to);
	}
	change.type = GW_RECORD_CHANGE;
	change_of_call(&change, state, to, ctx);
	change.caller = caller_of(ctx);
	change.trace = 0;
	change.began = GW_STATE_UNKNOWN;
	change.mode = state->ref.mode;
	change.file_id = state->file_id;
	if (policy.action && certain)
		change.ask = enforce_setter(thread, trace, to, change.caller);
	if (change.ask)
		change.asked = bpf_ktime_get_ns();
	result = change_send(thread, trace, &change);
	if (change.ask)
		enforce_do(thread, change.ask, change.asked, result == GW_REPORTED);
	if (trace && result != GW_THROTTLED)
		thread->tell_operator = (trace->state_begin & GW_STATE_GRAD) != to;
	return result;
}

/*
 * The Python binding is about to change the grad mode in a trace: user space is asked, with the
 * process stopped, whether it is to raise. Returns the trace when the caller is to let it raise by
 * itself, else 0.
 */
static __noinline __u64 trace_ask(struct gw_thread *thread, struct tls_state *state, __u8 to,
				  struct pt_regs *ctx)
{
	struct change change = {.certain = true};
	struct gw_trace *trace;
	__u32 decision;
	bool sent;

	if (!thread || !state)
		return 0;
	trace = trace_in_force(thread, state, &change);
	if (!trace || enforce_was_let_go(thread))
		return 0;
	decision = enforce_decision(trace, to, true);
	if (decision == GW_DECISION_LET_BE)
		return 0;
	change.ask = GW_ASK_STOPPED;
	if (decision == GW_DECISION_ACT && enforce_can_raise())
		change.ask = GW_ASK_RAISED;
	change_of_trace(&change, trace);
	change.type = GW_RECORD_ASK;
	change_of_call(&change, state, to, ctx);
	change.caller = GW_CALLER_BINDING;
	change.asked = bpf_ktime_get_ns();
	enforce_note_asked(thread, change.asked);
	if (policy.dry_run) /* the setter's record says what would have been done */
		return 0;
	sent = emit(&change);
	if (change.ask == GW_ASK_RAISED && sent)
		return change.trace;
	enforce_do(NULL, change.ask, change.asked, sent);
	return 0;
}

/*
 * The pre-dispatch trace that the thread is in. Its modes are on a stack of
 * Python's, so its begin and end are not seen, only that it is there: it lasts from the first call
 * of the setter in it to the first one after it. (What says so at once, a probe on
 * tls_set_dispatch_key_included, is hit some 66 times in an iteration of training.)
 */
static __always_inline struct gw_trace *
pre_dispatch_trace(struct gw_thread *thread, const struct tls_state *state, struct change *change)
{
	struct trace_start start = {.file_id = state->file_id, .ref.mode = GW_MODE_PRE_DISPATCH};
	struct gw_trace *trace;
	__u64 id;

	if (!thread)
		return NULL;
	id = thread->pre_dispatch;
	trace = bpf_map_lookup_elem(&traces, &id);
	if (trace && !trace->end_reason)
		return trace;
	start.state = start.began = state_bits(state);
	id = thread->pre_dispatch = traces_new(&start);
	trace_tell(change, id, state, GW_MODE_PRE_DISPATCH, start.began);
	return bpf_map_lookup_elem(&traces, &id);
}

/* The setter is called in a pre-dispatch trace, which is reported as information. */
static __noinline enum gw_counter trace_pre_dispatch(struct gw_thread *thread,
						     const struct tls_state *state, __u8 to,
						     struct pt_regs *ctx)
{
	struct change change = {.certain = true};
	struct gw_trace *trace;

	if (!state)
		return GW_OUTSIDE;
	trace = pre_dispatch_trace(thread, state, &change);
	if (trace)
		trace->last_pop = bpf_ktime_get_ns(); /* for idle ones to be found */
	if (state->grad == to)
		return GW_REDUNDANT;
	change.type = GW_RECORD_CHANGE;
	change_of_call(&change, state, to, ctx);
	change.caller = caller_of(ctx);
	change.trace = 0;
	change.began = GW_STATE_UNKNOWN;
	change.mode = GW_MODE_PRE_DISPATCH;
	change.file_id = state->file_id;
	return change_send(thread, trace, &change);
}

/* A call of the setter outside of any trace: a pre-dispatch one that was in progress is over. */
static __always_inline void trace_none(struct gw_thread *thread)
{
	struct gw_nest *nest;

	if (thread->pre_dispatch)
		traces_end(thread->pre_dispatch, GW_END_LEFT);
	thread->pre_dispatch = 0;
	nest = nest_get(thread);
	if (nest)
		traces_drop_dead(thread, nest);
}

#endif
