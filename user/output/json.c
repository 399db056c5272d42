// SPDX-License-Identifier: GPL-2.0-or-later
#include "output/sink.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "log/counters.h"
#include "log/format.h"
#include "model/advice.h"
#include "model/suppressions.h"
#include "output/buffer.h"
#include "output/common.h"
#include "output/names.h"

/* /proc has start times in steps of the clock tick, BPF exactly: all events have the former. */
#define START_STEP_NS 10000000ull

/* Longest string of an event; each byte can become U+FFFD, which has three. */
#define STRING_MAX 4096
#define UTF8_MAX   (3 * STRING_MAX + 1)

#define SEQ_SIZE   32 /* ,"seq":18446744073709551615 */

#define KEY(name)  log_fields[FIELD_##name]

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
	struct line inner = put_object(line, KEY(TORCH));

	if (inner.failed)
		return;
	put_known(&inner, KEY(FILE), torch->file, sizeof(torch->file));
	put_known(&inner, KEY(VERSION), torch->version, sizeof(torch->version));
	line->failed = inner.failed;
}

/* The same for one that may be NULL. */
static void put_known_pointer(struct line *line, const char *key, const char *value)
{
	put_known(line, key, value ? value : "", STRING_MAX);
}

/* A process that is in no container has null. */
static void put_cgroup(struct line *line, const struct event_cgroup *cgroup)
{
	struct line inner;

	put_known_pointer(line, KEY(CGROUP), cgroup->path);
	put_known_pointer(line, KEY(UNIT), cgroup->unit);
	if (!cgroup->container || !cgroup->container[0]) {
		put_null(line, KEY(CONTAINER));
		return;
	}
	inner = put_object(line, KEY(CONTAINER));
	if (inner.failed)
		return;
	put_string(&inner, KEY(ID), cgroup->container, STRING_MAX);
	put_known_pointer(&inner, KEY(RUNTIME), cgroup->runtime);
	put_known_pointer(&inner, KEY(POD_UID), cgroup->pod);
	line->failed = inner.failed;
}

static void put_process(struct line *line, const struct event *event)
{
	const struct event_process *process = &event->process;

	put_number(line, KEY(PID), process->pid);
	put_number(line, KEY(TID), process->tid);
	put_number(line, KEY(NS_PID), process->ns_pid);
	put_number(line, KEY(NS_TID), process->ns_tid);
	put_number(line, KEY(START_NS), process->start_time - process->start_time % START_STEP_NS);
	put_string(line, KEY(COMM), process->comm, sizeof(process->comm));
	put_number(line, KEY(UID), process->uid);
	put_known(line, KEY(EXE), process->exe, sizeof(process->exe));
	put_cgroup(line, &process->cgroup);
	put_torch(line, &event->torch);
}

static void put_attached(struct line *line, const struct event_attached *attached)
{
	put_number(line, KEY(SITES), attached->sites);
	put_bool(line, KEY(CERTAIN), attached->certain);
	put_known(line, KEY(DOUBT), attached->doubt, sizeof(attached->doubt));
	put_number(line, KEY(ARMED_AFTER_NS), attached->armed_after_ns);
	put_bool(line, KEY(TOO_LATE), attached->too_late);
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
	put_string(line, KEY(FILE), frame->file, STRING_MAX);
	put_string(line, KEY(FUNCTION), frame->function, STRING_MAX);
	put_number_or_null(line, KEY(LINE), (uint64_t)frame->line);
	if (frame->file_cut || frame->function_cut)
		put_bool(line, KEY(CUT), true);
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

	put_string(line, KEY(STACK_STATUS), output_stack_status(stack->status), STRING_MAX);
	put_place(line, KEY(USER), event_user_frame(stack));
	put(line, KEY(STACK), frames);
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
	put_number(line, KEY(TRACE), trace->id);
	put_string(line, KEY(KIND), kind_name(trace->kind), STRING_MAX);
	put_number(line, KEY(DEPTH), trace->depth);
	put_bool(line, KEY(SEEN_FROM_START), trace->seen_from_start);
	put_time(line, KEY(FIRST_PUSH), context, trace->first_push_ns);
	put_number(line, KEY(FIRST_PUSH_NS), trace->first_push_ns);
	put_number(line, KEY(LAST_PUSH_NS), trace->last_push_ns);
	if (trace->last_pop_ns) {
		put_time(line, KEY(LAST_POP), context, trace->last_pop_ns);
		put_number(line, KEY(LAST_POP_NS), trace->last_pop_ns);
	} else {
		put_null(line, KEY(LAST_POP));
		put_null(line, KEY(LAST_POP_NS));
	}
	put_number(line, KEY(PUSHES), trace->pushes);
	put_number(line, KEY(POPS), trace->pops);
	put_number(line, KEY(OPERATORS), trace->operators);
	put_number(line, KEY(CHANGES), trace->changes);
}

