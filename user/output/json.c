// SPDX-License-Identifier: GPL-2.0-or-later
#include "output/sink.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "model/advice.h"
#include "model/suppressions.h"
#include "output/buffer.h"
#include "output/common.h"
#include "output/names.h"

/* Of the schema. Adding a key does not change it; removing one or changing its meaning does. */
#define SCHEMA_VERSION 1

/* /proc has start times in steps of the clock tick, BPF exactly: all events have the former. */
#define START_STEP_NS 10000000ull

/* Longest string of an event; each byte can become U+FFFD, which has three. */
#define STRING_MAX 4096
#define UTF8_MAX   (3 * STRING_MAX + 1)

/*
 * Jansson's constructors return NULL when out of memory, or for a string that is not UTF-8; to put
 * NULL into an object fails. So every value goes through put(), which notes that.
 */
struct line {
	json_t *object;
	bool failed;
};

static void put(struct line *line, const char *key, json_t *value)
{
	if (json_object_set_new(line->object, key, value))
		line->failed = true;
}

static void put_null(struct line *line, const char *key)
{
	put(line, key, json_null());
}

/* Jansson's integers are signed: larger numbers, to which nothing here counts, become 2^63 - 1. */
static void put_number(struct line *line, const char *key, uint64_t value)
{
	put(line, key, json_integer(value > INT64_MAX ? INT64_MAX : (json_int_t)value));
}

static void put_bool(struct line *line, const char *key, bool value)
{
	put(line, key, json_boolean(value));
}

static void put_string(struct line *line, const char *key, const char *value, size_t size)
{
	char utf8[UTF8_MAX];
	size_t length = str_to_utf8(utf8, sizeof(utf8), value, strnlen(value, size));

	put(line, key, json_stringn(utf8, length));
}

/* For strings that are empty when they are unknown. */
static void put_known(struct line *line, const char *key, const char *value, size_t size)
{
	if (value[0])
		put_string(line, key, value, size);
	else
		put_null(line, key);
}

static void put_time(struct line *line, const char *key, const struct sink_context *context,
		     uint64_t monotonic)
{
	char text[CLOCK_RFC3339_SIZE];

	clock_rfc3339(text, output_utc(context, monotonic));
	put_string(line, key, text, sizeof(text));
}

/* Begins an object within the line's; NULL values end up in the same failure. */
static struct line put_object(struct line *line, const char *key)
{
	struct line inner = {.object = json_object()};

	put(line, key, inner.object);
	inner.failed = line->failed;
	return inner;
}

static void put_torch(struct line *line, const struct event_torch *torch)
{
	struct line inner = put_object(line, "torch");

	if (inner.failed)
		return;
	put_known(&inner, "file", torch->file, sizeof(torch->file));
	put_known(&inner, "version", torch->version, sizeof(torch->version));
	line->failed = inner.failed;
}

static void put_process(struct line *line, const struct event *event)
{
	const struct event_process *process = &event->process;

	put_number(line, "pid", process->pid);
	put_number(line, "tid", process->tid);
	put_number(line, "ns_pid", process->ns_pid);
	put_number(line, "ns_tid", process->ns_tid);
	put_number(line, "start_ns", process->start_time - process->start_time % START_STEP_NS);
	put_string(line, "comm", process->comm, sizeof(process->comm));
	put_number(line, "uid", process->uid);
	put_known(line, "exe", process->exe, sizeof(process->exe));
	put_torch(line, &event->torch);
}

static void put_attached(struct line *line, const struct event_attached *attached)
{
	put_number(line, "sites", attached->sites);
	put_bool(line, "certain", attached->certain);
	put_known(line, "doubt", attached->doubt, sizeof(attached->doubt));
	put_number(line, "armed_after_ns", attached->armed_after_ns);
	put_bool(line, "too_late", attached->too_late);
}

/* A number for which 0 stands for none. */
static void put_number_or_null(struct line *line, const char *key, uint64_t number)
{
	if (number)
		put_number(line, key, number);
	else
		put_null(line, key);
}

static void put_frame(struct line *line, const struct event_frame *frame)
{
	put_string(line, "file", frame->file, STRING_MAX);
	put_string(line, "function", frame->function, STRING_MAX);
	put_number_or_null(line, "line", (uint64_t)frame->line);
	if (frame->file_cut || frame->function_cut)
		put_bool(line, "cut", true);
}

/* A frame as an object of its own; NULL: none. */
static void put_place(struct line *line, const char *key, const struct event_frame *frame)
{
	struct line inner;

	if (!frame) {
		put_null(line, key);
		return;
	}
	inner = put_object(line, key);
	if (inner.failed)
		return;
	put_frame(&inner, frame);
	line->failed = inner.failed;
}

