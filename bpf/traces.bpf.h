/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Traces: which ProxyTorchDispatchMode objects a thread is tracing with.
 *
 * A trace is one entry of a mode: from `__enter__` to `__exit__`. In between the mode is popped
 * and pushed back around every traced operator, put aside by Python code, and entered again to
 * decompose an operator; the Python frames that a push or a pop comes from say what it means
 * (peek.bpf.h). Nested traces are a small stack per thread. Traces live in a map that user space
 * sweeps, so that pushes and pops send nothing.
 *
 * Where the frames cannot be read, a trace is tied to its mode object: it goes on when the same
 * object is pushed again, and is over when the object is gone, when a mode below it on the thread
 * comes back in its place, or when the thread ends. A mode that is never left also ends so.
 *
 * Operators are counted by pops: with mode keys, only the C++ guard that hands an operator to its
 * mode calls pop_highest_infra_mode. Builds without keys have one way to push; who pushes a known
 * mode says whether that is the end of an operator.
 */
#ifndef GRADWATCH_TRACES_BPF_H
#define GRADWATCH_TRACES_BPF_H

#include "vmlinux.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#include "maps.bpf.h"
#include "nest.bpf.h"
#include "peek.bpf.h"
#include "python.bpf.h"

#define TRACES_ATTEMPTS 8 /* as many threads at least may begin a trace at the same moment */

/* A mode that is in force: the object and the SafePyObject that holds it. */
struct mode_ref {
	__u64 holder;
	__u64 mode;
	__u64 above; /* modes of other kinds that lie on it (builds without keys) */
};

static __always_inline void traces_identify(__u64 *start_time, __u32 *ns_pid, __u32 *ns_tid)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct task_struct *leader = BPF_CORE_READ(task, group_leader);
	struct pid *pid = BPF_CORE_READ(task, thread_pid);
	unsigned int level = BPF_CORE_READ(pid, level);

	*start_time = BPF_CORE_READ(leader, start_boottime);
	*ns_tid = BPF_CORE_READ(pid, numbers[level].nr);
	pid = BPF_CORE_READ(leader, thread_pid);
	*ns_pid = BPF_CORE_READ(pid, numbers[level].nr);
}

static __always_inline void traces_end(__u64 id, enum gw_end_reason reason)
{
	struct gw_trace *trace = bpf_map_lookup_elem(&traces, &id);

	if (!trace || trace->end_reason)
		return;
	trace->end = bpf_ktime_get_ns();
	trace->end_reason = reason;
}

/* What a trace begins with. */
struct trace_start {
	struct mode_ref ref;
	__u32 file_id;
	__u8 from_start; /* this is its first push, not our first sight */
	__u8 state;      /* GW_STATE_ bits */
	__u8 began;      /* the same, see gw_trace */
	__u8 depth;
};

/*
 * Puts a trace into the map under the next free number; false when the map is full.
 *
 * An atomic add that returns the sum is refused before 5.12 ("BPF_STX uses reserved fields"). So
 * the sum is read after it, and the map distinguishes two threads that read the same one.
 */
static __always_inline bool traces_insert(struct gw_trace *trace, struct gw_shared *numbers)
{
	for (int i = 0; i < TRACES_ATTEMPTS; i++) {
		__sync_fetch_and_add(&numbers->last_trace, 1);
		trace->id = *(volatile __u64 *)&numbers->last_trace;
		if (!bpf_map_update_elem(&traces, &trace->id, trace, BPF_NOEXIST))
			return true;
	}
	return false;
}

/* Makes a trace and returns its id, 0 when the map is full. */
static __noinline __u64 traces_new(const struct trace_start *start)
{
	struct gw_trace trace = {};
	__u32 zero = 0;
	__u64 pid_tid = bpf_get_current_pid_tgid();
	struct gw_shared *numbers = bpf_map_lookup_elem(&shared, &zero);

	if (!numbers || !start)
		return 0;
	trace.mode = start->ref.mode;
	trace.holder = start->ref.holder;
	trace.mode_type = python_type(start->ref.mode);
	trace.first_push = trace.last_push = bpf_ktime_get_ns();
	trace.pushes = start->from_start;
	trace.pid = pid_tid >> 32;
	trace.tid = (__u32)pid_tid;
	traces_identify(&trace.start_time, &trace.ns_pid, &trace.ns_tid);
	trace.uid = (__u32)bpf_get_current_uid_gid();
	trace.file_id = start->file_id;
	trace.seen_from_start = start->from_start;
	trace.depth = start->depth;
	trace.state_begin = start->state;
	trace.began = start->began;
	trace.state_end = GW_STATE_UNKNOWN;
	bpf_get_current_comm(trace.comm, sizeof(trace.comm));
	if (!traces_insert(&trace, numbers)) {
		count(GW_TRACES_FULL);
		return 0;
	}
	return trace.id;
}

/* Which of the thread's open traces uses this mode object, -1: none. */
static __always_inline int traces_find(const struct gw_thread *thread, const struct gw_nest *nest,
				       __u64 mode)
{
	int found = -1;

	for (int i = 0; i < GW_MAX_NESTING; i++)
		if (nest && i < thread->depth && nest->trace[i].mode == mode)
			found = i;
	return found;
}

