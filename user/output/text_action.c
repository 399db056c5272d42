// SPDX-License-Identifier: GPL-2.0-or-later
/* What was done about a violation, as a person reads it. */
#include "output/text_action.h"

#include <inttypes.h>
#include <signal.h>
#include <string.h>

#include "output/common.h"
#include "output/names.h"

#define INDENT "\n    "

const char *text_action_title(const struct event_action *action)
{
	static const char *const done[GW_ACTION_MAX] = {
		[GW_ACTION_REPORT] = "reported", [GW_ACTION_HOLD] = "HELD",
		[GW_ACTION_RAISE] = "RAISED",    [GW_ACTION_SIGNAL] = "ENDED",
		[GW_ACTION_KILL] = "KILLED",
	};

	switch (action->outcome) {
	case ACTION_PERFORMED:
		return action->action < GW_ACTION_MAX ? done[action->action] : "done";
	case ACTION_TOO_LATE:
		return "TOO LATE";
	case ACTION_REFUSED:
		return "NOT DONE";
	case ACTION_DRY_RUN:
		return "dry run";
	case ACTION_LET_GO:
		return "let go";
	case ACTION_OUTCOME_MAX:
		break;
	}
	return "action";
}

static void print_change(FILE *stream, const struct event_action *action)
{
	fprintf(stream, INDENT "grad mode %s -> %s inside %s", action->from ? "on" : "off",
		action->to ? "on" : "off", output_a_trace(action->kind));
}

static void print_action(FILE *stream, const struct event_action *action)
{
	const char *name = action->action == GW_ACTION_SIGNAL ? sigabbrev_np(action->signal) : NULL;

	fputs(output_action(action->action), stream);
	if (name)
		fprintf(stream, ":%s", name);
}

static void print_performed(FILE *stream, const struct event *event)
{
	const struct event_action *action = &event->action;

	switch (action->action) {
	case GW_ACTION_RAISE:
		fputs(": the call raised RuntimeError instead, after ", stream);
		break;
	case GW_ACTION_HOLD:
		fputs(": the process is stopped before it, after ", stream);
		break;
	default:
		fprintf(stream, ": the process was ended %s it, by ",
			action->after_change ? "after" : "before");
		print_action(stream, action);
		return;
	}
	output_duration(stream, action->duration_ns);
}

static void print_advice(FILE *stream, const struct event *event)
{
	uint32_t pid = event->process.pid;

	fprintf(stream,
		INDENT "look at it:  py-spy dump --pid %" PRIu32 "    gdb -p %" PRIu32 INDENT
		       "let it go:   gradwatch release %" PRIu32 INDENT
		       "end it:      kill -KILL %" PRIu32 INDENT "it goes on by itself in ",
		pid, pid, pid, pid);
	output_duration(stream, event->action.hold_ns);
}

static void print_outcome(FILE *stream, const struct event *event)
{
	const struct event_action *action = &event->action;

	switch (action->outcome) {
	case ACTION_PERFORMED:
		print_performed(stream, event);
		break;
	case ACTION_TOO_LATE:
		fputs(": it was made all the same, in spite of ", stream);
		print_action(stream, action);
		break;
	case ACTION_REFUSED:
		fputs(": not possible to ", stream);
		print_action(stream, action);
		fputs(", so ", stream);
		fputs(output_action(action->fallback), stream);
		break;
	case ACTION_DRY_RUN:
		fputs(": without --dry-run, it would have been acted on by ", stream);
		print_action(stream, action);
		break;
	case ACTION_LET_GO:
		fputs(": held for ", stream);
		output_duration(stream, action->duration_ns);
		break;
	case ACTION_OUTCOME_MAX:
		break;
	}
}

void text_action_body(FILE *stream, const struct event *event)
{
	const struct event_action *action = &event->action;
	const struct event_frame *user = event_user_frame(&event->stack);

	print_change(stream, action);
	print_outcome(stream, event);
	if (action->detail[0]) {
		fputs("; ", stream);
		output_escaped(stream, action->detail, sizeof(action->detail));
	}
	if (user) {
		fputs(INDENT "at ", stream);
		output_place(stream, user);
	}
	if (action->action == GW_ACTION_HOLD && action->outcome == ACTION_PERFORMED)
		print_advice(stream, event);
}
