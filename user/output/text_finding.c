// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A finding as a person reads it: what happened, the line of code, what to do. The rest (ids,
 * counters, whole paths) is in the JSON form.
 */
#include "output/text_finding.h"

#include <inttypes.h>
#include <string.h>

#include "model/advice.h"
#include "output/common.h"

#define INDENT "\n    "

const char *text_finding_title(const struct event_finding *finding)
{
	if (finding->severity == SEVERITY_SUPPRESSED)
		return "suppressed";
	if (finding->severity == SEVERITY_NOTE)
		return "NOTE";
	if (finding->severity == SEVERITY_INFO)
		return "info";
	if (finding->category == FINDING_DRIFT)
		return "DRIFT";
	if (finding->category == FINDING_UNBALANCED)
		return "UNBALANCED";
	if (finding->before_attach)
		return "block ended";
	return event_scope_is_empty(finding) ? "empty scope" : "VIOLATION";
}

static const char *state_word(uint8_t state, uint8_t changed)
{
	if (changed & GW_STATE_GRAD)
		return state & GW_STATE_GRAD ? "on" : "off";
	return state & GW_STATE_INFERENCE ? "on" : "off";
}

static const char *state_name(uint8_t changed)
{
	if ((changed & (GW_STATE_GRAD | GW_STATE_INFERENCE)) ==
	    (GW_STATE_GRAD | GW_STATE_INFERENCE))
		return "grad mode (with inference mode)";
	return changed & GW_STATE_GRAD ? "grad mode" : "inference mode";
}

static void print_fate(FILE *stream, const struct event_finding *finding)
{
	if (finding->category == FINDING_UNBALANCED)
		return;
	switch (finding->restored) {
	case RESTORED_YES:
		fprintf(stream, ", back %s ",
			state_word(finding->from, finding->from ^ finding->to));
		output_duration(stream, finding->duration_ns);
		if (!finding->uncounted)
			fprintf(stream, " and %" PRIu64 " %s", finding->operators,
				output_plural(finding->operators, "operator", "operators"));
		fputs(" later: restored", stream);
		return;
	case RESTORED_NO:
		fprintf(stream, ", not put back before %s ended", output_the_trace(finding->kind));
		if (!finding->uncounted)
			fprintf(stream, ", %" PRIu64 " %s later", finding->operators,
				output_plural(finding->operators, "operator", "operators"));
		return;
	case RESTORED_UNKNOWN:
		fputs(", whether it was put back is not known", stream);
		return;
	}
}

static void print_what(FILE *stream, const struct event_finding *finding)
{
	uint8_t changed = finding->from ^ finding->to;

	fputs(INDENT, stream);
	if (finding->before_attach) {
		fprintf(stream,
			"grad mode %s -> %s: a block that began before gradwatch attached has "
			"ended",
			state_word(finding->from, changed), state_word(finding->to, changed));
		return;
	}
	if (finding->category == FINDING_UNBALANCED)
		fprintf(stream, "%s began with grad mode %s and ended with it %s",
			output_the_trace(finding->kind), state_word(finding->from, changed),
			state_word(finding->to, changed));
	else
		fprintf(stream, "%s %s -> %s inside %s%s", state_name(changed),
			state_word(finding->from, changed), state_word(finding->to, changed),
			output_a_trace(finding->kind),
			finding->category == FINDING_DRIFT
				? " (not by the setter: seen at the next operator)"
				: "");
	print_fate(stream, finding);
	if (finding->category == FINDING_SCOPE && event_scope_is_empty(finding))
		fprintf(stream, INDENT "no operator was traced in it, so the %s is not affected",
			finding->kind == TRACE_KIND_COMPILE ? "compiled code" : "graph");
}

static const char *why_no_stack(enum gw_stack_status status)
{
	switch (status) {
	case GW_STACK_NO_PYTHON:
		return "this process's Python is not known to gradwatch";
	case GW_STACK_UNSUPPORTED:
		return "gradwatch does not know the stacks of this version of Python";
	case GW_STACK_NO_THREAD:
		return "the thread runs no Python";
	case GW_STACK_UNREADABLE:
		return "its memory could not be read";
	case GW_STACK_BUSY:
		return "too many stacks were walked at that moment";
	case GW_STACK_WHOLE:
	case GW_STACK_CUT:
	case GW_STACK_MAX:
		break;
	}
	return "no frame is the user's own";
}