/* Drops traces above `depth`; the one that goes on below them has taken their place. */
static __always_inline void traces_unwind(struct gw_thread *thread, const struct gw_nest *nest,
					  __u8 depth)
{
	for (int i = 0; i < GW_MAX_NESTING; i++)
		if (i >= depth && i < thread->depth)
			traces_end(nest->trace[i].id, GW_END_REPLACED);
	thread->depth = depth;
}

/*
 * Drops traces from the top whose mode object is gone: what follows is not nested in them.
 * Unrolled: clang enters the loop in its middle, and the verifier takes that for a loop without end
 * (5.10, 6.1: "back-edge").
 */
static __always_inline void traces_drop_dead(struct gw_thread *thread, const struct gw_nest *nest)
{
#pragma unroll
	for (int i = GW_MAX_NESTING - 1; i >= 0; i--) {
		struct gw_trace *trace;
		__u64 id;

		if (i + 1 != thread->depth)
			continue;
		id = nest->trace[i].id;
		trace = bpf_map_lookup_elem(&traces, &id);
		if (trace && !trace->end_reason && python_is_alive(trace->mode, trace->mode_type))
			continue;
		traces_end(id, GW_END_GONE);
		thread->depth = i;
	}
}

/* The outermost trace is evicted: the deepest ones are those that are being worked on. */
static __always_inline void traces_make_room(struct gw_thread *thread, struct gw_nest *nest)
{
	if (thread->depth < GW_MAX_NESTING)
		return;
	count(GW_NESTING_FULL);
	traces_end(nest->trace[0].id, GW_END_REPLACED);
	for (int i = 1; i < GW_MAX_NESTING; i++)
		nest->trace[i - 1] = nest->trace[i];
	thread->depth = GW_MAX_NESTING - 1;
}

/* Opens a trace on the thread and returns its id; 0: it does not fit. */
static __always_inline __u64 traces_open(struct gw_thread *thread, struct trace_start *start)
{
	struct gw_nest *nest = nest_get_or_make(thread);
	struct gw_open_trace *trace;

	thread->expected = thread->at_operator = start->state;
	if (!nest)
		return 0;
	traces_drop_dead(thread, nest);
	traces_make_room(thread, nest);
	start->depth = thread->depth;
	trace = nest_trace(nest, thread->depth);
	trace->id = traces_new(start);
	trace->mode = start->ref.mode;
	trace->holder = start->ref.holder;
	trace->stash = 0;
	trace->entries = 1;
	thread->depth++;
	return trace->id;
}

/* The trace of an open trace by number, -1: none; NULL: it is over, or was never known. */
static __always_inline struct gw_trace *traces_at(struct gw_nest *nest, int index)
{
	struct gw_trace *trace;
	__u64 id;

	if (!nest || index < 0)
		return NULL;
	id = nest_trace(nest, index)->id;
	trace = bpf_map_lookup_elem(&traces, &id);
	return trace && !trace->end_reason ? trace : NULL;
}

/*
 * A ProxyTorchDispatchMode was pushed, that of the thread's `index`th trace, -1: of none. Returns
 * whether that begins a trace, which is then to be opened; else the mode's trace goes on.
 */
static __always_inline bool traces_push(struct gw_thread *thread, struct gw_nest *nest, int index,
					enum peek peek, bool counts_as_operator)
{
	struct gw_trace *trace = traces_at(nest, index);

	if (!trace)
		return true;
	if (peek == PEEK_ENTER)
		nest_trace(nest, index)->entries++;
	else if (peek == PEEK_UNKNOWN)
		traces_unwind(thread, nest, index + 1);
	trace->pushes++;
	trace->last_push = bpf_ktime_get_ns();
	trace->operators += counts_as_operator;
	return false;
}

/*
 * The mode of an open trace was popped, which may be its end. state: GW_STATE_ bits. Which of the
 * thread's traces it is is looked for here: the verifier would go through all that is done between
 * the pop's begin and this for each of them.
 */
static __always_inline void traces_pop(struct gw_thread *thread, struct gw_nest *nest,
				       struct gw_trace *trace, enum peek peek,
				       bool counts_as_operator, __u8 state)
{
	int index;

	trace->pops++;
	trace->operators += counts_as_operator;
	trace->last_pop = bpf_ktime_get_ns();
	if (peek != PEEK_EXIT)
		return;
	index = traces_find(thread, nest, trace->mode);
	if (index < 0 || --nest_trace(nest, index)->entries)
		return;
	trace->state_end = state;
	traces_unwind(thread, nest, index + 1);
	traces_end(trace->id, GW_END_LEFT);
	thread->depth = index;
}

/* The trace of a mode that is in force, 0: none yet. */
static __always_inline __u64 traces_of(struct gw_thread *thread, __u64 mode)
{
	struct gw_nest *nest = nest_get(thread);
	struct gw_trace *trace = traces_at(nest, traces_find(thread, nest, mode));

	return trace ? trace->id : 0;
}

#endif