static void put_stack(struct line *line, const struct event_stack *stack)
{
	json_t *frames = json_array();

	put_string(line, "stack_status", output_stack_status(stack->status), STRING_MAX);
	put_place(line, "user", event_user_frame(stack));
	put(line, "stack", frames);
	for (size_t i = 0; i < stack->count && !line->failed; i++) {
		struct line frame = {.object = json_object()};

		frame.failed = json_array_append_new(frames, frame.object);
		if (!frame.failed)
			put_frame(&frame, &stack->frame[i]);
		line->failed = frame.failed;
	}
}

static void put_trace(struct line *line, const struct sink_context *context,
		      const struct event_trace *trace)
{
	put_number(line, "trace", trace->id);
	put_string(line, "kind", kind_name(trace->kind), STRING_MAX);
	put_number(line, "depth", trace->depth);
	put_bool(line, "seen_from_start", trace->seen_from_start);
	put_time(line, "first_push", context, trace->first_push_ns);
	put_number(line, "first_push_ns", trace->first_push_ns);
	put_number(line, "last_push_ns", trace->last_push_ns);
	if (trace->last_pop_ns) {
		put_time(line, "last_pop", context, trace->last_pop_ns);
		put_number(line, "last_pop_ns", trace->last_pop_ns);
	} else {
		put_null(line, "last_pop");
		put_null(line, "last_pop_ns");
	}
	put_number(line, "pushes", trace->pushes);
	put_number(line, "pops", trace->pops);
	put_number(line, "operators", trace->operators);
	put_number(line, "violations", trace->violations);
}

/* What a trace began with; null: not known. */
static void put_began(struct line *line, uint8_t began)
{
	struct line inner;

	if (began & GW_STATE_UNKNOWN) {
		put_null(line, "began");
		return;
	}
	inner = put_object(line, "began");
	if (inner.failed)
		return;
	put_bool(&inner, "grad", began & GW_STATE_GRAD);
	put_bool(&inner, "inference", began & GW_STATE_INFERENCE);
	line->failed = inner.failed;
}

static void put_violation(struct line *line, const struct event_violation *violation)
{
	put_number_or_null(line, "trace", violation->trace);
	put_string(line, "kind", kind_name(violation->kind), STRING_MAX);
	put_bool(line, "from", violation->from);
	put_bool(line, "to", violation->to);
	put_bool(line, "certain", violation->certain);
	put_bool(line, "info", violation->info);
	put_began(line, violation->began);
}

static void put_restored(struct line *line, enum restored restored)
{
	if (restored == RESTORED_UNKNOWN)
		put_null(line, "restored");
	else
		put_bool(line, "restored", restored == RESTORED_YES);
}

static void put_state(struct line *line, const char *key, uint8_t state)
{
	struct line inner = put_object(line, key);

	if (inner.failed)
		return;
	put_bool(&inner, "grad", state & GW_STATE_GRAD);
	put_bool(&inner, "inference", state & GW_STATE_INFERENCE);
	line->failed = inner.failed;
}

static void put_finding(struct line *line, const struct event_finding *finding)
{
	put_number(line, "finding", finding->number);
	put_number(line, "count", finding->count);
	put_string(line, "category", output_category(finding->category), STRING_MAX);
	put_string(line, "severity", output_severity(finding->severity), STRING_MAX);
	put_number_or_null(line, "trace", finding->trace);
	put_string(line, "kind", kind_name(finding->kind), STRING_MAX);
	put_state(line, "from", finding->from);
	put_state(line, "to", finding->to);
	put_began(line, finding->began);
	put_bool(line, "certain", finding->certain);
	put_restored(line, finding->restored);
	put_number(line, "duration_ns", finding->duration_ns);
	if (finding->uncounted)
		put_null(line, "operators");
	else
		put_number(line, "operators", finding->operators);
	put_bool(line, "empty", !finding->operators && !finding->uncounted);
	put_bool(line, "before_attach", finding->before_attach);
	put_known(line, "manager", finding->manager, sizeof(finding->manager));
	put_known(line, "advice", advice_key(finding->advice) ? advice_key(finding->advice) : "",
		  STRING_MAX);
	put_string(line, "whose", output_owner(finding->owner), STRING_MAX);
	put_bool(line, "decorator", finding->decorator);
	put_place(line, "decorated", finding->decorated);
	put_place(line, "caller", finding->caller);
	put_known(line, "suppressed_by", finding->suppression ? finding->suppression : "",
		  STRING_MAX);
}

