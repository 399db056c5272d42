// SPDX-License-Identifier: GPL-2.0-or-later
#include "enforce/enforce.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "enforce/arming.h"
#include "enforce/holds.h"
#include "enforce/pending.h"
#include "enforce/raise.h"
#include "enforce/stops.h"
#include "enforce/target.h"
#include "enforce/watchdog.h"
#include "target/procfs.h"

#define MAX_STOPPED    1024         /* processes that wait for an answer at one time */
#define STOP_NS        500000000ull /* a thread is so long in the kernel without stopping, at most */
#define CEASE_NS       2000000      /* a program that is under way ends within it */

#define NOT_BY_BINDING "the change is not made by a call of torch._C's function"
#define UNSURE         "it may be the way back from a change that was not seen"

struct enforce {
	const struct enforce_policy *policy;
	struct discover *discover;
	struct arming *arming;
	struct holds *holds;
	struct pending *pending;
	struct stops stops;
	struct watchdog watchdog;
	struct target stopped[MAX_STOPPED]; /* without pidfd */
	size_t stopped_count;
	size_t still; /* of these, those that are known to stand still */
};

/* A question, with what is needed to answer it. */
struct question {
	const struct gw_event_record *record;
	struct event *event;
};

/* --- reporting ---------------------------------------------------------------------------------
 */

static void report(struct enforce *enforce, struct event *event)
{
	model_action(enforce->discover->model, event);
}

static void report_outcome(struct enforce *enforce, struct event *event,
			   enum action_outcome outcome, const char *detail)
{
	struct event_action *action = &event->action;

	action->outcome = outcome;
	action->duration_ns = clock_between(event->time, clock_monotonic());
	str_format(action->detail, sizeof(action->detail), "%s", detail);
	report(enforce, event);
}

static void on_let_go(void *context, struct event *event)
{
	report(context, event);
}

static bool ran_on(void *context, uint32_t tid, uint64_t asked)
{
	return programs_ran_on(((struct enforce *)context)->discover->programs, tid, asked);
}

static void send_signal(struct enforce *enforce, const struct target *target, struct event *event,
			uint64_t asked, int number);

static void on_signal_outcome(void *context, const struct target *target, struct event *event)
{
	struct enforce *enforce = context;
	bool again = event->action.outcome == ACTION_TOO_LATE && enforce->policy->escalate &&
		     event->action.signal != SIGKILL;
	struct target copy;

	report(enforce, event);
	if (!again || target_open(&copy, target->pid, target->start_time))
		return;
	event->action.action = GW_ACTION_KILL;
	event->action.after_change = true;
	event->action.by_bpf = false;
	event->action.detail[0] = '\0';
	send_signal(enforce, &copy, event, 0, SIGKILL);
}

/* --- acting ------------------------------------------------------------------------------------
 */

/* The call that the question is about goes on. */
static void let_call_go(struct enforce *enforce, const struct gw_event_record *record)
{
	if (record->asked)
		programs_let_go(enforce->discover->programs, record->tid, record->asked);
}

static int open_target(struct target *target, const struct gw_event_record *record)
{
	return target_open(target, (pid_t)record->pid, record->start_time);
}

/* Takes the target over. */
static void watch_signal(struct enforce *enforce, const struct target *target, struct event *event,
			 uint64_t asked, int number)
{
	struct target own = *target;

	event->action.signal = number;
	if (!pending_add(enforce->pending, &own, event, asked, clock_monotonic()))
		return;
	report_outcome(enforce, event, ACTION_TOO_LATE,
		       "out of memory to see what the signal does");
	target_close(&own);
}

static void send_signal(struct enforce *enforce, const struct target *target, struct event *event,
			uint64_t asked, int number)
{
	struct target own = *target;
	int code = target_signal(&own, number);

	event->action.signal = number;
	if (!code) {
		watch_signal(enforce, &own, event, asked, number);
		return;
	}
	report_outcome(enforce, event, ACTION_REFUSED,
		       code == -ESRCH ? "it has ended" : strerror(-code));
	target_close(&own);
}

