/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Acting on a violation before it happens. At the native setter the process is stopped or sent a
 * signal: it takes effect when the thread leaves the kernel, that is before the instruction after
 * the probed one. At the Python binding of the setter the process is stopped, so that user space
 * can make the call raise instead (user/enforce/raise.c).
 *
 * Only user space knows the kind of a trace and what is accepted. What it has decided of a trace is
 * in a map; until it has, the process is stopped and user space asked. So no violation slips
 * through in a trace that has just begun. A process that is stopped is first noted in `held`: a
 * watchdog lets it go if gradwatch dies.
 */
#ifndef GRADWATCH_ENFORCE_BPF_H
#define GRADWATCH_ENFORCE_BPF_H

#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

#include "maps.bpf.h"
#include "nest.bpf.h"
#include "traces.bpf.h"

#define SIGNAL_STOP 19 /* SIGSTOP, x86 and arm64 */

const volatile struct gw_policy policy = {};

/*
 * What is to be done about a change to `to`: GW_DECISION_, 0: user space must be asked. in_python:
 * it is a call of the Python binding.
 *
 * Nothing is done about the way back, where to raise would leave the wrong mode, and about what
 * autograd does by itself. A change to the mode that the trace began with is the way back, unless a
 * context manager makes it that is entered: so a backward pass, which is run without grad, is
 * departed from. BPF acts by itself only where the innermost frame says that it is none of these.
 */
static __always_inline __u32 enforce_decision(const struct gw_trace *trace, __u8 to, bool in_python)
{
	int changer = peek_changer();
	__u64 id = trace->id;
	__u8 *decision;

	if (changer == CHANGER_EXIT || (changer == CHANGER_AUTOGRAD && !in_python))
		return GW_DECISION_LET_BE;
	if (changer != CHANGER_ENTER && trace->seen_from_start &&
	    (trace->state_begin & GW_STATE_GRAD) == to)
		return GW_DECISION_LET_BE;
	decision = bpf_map_lookup_elem(&decisions, &id);
	if (!decision)
		return 0;
	if (*decision == GW_DECISION_ACT && (policy.ask_always || changer != CHANGER_ENTER))
		return 0;
	return *decision;
}

/* The process at hand, if one acts in it; NULL: not, or not any more. */
static __always_inline struct gw_enforced *enforce_process(void)
{
	__u32 pid = bpf_get_current_pid_tgid() >> 32, zero = 0;
	__u32 *is_acting = bpf_map_lookup_elem(&acting, &zero);

	return is_acting && *is_acting ? bpf_map_lookup_elem(&enforced, &pid) : NULL;
}

/*
 * Whether user space has been asked of the call that is under way, and has let it go. With a mode
 * for torch functions, as make_fx has one, a call comes by the binding twice.
 */
static __always_inline bool enforce_was_let_go(const struct gw_thread *thread)
{
	__u32 tid = thread->tid;
	struct gw_nest *nest;
	__u64 *answered;

	if (!(thread->noted & THREAD_ASKED) || policy.dry_run)
		return thread->noted & THREAD_ASKED;
	answered = bpf_map_lookup_elem(&let_go, &tid);
	nest = bpf_map_lookup_elem(&nests, &tid);
	return answered && nest && *answered == nest->asked;
}

/* The thread puts a question at the entry of the binding. */
static __always_inline void enforce_note_asked(struct gw_thread *thread, __u64 asked)
{
	__u32 tid = thread->tid;
	struct gw_nest *nest = bpf_map_lookup_elem(&nests, &tid);

	if (!nest) /* it has a trace, so there is one */
		return;
	nest->asked = asked;
	thread->noted |= THREAD_ASKED;
	bpf_map_update_elem(&asking, &tid, &asked, BPF_ANY);
}

/* The thread is at the entry of the binding: if it has put a question there, it is past it. */
static __always_inline void enforce_note_past(const struct gw_thread *thread)
{
	__u32 tid = thread->tid;
	__u64 none = 0;

	if (thread->noted & THREAD_ASKED)
		bpf_map_update_elem(&asking, &tid, &none, BPF_ANY);
}