static void put_action(struct line *line, const struct event_action *action)
{
	put_number_or_null(line, "trace", action->trace);
	put_string(line, "kind", kind_name(action->kind), STRING_MAX);
	put_bool(line, "from", action->from);
	put_bool(line, "to", action->to);
	put_string(line, "action", output_action(action->action), STRING_MAX);
	put_string(line, "outcome", output_outcome(action->outcome), STRING_MAX);
	if (action->outcome == ACTION_REFUSED)
		put_string(line, "fallback", output_action(action->fallback), STRING_MAX);
	else
		put_null(line, "fallback");
	put_number_or_null(line, "signal", (uint64_t)action->signal);
	put_bool(line, "by_bpf", action->by_bpf);
	put_bool(line, "after_change", action->after_change);
	put_known(line, "detail", action->detail, sizeof(action->detail));
	put_number(line, "duration_ns", action->duration_ns);
}

/* How many actions had which outcome. */
static void put_actions(struct line *line, const uint64_t actions[ACTION_OUTCOME_MAX])
{
	struct line inner = put_object(line, "actions");

	if (inner.failed)
		return;
	for (unsigned int i = 0; i < ACTION_OUTCOME_MAX; i++)
		put_number(&inner, output_outcome(i), actions[i]);
	line->failed = inner.failed;
}

/* A group of the counters in the totals. */
static void put_counters(struct line *line, const char *key, const uint64_t *counter,
			 enum gw_counter first, enum gw_counter last)
{
	static const char *const name[] = {
		[GW_HITS] = "hits",
		[GW_REPORTED] = "reported",
		[GW_REDUNDANT] = "redundant",
		[GW_OUTSIDE] = "outside_trace",
		[GW_FILTERED] = "filtered",
		[GW_LOST] = "lost",
		[GW_THROTTLED] = "throttled",
		[GW_DRIFTS] = "drifts",
		[GW_UNREADABLE] = "unreadable",
		[GW_THREADS_FULL] = "threads_full",
		[GW_SESSIONS_FULL] = "sessions_full",
		[GW_NESTING_FULL] = "nesting_full",
		[GW_PROCESSES_FULL] = "processes_full",
		[GW_CODES_LOST] = "codes_lost",
		[GW_TRACES_LOST] = "traces_lost",
		[GW_DRIFTS_LOST] = "drifts_lost",
		[GW_NAMES_LOST] = "names_lost",
		[GW_ASKS_LOST] = "asks_lost",
		[GW_INTERPRETERS_FULL] = "interpreters_full",
		[GW_ENFORCED_FULL] = "enforced_full",
		[GW_DECISIONS_FULL] = "decisions_full",
		[GW_FORKS_LOST] = "forks_lost",
	};
	struct line inner = put_object(line, key);

	_Static_assert(sizeof(name) / sizeof(name[0]) == GW_COUNTER_MAX, "every counter is named");
	if (inner.failed)
		return;
	for (unsigned int i = first; i <= (unsigned int)last; i++)
		put_number(&inner, name[i], counter[i]);
	line->failed = inner.failed;
}

static void put_stacks(struct line *line, const uint64_t stacks[GW_STACK_MAX])
{
	struct line inner = put_object(line, "stacks");

	if (inner.failed)
		return;
	for (unsigned int i = 0; i < GW_STACK_MAX; i++)
		put_number(&inner, output_stack_status(i), stacks[i]);
	line->failed = inner.failed;
}

/* How often each name has accepted a finding, and the lines that never have. */
static void put_suppressions(struct line *line, const struct suppressions *suppressions)
{
	struct line inner = put_object(line, "suppressions");
	json_t *unused = json_array();
	unsigned int number = 0;

	for (size_t i = 0; i < suppressions_names(suppressions) && !inner.failed; i++) {
		char name[UTF8_MAX];
		const char *raw;
		uint64_t count;

		raw = suppressions_name(suppressions, i, &count);
		str_to_utf8(name, sizeof(name), raw, strnlen(raw, STRING_MAX));
		put_number(&inner, name, count);
	}
	line->failed |= inner.failed;
	put(line, "unused_suppressions", unused);
	while ((number = suppressions_next_unused(suppressions, number)) && !line->failed)
		line->failed = json_array_append_new(unused, json_integer(number));
}

static void put_totals(struct line *line, const struct event_totals *totals)
{
	put_number(line, "processes", totals->processes);
	put_number(line, "traces", totals->traces);
	put_number(line, "violations", totals->violations);
	put_number(line, "infos", totals->infos);
	put_number(line, "findings", totals->findings);
	put_number(line, "notes", totals->notes);
	put_number(line, "suppressed", totals->suppressed);
	put_number(line, "findings_forgotten", totals->findings_forgotten);
	put_number(line, "drifts", totals->counter[GW_DRIFTS]);
	put_number(line, "lost", totals->lost);
	put_number(line, "lost_output", totals->lost_output);
	if (totals->suppressions)
		put_suppressions(line, totals->suppressions);
	put_actions(line, totals->actions);
	put_stacks(line, totals->stacks);
	put_counters(line, "ledger", totals->counter, GW_HITS, GW_THROTTLED);
	put_counters(line, "counters", totals->counter, GW_UNREADABLE, GW_COUNTER_MAX - 1);
}

