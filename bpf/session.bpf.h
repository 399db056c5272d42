/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Trace sessions: which ProxyTorchDispatchMode objects a thread is tracing with.
 *
 * A mode is popped and pushed back around every traced operator, so a pop ends nothing. A session
 * is therefore tied to its mode object: it goes on when the same object is pushed again, and is
 * over when the object is gone, when a mode below it on the thread comes back in its place, or
 * when the thread ends. Nested traces are a small stack per thread. Sessions live in a map that
 * user space sweeps, so that pushes and pops send nothing.
 *
 * Operators are counted by pops: with mode keys, only the C++ guard that hands an operator to its
 * mode calls pop_highest_infra_mode. Builds without keys have one way to pop; there every push of
 * a known mode is taken for the end of an operator.
 */
#ifndef GRADWATCH_SESSION_BPF_H
#define GRADWATCH_SESSION_BPF_H

#include "vmlinux.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#include "maps.bpf.h"
#include "python.bpf.h"

/* A mode that is in force: the object and the SafePyObject that holds it. */
struct mode_ref {
	__u64 holder;
	__u64 mode;
};

static __always_inline void session_identify(__u64 *start_time, __u32 *ns_pid, __u32 *ns_tid)
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

static __always_inline void session_end(__u64 id, enum gw_end_reason reason)
{
	struct gw_session *session = bpf_map_lookup_elem(&sessions, &id);

	if (!session || session->end_reason)
		return;
	session->end = bpf_ktime_get_ns();
	session->end_reason = reason;
}

/* Ends every open trace of a thread that is going away. */
static __always_inline void session_end_all(const struct gw_thread *thread,
					    enum gw_end_reason reason)
{
	for (int i = 0; i < GW_MAX_NESTING; i++)
		if (i < thread->depth)
			session_end(thread->trace[i].session, reason);
}

/* Makes a session and returns its id, 0 when the map is full. */
static __noinline __u64 session_new(const struct mode_ref *ref, __u32 file_id, __u8 from_start,
				    __u8 depth)
{
	struct gw_session session = {};
	__u32 zero = 0;
	__u64 pid_tid = bpf_get_current_pid_tgid();
	struct gw_shared *numbers = bpf_map_lookup_elem(&shared, &zero);

	if (!numbers || !ref)
		return 0;
	session.id = __sync_fetch_and_add(&numbers->last_session, 1) + 1;
	session.mode = ref->mode;
	session.holder = ref->holder;
	session.mode_type = python_type(ref->mode);
	session.first_push = session.last_push = bpf_ktime_get_ns();
	session.pushes = from_start;
	session.pid = pid_tid >> 32;
	session.tid = (__u32)pid_tid;
	session_identify(&session.start_time, &session.ns_pid, &session.ns_tid);
	session.uid = (__u32)bpf_get_current_uid_gid();
	session.file_id = file_id;
	session.seen_from_start = from_start;
	session.depth = depth;
	bpf_get_current_comm(session.comm, sizeof(session.comm));
	if (bpf_map_update_elem(&sessions, &session.id, &session, BPF_NOEXIST)) {
		count(GW_SESSIONS_FULL);
		return 0;
	}
	return session.id;
}

/* Which of the thread's open traces uses this mode object, -1: none. */
static __always_inline int session_find(const struct gw_thread *thread, __u64 mode)
{
	int found = -1;

	for (int i = 0; i < GW_MAX_NESTING; i++)
		if (i < thread->depth && thread->trace[i].mode == mode)
			found = i;
	return found;
}

/* Drops traces above `depth`; the one that goes on below them has taken their place. */
static __always_inline void session_unwind(struct gw_thread *thread, __u8 depth)
{
	for (int i = 0; i < GW_MAX_NESTING; i++)
		if (i >= depth && i < thread->depth)
			session_end(thread->trace[i].session, GW_END_REPLACED);
	thread->depth = depth;
}

/* Drops traces from the top whose mode object is gone: what follows is not nested in them. */
static __always_inline void session_drop_dead(struct gw_thread *thread)
{
	for (int i = GW_MAX_NESTING - 1; i >= 0; i--) {
		struct gw_session *session;
		__u64 id;

		if (i + 1 != thread->depth)
			continue;
		id = thread->trace[i].session;
		session = bpf_map_lookup_elem(&sessions, &id);
		if (session && !session->end_reason &&
		    python_is_alive(session->mode, session->mode_type))
			continue;
		session_end(id, GW_END_GONE);
		thread->depth = i;
	}
}

/* The outermost trace makes room: the deepest ones are those that are being worked on. */
static __always_inline void session_make_room(struct gw_thread *thread)
{
	if (thread->depth < GW_MAX_NESTING)
		return;
	count(GW_NESTING_FULL);
	session_end(thread->trace[0].session, GW_END_REPLACED);
	for (int i = 1; i < GW_MAX_NESTING; i++)
		thread->trace[i - 1] = thread->trace[i];
	thread->depth = GW_MAX_NESTING - 1;
}

/* Opens a trace on the thread and returns its session id. */
static __always_inline __u64 session_open(struct gw_thread *thread, const struct mode_ref *ref,
					  __u32 file_id, __u8 from_start)
{
	struct gw_open_trace *trace;

	session_drop_dead(thread);
	session_make_room(thread);
	trace = trace_at(thread, thread->depth);
	trace->session = session_new(ref, file_id, from_start, thread->depth);
	trace->mode = ref->mode;
	trace->holder = ref->holder;
	thread->depth++;
	return trace->session;
}

/* A ProxyTorchDispatchMode was pushed: its session goes on, or a new one begins. */
static __always_inline void session_push(struct gw_thread *thread, const struct mode_ref *ref,
					 __u32 file_id, bool counts_as_operator)
{
	int index = session_find(thread, ref->mode);
	struct gw_session *session = NULL;
	__u64 id;

	if (index >= 0) {
		id = trace_at(thread, index)->session;
		session = bpf_map_lookup_elem(&sessions, &id);
	}
	if (!session || session->end_reason) { /* new, or user space has closed it as idle */
		session_open(thread, ref, file_id, 1);
		return;
	}
	session_unwind(thread, index + 1);
	session->pushes++;
	session->last_push = bpf_ktime_get_ns();
	session->operators += counts_as_operator;
}

/* A mode was popped. */
static __always_inline void session_pop(struct gw_thread *thread, __u64 mode,
					bool counts_as_operator)
{
	int index = session_find(thread, mode);
	struct gw_session *session;
	__u64 id;

	if (index < 0)
		return;
	id = trace_at(thread, index)->session;
	session = bpf_map_lookup_elem(&sessions, &id);
	if (!session)
		return;
	session->pops++;
	session->operators += counts_as_operator;
	session->last_pop = bpf_ktime_get_ns();
}

/* The session of a mode that is in force, made if this is the first we see of it. */
static __always_inline __u64 session_of(struct gw_thread *thread, const struct mode_ref *ref,
					__u32 file_id)
{
	int index = session_find(thread, ref->mode);

	if (index >= 0) {
		__u64 id = trace_at(thread, index)->session;
		struct gw_session *session = bpf_map_lookup_elem(&sessions, &id);

		if (session && !session->end_reason)
			return id;
	}
	return session_open(thread, ref, file_id, 0);
}

#endif