static void hold(struct enforce *enforce, const struct target *target, struct event *event)
{
	bool is_held = holds_has(enforce->holds, target->pid); /* for another of its threads */
	struct target own = *target;
	int code = target_wait_stopped(&own, (pid_t)event->process.tid, STOP_NS);

	event->action.hold_ns = enforce->policy->hold_ns;
	if (!code && !is_held)
		code = holds_add(enforce->holds, &own, event, clock_monotonic());
	if (code || is_held)
		target_close(&own);
	if (!code)
		report_outcome(enforce, event, ACTION_PERFORMED, "");
	else if (code == -ETIMEDOUT || code == -ESRCH)
		report_outcome(enforce, event, ACTION_TOO_LATE,
			       code == -ESRCH ? "it has ended" : "it did not stop");
	else
		report_outcome(enforce, event, ACTION_REFUSED, strerror(-code));
}

/* Does what needs no call to be changed, with the process stopped or stopping. */
static void do_action(struct enforce *enforce, const struct question *question,
		      enum gw_action action)
{
	struct target target;
	int code;

	let_call_go(enforce, question->record);
	question->event->action.action = action;
	if (action == GW_ACTION_REPORT)
		return;
	code = open_target(&target, question->record);
	if (code)
		report_outcome(enforce, question->event, ACTION_REFUSED,
			       code == -ESRCH ? "it has ended" : strerror(-code));
	else if (action == GW_ACTION_HOLD)
		hold(enforce, &target, question->event);
	else
		send_signal(enforce, &target, question->event, question->record->asked,
			    (int)enforce->policy->bpf.signal);
}

static void refuse(struct enforce *enforce, const struct question *question, const char *why)
{
	struct event_action *action = &question->event->action;

	action->action = GW_ACTION_RAISE;
	action->fallback = enforce->policy->bpf.fallback;
	report_outcome(enforce, question->event, ACTION_REFUSED, why);
	action->detail[0] = '\0';
}

static void why_not_raised(char *out, size_t size, int code, const struct gw_event_record *record)
{
	struct procfs_signals signals;

	if (code == -EPERM && !procfs_signals((pid_t)record->tid, &signals) && signals.tracer)
		str_format(out, size, "process %d traces it already", signals.tracer);
	else if (code == -EALREADY)
		str_format(out, size, "the call had gone on");
	else if (code == -ESRCH)
		str_format(out, size, "it has ended");
	else if (code == -ETIMEDOUT)
		str_format(out, size, "the thread did not stop");
	else if (code == -ENOSPC)
		str_format(out, size, "its libtorch_python has no unused memory for messages");
	else
		str_format(out, size, "ptrace: %s", strerror(-code));
}

static bool has_ended(const struct gw_event_record *record)
{
	struct target target;
	int code = open_target(&target, record);
	bool ended = code == -ESRCH || (!code && target_has_ended(&target));

	if (!code)
		target_close(&target);
	return ended;
}

struct asked {
	const struct programs *programs;
	uint64_t time;
};

static bool is_current(void *context, const struct raise_call *call)
{
	const struct asked *asked = context;

	return programs_is_asking(asked->programs, (uint32_t)call->tid, asked->time);
}

static void raise_in(struct enforce *enforce, const struct question *question)
{
	const struct gw_event_record *record = question->record;
	struct asked asked = {enforce->discover->programs, record->asked};
	const struct raise_call call = {
		.pid = (pid_t)record->pid,
		.tid = (pid_t)record->tid,
		.stack_pointer = record->stack_pointer,
		.trace = record->trace,
		.to = record->to,
		.is_current = is_current,
		.context = &asked,
	};
	struct raise_place place;
	char why[160];
	int code;

	question->event->action.action = GW_ACTION_RAISE;
	code = arming_place(enforce->arming, record->pid, record->start_time, &place, why,
			    sizeof(why));
	if (!code) {
		code = raise_exception(&call, &place);
		if (code)
			why_not_raised(why, sizeof(why), code, record);
	} else if (has_ended(record)) {
		str_format(why, sizeof(why), "it has ended"); /* so it maps nothing */
	}
	if (!code) {
		report_outcome(enforce, question->event, ACTION_PERFORMED, "");
	} else if (code == -EALREADY) {
		let_call_go(enforce, record);
		report_outcome(enforce, question->event, ACTION_TOO_LATE, why);
	} else {
		refuse(enforce, question, why);
		do_action(enforce, question, enforce->policy->bpf.fallback);
	}
}

/* --- what is asked -----------------------------------------------------------------------------
 */

/*
 * Lets go who is to go on. The first time true is returned, so that the questions are taken that
 * were put before all stood still.
 */
