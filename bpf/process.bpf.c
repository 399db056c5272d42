// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The life of processes and threads: who is watched, and what must be forgotten.
 *
 * Raw tracepoints, since they need neither tracefs nor BTF of the function.
 */
#include "vmlinux.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#include "gradwatch/abi.h"
#include "maps.bpf.h"
#include "traces.bpf.h"
#include "threads.bpf.h"

char LICENSE[] SEC("license") = "GPL";

/* Every process is watched; none is in the map of watched ones then. */
const volatile bool watch_all = false;

/* Read by user space, which writes the pids; filled by on_signal(). */
struct gw_signals signals;

/* Fills in a record's header; false: the numbers are not there, so there is nothing to send. */
static __always_inline bool begin_record(struct gw_record_header *header, enum gw_record_type type,
					 __u32 size)
{
	__u32 zero = 0;
	struct gw_shared *numbers = bpf_map_lookup_elem(&shared, &zero);

	if (!numbers)
		return false;
	header->type = type;
	header->version = GW_ABI_VERSION;
	header->size = size;
	header->time = bpf_ktime_get_ns();
	header->lost = numbers->lost;
	return true;
}

/*
 * Ends a trace and sends that. A record that does not fit: user space's next sweep finds it.
 * Global, as forget_thread().
 */
__noinline int end_trace(__u64 trace, __u32 reason)
{
	struct gw_end_record record = {.trace = trace};

	traces_end(trace, reason);
	if (trace && begin_record(&record.header, GW_RECORD_END, sizeof(record)))
		bpf_ringbuf_output(&ring, &record, sizeof(record), 0);
	return 0;
}

/* Sends the end of a process's memory. One that does not fit is found by processes_tick(). */
static __always_inline void send_process(struct task_struct *task, __u32 pid, __u32 reason)
{
	struct gw_process_record record = {.pid = pid, .reason = reason};

	if (!begin_record(&record.header, GW_RECORD_PROCESS, sizeof(record)))
		return;
	record.start_time = BPF_CORE_READ(task, group_leader, start_boottime);
	bpf_ringbuf_output(&ring, &record, sizeof(record), 0);
}

/*
 * Ends the traces of a thread that is going away, and sends that. Global: the verifier checks it
 * once, not at each call. reason: enum gw_end_reason.
 */
__noinline int forget_thread(__u32 tid, __u32 reason)
{
	struct gw_thread *thread = thread_find(tid);
	struct gw_nest *nest;

	if (!thread)
		return 0;
	nest = nest_get(thread);
	end_trace(thread->pre_dispatch, reason);
	for (int i = 0; i < GW_MAX_NESTING; i++)
		if (nest && i < thread->depth)
			end_trace(nest->trace[i].id, reason);
	return thread_drop(tid);
}

/* A forked child has its parent's memory, so its Python is where the parent's is. */
static __always_inline enum gw_inherited inherit_interpreter(__u32 pid, __u32 child_pid)
{
	struct gw_interpreter *interpreter = bpf_map_lookup_elem(&interpreters, &pid);
	struct gw_interpreter copy;

	if (!interpreter)
		return GW_INHERITED_NONE;
	copy = *interpreter;
	if (!bpf_map_update_elem(&interpreters, &child_pid, &copy, BPF_ANY))
		return GW_INHERITED_ENTRY;
	count(GW_INTERPRETERS_FULL);
	return GW_INHERITED_FULL;
}

/* It has its parent's libraries as well. */
static __always_inline void inherit_enforced(__u32 pid, __u32 child_pid)
{
	struct gw_enforced *process = bpf_map_lookup_elem(&enforced, &pid);
	struct gw_enforced copy;

	if (!process)
		return;
	copy = *process;
	if (bpf_map_update_elem(&enforced, &child_pid, &copy, BPF_ANY))
		count(GW_ENFORCED_FULL);
}

/* Returns whether the child is watched. */
static __always_inline bool inherit_watching(__u32 pid, __u32 child_pid)
{
	struct gw_process *process;
	struct gw_process copy;

	if (watch_all)
		return true;
	process = bpf_map_lookup_elem(&processes, &pid);
	if (!process || !process->follow)
		return false;
	copy = *process;
	if (!bpf_map_update_elem(&processes, &child_pid, &copy, BPF_ANY))
		return true;
	count(GW_PROCESSES_FULL);
	return false;
}