/* The thread is at a probe again: if it was sent a signal, that has not stopped the change. */
static __always_inline void enforce_note_life(struct gw_thread *thread)
{
	__u32 tid = thread->tid;
	struct gw_nest *nest;

	if (!policy.action || !(thread->noted & THREAD_ACTED))
		return;
	thread->noted &= ~THREAD_ACTED;
	nest = bpf_map_lookup_elem(&nests, &tid);
	if (nest)
		bpf_map_update_elem(&ran_on, &tid, &nest->acted, BPF_ANY);
}

/* Whether a call of this process can be made to raise by writing its registers. */
static __always_inline bool enforce_can_raise(void)
{
	struct gw_enforced *process = policy.registers ? enforce_process() : NULL;

	return process && process->err_format;
}

/* What is done about a change at the native setter. */
static __noinline __u32 enforce_setter(struct gw_thread *thread, const struct gw_trace *trace,
				       __u8 to, __u32 caller)
{
	__u32 action = policy.action, decision;

	if (!thread || !trace || !enforce_process())
		return GW_ASK_NONE;
	decision = caller == GW_CALLER_APPLY ? GW_DECISION_LET_BE
					     : enforce_decision(trace, to, false);
	/* The frames are those of the Python code that has called the C++ code: user space decides.
	 */
	if (caller == GW_CALLER_OTHER && decision == GW_DECISION_ACT)
		decision = 0;
	if (action == GW_ACTION_RAISE) {
		bool came_by_binding = enforce_was_let_go(thread);

		thread->noted &= ~THREAD_ASKED;
		if (decision == GW_DECISION_LET_BE)
			return GW_ASK_NONE;
		if (came_by_binding)
			return policy.dry_run ? GW_ASK_DRY : GW_ASK_NONE;
		action = policy.fallback;
		if (action == GW_ACTION_REPORT)
			return GW_ASK_MISSED;
	}
	if (decision == GW_DECISION_LET_BE)
		return GW_ASK_NONE;
	if (policy.dry_run)
		return GW_ASK_DRY;
	if (decision == GW_DECISION_ACT && action != GW_ACTION_HOLD)
		return GW_ASK_SIGNALLED;
	return GW_ASK_STOPPED;
}

/* Stops the process; not before somebody is sure to let it go. */
static __always_inline void enforce_stop(void)
{
	__u32 pid = bpf_get_current_pid_tgid() >> 32;
	struct gw_held value = {};
	__u32 ns_pid, ns_tid;

	traces_identify(&value.start_time, &ns_pid, &ns_tid);
	value.stopped = bpf_ktime_get_ns();
	if (bpf_map_update_elem(&held, &pid, &value, BPF_ANY)) {
		count(GW_ASKS_LOST);
		return;
	}
	/* What it returns is not needed: user space looks whether the process has stopped. */
	bpf_send_signal_thread(SIGNAL_STOP);
}

/* What is done about a change is only known to have been in time when the thread lives on. */
static __always_inline void enforce_note_acted(struct gw_thread *thread, __u64 asked)
{
	__u32 tid = thread->tid;
	struct gw_nest *nest = bpf_map_lookup_elem(&nests, &tid);

	if (!nest)
		return;
	nest->acted = asked;
	thread->noted |= THREAD_ACTED;
}

/* Does what the record says; sent: the record fitted. asked: as in the record. */
static __always_inline void enforce_do(struct gw_thread *thread, __u32 ask, __u64 asked, bool sent)
{
	if (thread && ask && !policy.dry_run)
		enforce_note_acted(thread, asked);
	if (ask == GW_ASK_SIGNALLED)
		bpf_send_signal_thread(policy.signal);
	else if (ask == GW_ASK_STOPPED && sent)
		enforce_stop();
	else if (ask == GW_ASK_STOPPED || ask == GW_ASK_RAISED)
		count(GW_ASKS_LOST);
}

#endif