static bool settle(void *context)
{
	struct enforce *enforce = context;

	if (enforce->still < enforce->stopped_count) {
		uint64_t end = clock_monotonic() + STOP_NS; /* for all of them */

		for (; enforce->still < enforce->stopped_count; enforce->still++)
			target_wait_stopped(&enforce->stopped[enforce->still], 0,
					    clock_between(clock_monotonic(), end));
		return true;
	}
	for (size_t i = 0; i < enforce->stopped_count; i++) {
		const struct target *target = &enforce->stopped[i];

		/* Where that fails, the watchdog continues it. */
		if (!holds_has(enforce->holds, target->pid))
			stops_continue(&enforce->stops, target->pid, target->start_time);
	}
	enforce->stopped_count = enforce->still = 0;
	return false;
}

/* The process is to go on once all is answered. */
static void note_stopped(struct enforce *enforce, const struct gw_event_record *record)
{
	for (size_t i = 0; i < enforce->stopped_count; i++)
		if (enforce->stopped[i].pid == (pid_t)record->pid)
			return;
	if (enforce->stopped_count == MAX_STOPPED)
		while (settle(enforce))
			;
	enforce->stopped[enforce->stopped_count++] = (struct target){
		.pid = (pid_t)record->pid, .pidfd = -1, .start_time = record->start_time};
}

/* BPF sent the signal, and the process had ended before its record was read. */
static void report_ended(struct enforce *enforce, const struct question *question)
{
	bool made = ran_on(enforce, question->record->tid, question->record->asked);

	question->event->action.signal = (int)enforce->policy->bpf.signal;
	report_outcome(enforce, question->event, made ? ACTION_TOO_LATE : ACTION_PERFORMED, "");
}

static void enforce_on(struct enforce *enforce, const struct question *question)
{
	enum gw_action action = enforce->policy->bpf.action;
	struct target target;

	question->event->action.action = action;
	switch (question->record->ask) {
	case GW_ASK_DRY:
		report_outcome(enforce, question->event, ACTION_DRY_RUN, "");
		break;
	case GW_ASK_MISSED:
		refuse(enforce, question, NOT_BY_BINDING);
		break;
	case GW_ASK_SIGNALLED:
		if (action == GW_ACTION_RAISE)
			question->event->action.action = enforce->policy->bpf.fallback;
		if (!open_target(&target, question->record))
			watch_signal(enforce, &target, question->event, question->record->asked,
				     (int)enforce->policy->bpf.signal);
		else
			report_ended(enforce, question);
		break;
	case GW_ASK_RAISED:
		report_outcome(enforce, question->event, ACTION_PERFORMED, "");
		break;
	case GW_ASK_STOPPED:
		if (question->record->header.type == GW_RECORD_ASK) {
			raise_in(enforce, question);
			break;
		}
		if (action == GW_ACTION_RAISE) {
			refuse(enforce, question, NOT_BY_BINDING);
			action = enforce->policy->bpf.fallback;
		}
		do_action(enforce, question, action);
		break;
	}
}

/* It may be the way back: that is not prevented. */
static void report_unsure(struct enforce *enforce, const struct question *question)
{
	question->event->action.action = enforce->policy->bpf.action;
	question->event->action.fallback = GW_ACTION_REPORT;
	report_outcome(enforce, question->event, ACTION_REFUSED, UNSURE);
}

static void decide_change(struct enforce *enforce, struct model_decision *decision)
{
	const struct gw_event_record *record = &decision->record;
	const struct question question = {record, &decision->event};
	bool wanted = enforce->policy->kinds >> decision->kind & 1;

	if (record->ask == GW_ASK_STOPPED)
		note_stopped(enforce, record);
	if (decision->verdict == MODEL_VERDICT_VIOLATION && wanted) {
		enforce_on(enforce, &question);
		return;
	}
	let_call_go(enforce, record);
	if (decision->verdict == MODEL_VERDICT_UNSURE && wanted && record->ask != GW_ASK_MISSED)
		report_unsure(enforce, &question);
}

static void decide_trace(struct enforce *enforce, const struct model_decision *decision)
{
	const struct gw_event_record *record = &decision->record;
	bool wanted = !decision->info && enforce->policy->kinds >> decision->kind & 1;

	/* First what BPF raises with, then the leave to do so. */
	if (wanted && enforce->policy->bpf.registers)
		arming_prepare(enforce->arming, record->pid, record->start_time);
	programs_decide(enforce->discover->programs, record->trace,
			wanted ? GW_DECISION_ACT : GW_DECISION_LET_BE);
}