static const char *type_name(enum event_type type)
{
	switch (type) {
	case EVENT_START:
		return "start";
	case EVENT_ATTACHED:
		return "attached";
	case EVENT_SKIPPED:
		return "skipped";
	case EVENT_TRACE_BEGIN:
		return "trace_begin";
	case EVENT_TRACE_END:
		return "trace_end";
	case EVENT_VIOLATION:
		return "violation";
	case EVENT_FINDING:
		return "finding";
	case EVENT_REPEATED:
		return "repeated";
	case EVENT_ACTION:
		return "action";
	case EVENT_LOST:
		return "lost";
	case EVENT_LOST_OUTPUT:
		return "lost_output";
	case EVENT_END:
		return "end";
	}
	return "unknown";
}

static void put_body(struct line *line, const struct sink_context *context,
		     const struct event *event)
{
	switch (event->type) {
	case EVENT_START:
		break;
	case EVENT_ATTACHED:
		put_process(line, event);
		put_attached(line, &event->attached);
		break;
	case EVENT_SKIPPED:
		put_process(line, event);
		put_known(line, "reason", event->attached.doubt, sizeof(event->attached.doubt));
		break;
	case EVENT_TRACE_BEGIN:
		put_process(line, event);
		put_trace(line, context, &event->trace);
		put_stack(line, &event->stack);
		break;
	case EVENT_TRACE_END: {
		const char *reason = output_end_reason(event->trace.reason);

		put_process(line, event);
		put_trace(line, context, &event->trace);
		put_string(line, "reason", reason, STRING_MAX);
		break;
	}
	case EVENT_VIOLATION:
		put_process(line, event);
		put_violation(line, &event->violation);
		put_stack(line, &event->stack);
		break;
	case EVENT_FINDING:
		put_process(line, event);
		put_finding(line, &event->finding);
		put_stack(line, &event->stack);
		break;
	case EVENT_REPEATED:
		put_number(line, "finding", event->finding.number);
		put_number(line, "count", event->finding.count);
		put_number(line, "throttled", event->finding.throttled);
		break;
	case EVENT_ACTION:
		put_process(line, event);
		put_action(line, &event->action);
		put_stack(line, &event->stack);
		break;
	case EVENT_LOST:
	case EVENT_LOST_OUTPUT:
		put_number(line, "count", event->lost.count);
		put_number(line, "total", event->lost.total);
		break;
	case EVENT_END:
		put_totals(line, &event->totals);
		break;
	}
}

/* A json_dump_callback_t. Jansson 2.14 ignores its failure for keys, so the buffer remembers it. */
static int put_bytes(const char *bytes, size_t length, void *buffer)
{
	buffer_put(buffer, bytes, length);
	return 0;
}

/* The text of the line's object and a newline, malloc'ed. NULL: out of memory. */
static char *line_to_text(const struct line *line, size_t *length)
{
	struct buffer buffer = {0};
	char *text = NULL;

	if (json_dump_callback(line->object, put_bytes, &buffer, JSON_COMPACT))
		buffer.failed = true;
	buffer_put(&buffer, "\n", 1);
	return buffer_take(&buffer, &text, length) ? NULL : text;
}

char *event_to_json(const struct sink_context *context, const struct event *event, size_t *length)
{
	struct line line = {.object = json_object()};
	const char *type = type_name(event->type);
	char *text = NULL;

	if (!line.object)
		return NULL;
	put_number(&line, "v", SCHEMA_VERSION);
	put_string(&line, "type", type, STRING_MAX);
	put_time(&line, "time", context, event->time);
	put_number(&line, "mono_ns", event->time);
	put_string(&line, "host", context->host, sizeof(context->host));
	put_body(&line, context, event);
	if (!line.failed)
		text = line_to_text(&line, length);
	json_decref(line.object);
	return text;
}

struct json_sink {
	struct sink sink;
	const struct sink_context *context;
};

static int json_format(struct sink *sink, const struct event *event, char **text, size_t *length)
{
	struct json_sink *json = (struct json_sink *)sink;

	*text = event_to_json(json->context, event, length);
	return *text ? 0 : -ENOMEM;
}

static void json_free(struct sink *sink)
{
	free(sink);
}

struct sink *sink_json(const struct sink_context *context, struct writer *writer)
{
	static const struct sink_ops ops = {.format = json_format, .free = json_free};
	struct json_sink *json = calloc(1, sizeof(*json));

	if (!json)
		return NULL;
	json->sink.ops = &ops;
	json->sink.writer = writer;
	json->context = context;
	return &json->sink;
}