/* What a trace began with; null: not known. */
static void put_began(struct line *line, uint8_t began)
{
	struct line inner;

	if (began & GW_STATE_UNKNOWN) {
		put_null(line, KEY(BEGAN));
		return;
	}
	inner = put_object(line, KEY(BEGAN));
	if (inner.failed)
		return;
	put_bool(&inner, KEY(GRAD), began & GW_STATE_GRAD);
	put_bool(&inner, KEY(INFERENCE), began & GW_STATE_INFERENCE);
	line->failed = inner.failed;
}

static void put_change(struct line *line, const struct event_change *change)
{
	put_number_or_null(line, KEY(TRACE), change->trace);
	put_string(line, KEY(KIND), kind_name(change->kind), STRING_MAX);
	put_bool(line, KEY(FROM), change->from);
	put_bool(line, KEY(TO), change->to);
	put_bool(line, KEY(CERTAIN), change->certain);
	put_bool(line, KEY(INFO), change->info);
	put_began(line, change->began);
}

static void put_restored(struct line *line, enum restored restored)
{
	if (restored == RESTORED_UNKNOWN)
		put_null(line, KEY(RESTORED));
	else
		put_bool(line, KEY(RESTORED), restored == RESTORED_YES);
}

static void put_state(struct line *line, const char *key, uint8_t state)
{
	struct line inner = put_object(line, key);

	if (inner.failed)
		return;
	put_bool(&inner, KEY(GRAD), state & GW_STATE_GRAD);
	put_bool(&inner, KEY(INFERENCE), state & GW_STATE_INFERENCE);
	line->failed = inner.failed;
}

static void put_finding(struct line *line, const struct event_finding *finding)
{
	put_number(line, KEY(FINDING), finding->number);
	put_number(line, KEY(COUNT), finding->count);
	put_string(line, KEY(FINGERPRINT), finding->fingerprint, FINGERPRINT_SIZE);
	put_string(line, KEY(CATEGORY), output_category(finding->category), STRING_MAX);
	put_string(line, KEY(SEVERITY), output_severity(finding->severity), STRING_MAX);
	put_number_or_null(line, KEY(TRACE), finding->trace);
	put_string(line, KEY(KIND), kind_name(finding->kind), STRING_MAX);
	put_state(line, KEY(FROM), finding->from);
	put_state(line, KEY(TO), finding->to);
	put_began(line, finding->began);
	put_bool(line, KEY(CERTAIN), finding->certain);
	put_restored(line, finding->restored);
	put_number(line, KEY(DURATION_NS), finding->duration_ns);
	if (finding->uncounted)
		put_null(line, KEY(OPERATORS));
	else
		put_number(line, KEY(OPERATORS), finding->operators);
	put_bool(line, KEY(EMPTY), !finding->operators && !finding->uncounted);
	put_bool(line, KEY(BEFORE_ATTACH), finding->before_attach);
	put_known(line, KEY(MANAGER), finding->manager, sizeof(finding->manager));
	put_known(line, KEY(ADVICE), advice_key(finding->advice) ? advice_key(finding->advice) : "",
		  STRING_MAX);
	put_string(line, KEY(WHOSE), output_owner(finding->owner), STRING_MAX);
	put_bool(line, KEY(DECORATOR), finding->decorator);
	put_place(line, KEY(DECORATED), finding->decorated);
	put_place(line, KEY(CALLER), finding->caller);
	put_known(line, KEY(SUPPRESSED_BY), finding->suppression ? finding->suppression : "",
		  STRING_MAX);
}