static void print_decorated(FILE *stream, const struct event_finding *finding)
{
	const char *manager = finding->manager[0] ? finding->manager : "no_grad or the like";

	fputs(INDENT, stream);
	if (finding->decorated) {
		output_escaped(stream, finding->decorated->function, OUTPUT_NAME_BYTES);
		fprintf(stream, " (@%s), called at ", manager);
	} else {
		fprintf(stream, "a function decorated with @%s, called at ", manager);
	}
}

/* A graph's node made the change: between it and the user's line is what runs the graph. */
static bool is_of_graph(const struct event_stack *stack)
{
	size_t end = stack->user < 0 ? stack->count : (size_t)stack->user;

	for (size_t i = 0; i < end && stack->origin; i++) {
		const char *package = stack->origin[i].package;

		if (stack->origin[i].whose == ORIGIN_GENERATED ||
		    (package && !strcmp(package, "torch/fx/interpreter.py")))
			return true;
	}
	return false;
}

static void print_graph(FILE *stream, const struct event *event, bool has_place)
{
	bool compiled = event->finding.kind == TRACE_KIND_COMPILE;

	fputs(INDENT, stream);
	fputs(compiled ? "compiled code" : "a graph's code", stream);
	if (!has_place)
		fputs(", which has no line of the user's", stream);
	else
		fputs(compiled ? ", called at " : ", run at ", stream);
}

static void print_where(FILE *stream, const struct event *event)
{
	const struct event_frame *user = event_user_frame(&event->stack);
	const struct event_finding *finding = &event->finding;

	if (!user && is_of_graph(&event->stack)) {
		print_graph(stream, event, false);
		return;
	}
	if (!user) {
		fprintf(stream, INDENT "place unknown: %s", why_no_stack(event->stack.status));
		return;
	}
	if (finding->decorator)
		print_decorated(stream, finding);
	else if (finding->category != FINDING_UNBALANCED && is_of_graph(&event->stack))
		print_graph(stream, event, true);
	else
		fputs(finding->category == FINDING_UNBALANCED ? INDENT "traced at " : INDENT,
		      stream);
	output_place(stream, user);
	if (finding->caller) {
		fputs(", used at ", stream);
		output_place(stream, finding->caller);
	}
}

/* How much of the graph is a region: the operators of a pre-dispatch trace are not counted. */
static void print_region(FILE *stream, const struct event_finding *finding)
{
	fputs(INDENT "the graph has a region of its own (wrap_with_set_grad_enabled) for ", stream);
	if (finding->decorator)
		fputs("all of the decorated function", stream);
	else if (finding->restored == RESTORED_YES)
		fputs("all that ran in between", stream);
	else
		fputs("all that ran from there on", stream);
}

static void print_began(FILE *stream, const struct event_finding *finding)
{
	if (!(finding->began & (GW_STATE_UNKNOWN | GW_STATE_GRAD)))
		fprintf(stream, INDENT "%s began with grad off", output_the_trace(finding->kind));
}

static void print_advice(FILE *stream, const struct event_finding *finding)
{
	const char *text = advice_text(finding->advice);

	if (text)
		fprintf(stream, INDENT "%s", text);
}

static void print_stack(FILE *stream, const struct event_stack *stack)
{
	for (size_t i = 0; i < stack->count; i++) {
		const struct event_frame *frame = &stack->frame[i];

		fputs(INDENT "  ", stream);
		output_escaped(stream, frame->file, OUTPUT_NAME_BYTES);
		fprintf(stream, ":%d in ", frame->line);
		output_escaped(stream, frame->function, OUTPUT_NAME_BYTES);
	}
	if (stack->status == GW_STACK_CUT)
		fputs(INDENT "  ... outer frames are cut off", stream);
}

void text_finding_body(FILE *stream, const struct event *event, bool with_stack)
{
	const struct event_finding *finding = &event->finding;

	print_what(stream, finding);
	print_where(stream, event);
	print_began(stream, finding);
	if (finding->severity == SEVERITY_NOTE)
		print_region(stream, finding);
	if (finding->suppression) {
		fputs(INDENT "accepted by ", stream);
		output_escaped(stream, finding->suppression, OUTPUT_NAME_BYTES);
	} else {
		print_advice(stream, finding);
	}
	if (with_stack)
		print_stack(stream, &event->stack);
}