static void on_decision(void *context, struct model_decision *decision)
{
	if (decision->subject == MODEL_SUBJECT_TRACE)
		decide_trace(context, decision);
	else if (decision->subject == MODEL_SUBJECT_CHANGE)
		decide_change(context, decision);
}

static void on_trace_ended(void *context, uint64_t trace)
{
	programs_decide(((struct enforce *)context)->discover->programs, trace, 0);
}

/* --- the loop's --------------------------------------------------------------------------------
 */

static int on_process(void *context, struct process *process, struct library *library,
		      const struct process_file *file, const struct mapped *mapped)
{
	return arming_process(((struct enforce *)context)->arming, process, library, file, mapped);
}

static void on_process_ended(void *context, uint32_t pid)
{
	arming_forget(((struct enforce *)context)->arming, pid);
}

static void check_watchdog(struct enforce *enforce)
{
	struct err err;
	int code = watchdog_check(&enforce->watchdog, &err);

	if (code > 0)
		log_warn("the watchdog had ended; another one was started");
	else if (code < 0)
		log_warn("the watchdog has ended: if gradwatch is killed now, what it has stopped "
			 "stays so; %s",
			 err.text);
}

static void on_tick(void *context, uint64_t now)
{
	struct enforce *enforce = context;

	check_watchdog(enforce);
	holds_tick(enforce->holds, now);
	raise_tick();
	pending_tick(enforce->pending, now);
}

static bool is_undecided(void *context, uint32_t pid)
{
	return pending_has(((struct enforce *)context)->pending, (pid_t)pid);
}

static void on_interrupt(void *context)
{
	holds_release_all(((struct enforce *)context)->holds, "gradwatch was interrupted",
			  clock_monotonic());
}

static int start(void *context, struct discover *discover, struct err *err)
{
	const struct pending_rules rules = {ran_on, on_signal_outcome, context};
	struct enforce *enforce = context;

	target_reserve();
	enforce->discover = discover;
	enforce->stops = (struct stops){programs_held_fd(discover->programs),
					programs_answers_fd(discover->programs)};
	enforce->arming = arming_new(enforce->policy, discover);
	enforce->holds = holds_new(enforce->policy->hold_ns, &enforce->stops, on_let_go, enforce);
	enforce->pending = pending_new(&rules);
	if (!enforce->arming || !enforce->holds || !enforce->pending)
		return err_set(err, -ENOMEM, "out of memory");
	programs_set_acting(discover->programs, true);
	return watchdog_start(&enforce->watchdog, &enforce->stops, err);
}

static void cease(void *context)
{
	const struct timespec pause = {.tv_nsec = CEASE_NS};
	struct enforce *enforce = context;

	programs_set_acting(enforce->discover->programs, false);
	holds_release_all(enforce->holds, "gradwatch ends", clock_monotonic());
	nanosleep(&pause, NULL);
}

static void stop(void *context)
{
	struct enforce *enforce = context;

	holds_release_all(enforce->holds, "gradwatch ends", clock_monotonic());
	while (settle(enforce))
		;
	pending_finish(enforce->pending);
	watchdog_stop(&enforce->watchdog);
}

struct enforce *enforce_new(const struct enforce_policy *policy)
{
	struct enforce *enforce = calloc(1, sizeof(*enforce));

	if (enforce) {
		enforce->policy = policy;
		enforce->watchdog.fd = -1;
	}
	return enforce;
}

void enforce_free(struct enforce *enforce)
{
	if (!enforce)
		return;
	watchdog_stop(&enforce->watchdog);
	arming_free(enforce->arming);
	holds_free(enforce->holds);
	pending_free(enforce->pending);
	free(enforce);
}

void enforce_actor(struct enforce *enforce, struct watch_actor *actor)
{
	*actor = (struct watch_actor){
		.start = start,
		.process = on_process,
		.process_ended = on_process_ended,
		.decide = on_decision,
		.trace_ended = on_trace_ended,
		.settle = settle,
		.tick = on_tick,
		.is_undecided = is_undecided,
		.interrupt = on_interrupt,
		.cease = cease,
		.stop = stop,
		.context = enforce,
	};
}