static void put_action(struct line *line, const struct event_action *action)
{
	put_number_or_null(line, KEY(TRACE), action->trace);
	put_string(line, KEY(KIND), kind_name(action->kind), STRING_MAX);
	put_bool(line, KEY(FROM), action->from);
	put_bool(line, KEY(TO), action->to);
	put_string(line, KEY(ACTION), output_action(action->action), STRING_MAX);
	put_string(line, KEY(OUTCOME), output_outcome(action->outcome), STRING_MAX);
	if (action->outcome == ACTION_REFUSED)
		put_string(line, KEY(FALLBACK), output_action(action->fallback), STRING_MAX);
	else
		put_null(line, KEY(FALLBACK));
	put_number_or_null(line, KEY(SIGNAL), (uint64_t)action->signal);
	put_bool(line, KEY(BY_BPF), action->by_bpf);
	put_bool(line, KEY(AFTER_CHANGE), action->after_change);
	put_known(line, KEY(DETAIL), action->detail, sizeof(action->detail));
	put_number(line, KEY(DURATION_NS), action->duration_ns);
}

/* How many actions had which outcome. */
static void put_actions(struct line *line, const uint64_t actions[ACTION_OUTCOME_MAX])
{
	struct line inner = put_object(line, KEY(ACTIONS));

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
	struct line inner = put_object(line, key);

	if (inner.failed)
		return;
	for (unsigned int i = first; i <= (unsigned int)last; i++)
		put_number(&inner, log_counters[i], counter[i]);
	line->failed = inner.failed;
}

static void put_stacks(struct line *line, const uint64_t stacks[GW_STACK_MAX])
{
	struct line inner = put_object(line, KEY(STACKS));

	if (inner.failed)
		return;
	for (unsigned int i = 0; i < GW_STACK_MAX; i++)
		put_number(&inner, output_stack_status(i), stacks[i]);
	line->failed = inner.failed;
}

/* How often each name has accepted a finding, and the lines that never have. */
static void put_suppressions(struct line *line, const struct suppressions *suppressions)
{
	struct line inner = put_object(line, KEY(SUPPRESSIONS));
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
	put(line, KEY(UNUSED_SUPPRESSIONS), unused);
	while ((number = suppressions_next_unused(suppressions, number)) && !line->failed)
		line->failed = json_array_append_new(unused, json_integer(number));
}

static void put_coverage(struct line *line, const struct event_coverage *coverage)
{
	struct line inner = put_object(line, KEY(COVERAGE));

	if (inner.failed)
		return;
	put_number(&inner, KEY(PROBED), coverage->probed);
	put_number(&inner, KEY(MISSED), coverage->missed);
	put_number(&inner, KEY(MAPPINGS_LOST), coverage->mappings_lost);
	put_number(&inner, KEY(REFUSED), coverage->refused);
	put_number(&inner, KEY(FILES_REFUSED), coverage->files_refused);
	put_number(&inner, KEY(UNARMED), coverage->unarmed);
	put_number(&inner, KEY(BAD_RECORDS), coverage->bad_records);
	line->failed = inner.failed;
}

static void put_totals(struct line *line, const struct event_totals *totals)
{
	put_number(line, KEY(PROCESSES), totals->processes);
	put_number(line, KEY(TRACES), totals->traces);
	put_number(line, KEY(VIOLATIONS), totals->violations);
	put_number(line, KEY(INFOS), totals->infos);
	put_number(line, KEY(FINDINGS), totals->findings);
	put_number(line, KEY(NOTES), totals->notes);
	put_number(line, KEY(SUPPRESSED), totals->suppressed);
	put_number(line, KEY(FINDINGS_FORGOTTEN), totals->findings_forgotten);
	put_number(line, KEY(DRIFTS), totals->counter[GW_DRIFTS]);
	put_number(line, KEY(LOST), totals->lost);
	put_number(line, KEY(LOST_OUTPUT), totals->lost_output);
	if (totals->suppressions)
		put_suppressions(line, totals->suppressions);
	put_actions(line, totals->actions);
	put_stacks(line, totals->stacks);
	put_counters(line, KEY(LEDGER), totals->counter, GW_HITS, GW_THROTTLED);
	put_counters(line, KEY(COUNTERS), totals->counter, GW_UNREADABLE, GW_COUNTER_MAX - 1);
	put_coverage(line, &totals->coverage);
}