/* Sends a fork. One that does not fit is counted: user space looks at all processes then. */
static __always_inline void send_fork(struct task_struct *child, __u32 parent,
				      enum gw_inherited interpreter)
{
	struct pid *pid = BPF_CORE_READ(child, thread_pid);
	unsigned int level = BPF_CORE_READ(pid, level);
	struct gw_fork_record record = {.parent = parent, .interpreter = interpreter};

	if (!begin_record(&record.header, GW_RECORD_FORK, sizeof(record)))
		return;
	record.start_time = BPF_CORE_READ(child, start_boottime);
	record.pid = BPF_CORE_READ(child, tgid);
	record.ns_pid = BPF_CORE_READ(pid, numbers[level].nr);
	if (bpf_ringbuf_output(&ring, &record, sizeof(record), 0))
		count(GW_FORKS_LOST);
}

/* What is known of a process ends with its address space; the end of a known one is sent to user
 * space. */
static __always_inline void forget_memory(struct task_struct *task, __u32 reason)
{
	__u32 pid = BPF_CORE_READ(task, tgid);

	bpf_map_delete_elem(&enforced, &pid);
	if (!bpf_map_delete_elem(&interpreters, &pid))
		send_process(task, pid, reason);
}

/*
 * sched_process_fork(parent, child): children of followed processes are watched from birth. Runs
 * before the child does, so the records are in the order of the generations.
 */
SEC("raw_tp/sched_process_fork")
int on_fork(struct bpf_raw_tracepoint_args *ctx)
{
	struct task_struct *parent = (void *)ctx->args[0];
	struct task_struct *child = (void *)ctx->args[1];
	__u32 pid = BPF_CORE_READ(parent, tgid);
	__u32 child_pid = BPF_CORE_READ(child, tgid);

	if (child_pid == pid || !inherit_watching(pid, child_pid)) /* a thread, or a stranger */
		return 0;
	inherit_enforced(pid, child_pid);
	send_fork(child, pid, inherit_interpreter(pid, child_pid));
	return 0;
}

/*
 * sched_process_exec(task, old_pid, bprm): a new address space, so nothing known of the thread
 * holds any longer. When a thread other than the leader called exec, it has taken the leader's id.
 */
SEC("raw_tp/sched_process_exec")
int on_exec(struct bpf_raw_tracepoint_args *ctx)
{
	struct task_struct *task = (void *)ctx->args[0];

	forget_thread((__u32)ctx->args[1], GW_END_EXEC);
	forget_thread(BPF_CORE_READ(task, pid), GW_END_EXEC);
	forget_memory(task, GW_END_EXEC);
	return 0;
}

/* sched_process_exit(task): runs on the thread that ends. */
SEC("raw_tp/sched_process_exit")
int on_exit(struct bpf_raw_tracepoint_args *ctx)
{
	struct task_struct *task = (void *)ctx->args[0];
	__u32 pid = BPF_CORE_READ(task, tgid);

	forget_thread(BPF_CORE_READ(task, pid), GW_END_EXIT);
	if (BPF_CORE_READ(task, signal, live.counter) == 0) { /* the last thread of its process */
		bpf_map_delete_elem(&processes, &pid);
		bpf_map_delete_elem(&held, &pid);
		bpf_map_delete_elem(&answers, &pid);
		forget_memory(task, GW_END_EXIT);
	}
	return 0;
}

/*
 * signal_generate(signal, info, task, group, result): who has sent a signal to gradwatch and to its
 * command. What they get does not say whether it was meant for one of them or for their group.
 */
SEC("raw_tp/signal_generate")
int on_signal(struct bpf_raw_tracepoint_args *ctx)
{
	struct task_struct *task = (void *)ctx->args[2];
	__u64 number = ctx->args[0];
	__u32 sender = bpf_get_current_pid_tgid() >> 32;
	struct gw_sent *sent;
	__u32 pid;

	if (sender == signals.own_pid || number >= GW_MAX_SIGNALS)
		return 0;
	pid = BPF_CORE_READ(task, tgid);
	if (pid == signals.own_pid)
		sent = &signals.own[number];
	else if (pid == signals.command_pid)
		sent = &signals.command[number];
	else
		return 0;
	sent->time = bpf_ktime_get_ns();
	sent->sender = sender;
	return 0;
}