static enum log_type type_of(enum event_type type)
{
	static const enum log_type types[] = {
		[EVENT_START] = LOG_TYPE_START,
		[EVENT_ATTACHED] = LOG_TYPE_ATTACHED,
		[EVENT_SKIPPED] = LOG_TYPE_SKIPPED,
		[EVENT_TRACE_BEGIN] = LOG_TYPE_TRACE_BEGIN,
		[EVENT_TRACE_END] = LOG_TYPE_TRACE_END,
		[EVENT_CHANGE] = LOG_TYPE_CHANGE,
		[EVENT_FINDING] = LOG_TYPE_FINDING,
		[EVENT_REPEATED] = LOG_TYPE_REPEATED,
		[EVENT_AGAIN] = LOG_TYPE_AGAIN,
		[EVENT_TOTALS] = LOG_TYPE_TOTALS,
		[EVENT_ACTION] = LOG_TYPE_ACTION,
		[EVENT_LOST] = LOG_TYPE_LOST,
		[EVENT_LOST_OUTPUT] = LOG_TYPE_LOST_OUTPUT,
		[EVENT_END] = LOG_TYPE_END,
	};

	return types[type];
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
		put_known(line, KEY(REASON), event->attached.doubt, sizeof(event->attached.doubt));
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
		put_string(line, KEY(REASON), reason, STRING_MAX);
		break;
	}
	case EVENT_CHANGE:
		put_process(line, event);
		put_change(line, &event->change);
		put_stack(line, &event->stack);
		break;
	case EVENT_FINDING:
		put_process(line, event);
		put_finding(line, &event->finding);
		put_stack(line, &event->stack);
		break;
	case EVENT_REPEATED:
		put_number(line, KEY(FINDING), event->finding.number);
		put_number(line, KEY(COUNT), event->finding.count);
		put_number(line, KEY(THROTTLED), event->finding.throttled);
		break;
	case EVENT_AGAIN:
		put_number(line, KEY(FINDING), event->finding.number);
		put_number(line, KEY(COUNT), event->finding.count);
		break;
	case EVENT_ACTION:
		put_process(line, event);
		put_action(line, &event->action);
		put_stack(line, &event->stack);
		break;
	case EVENT_LOST:
	case EVENT_LOST_OUTPUT:
		put_number(line, KEY(COUNT), event->lost.count);
		put_number(line, KEY(TOTAL), event->lost.total);
		break;
	case EVENT_TOTALS:
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

static void put_identity(struct line *line, const struct log_identity *identity)
{
	put_string(line, KEY(HOST), identity->host, sizeof(identity->host));
	put_known(line, KEY(BOOT_ID), identity->boot_id, sizeof(identity->boot_id));
	put_known(line, KEY(RUN_ID), identity->run_id, sizeof(identity->run_id));
}

char *event_to_json(const struct sink_context *context, const struct event *event, size_t *length)
{
	struct line line = {.object = json_object()};
	char *text = NULL;

	if (!line.object)
		return NULL;
	put_number(&line, KEY(V), LOG_SCHEMA);
	put_string(&line, KEY(TYPE), log_types[type_of(event->type)], STRING_MAX);
	put_time(&line, KEY(TIME), context, event->time);
	put_number(&line, KEY(MONO_NS), event->time);
	put_identity(&line, &context->identity);
	put_body(&line, context, event);
	if (!line.failed)
		text = line_to_text(&line, length);
	json_decref(line.object);
	return text;
}

struct json_sink {
	struct sink sink;
	uint64_t seq; /* of the next line; one that is lost keeps its number */
	const struct sink_context *context;
};

/* Adds "seq" as the last key of a line, as in a log. 0 or -ENOMEM; *text is freed then. */
static int number(struct json_sink *json, char **text, size_t *length)
{
	size_t size = *length + SEQ_SIZE, body = *length - strlen("}\n");
	char *longer = realloc(*text, size);

	if (!longer) {
		free(*text);
		*text = NULL;
		return -ENOMEM;
	}
	*text = longer;
	*length = body + (size_t)snprintf(longer + body, size - body, ",\"%s\":%" PRIu64 "}\n",
					  KEY(SEQ), json->seq++);
	return 0;
}

static int json_format(struct sink *sink, const struct event *event, char **text, size_t *length)
{
	struct json_sink *json = (struct json_sink *)sink;

	if (event->type == EVENT_AGAIN || event->type == EVENT_TOTALS)
		return 0;
	*text = event_to_json(json->context, event, length);
	return *text ? number(json, text, length) : -ENOMEM;
}

static int json_free(struct sink *sink, const char **what)
{
	(void)what;
	free(sink);
	return 0;
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
