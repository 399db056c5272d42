// SPDX-License-Identifier: GPL-2.0-or-later
#include "report/history.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/array.h"
#include "base/str.h"
#include "base/table.h"
#include "report/decode.h"

#define NAME_SIZE 4096

/* The number of something that has a key of two. */
struct numbered {
	struct table_item item;
	struct {
		uint64_t run, id;
	} key;
	int64_t value;
};

struct history *history_new(const struct summary_filter *filter)
{
	struct history *history = calloc(1, sizeof(*history));

	if (!history)
		return NULL;
	history->decoded = malloc(sizeof(*history->decoded));
	if (!history->decoded) {
		free(history);
		return NULL;
	}
	history->filter = *filter;
	if (!history->filter.kinds)
		history->filter.kinds = KINDS_ALL;
	history->max = HISTORY_MAX;
	history->names.bytes_max = HISTORY_NAME_BYTES;
	history->frames.bytes_max = HISTORY_FRAMES * sizeof(struct history_frame);
	history->stacks.bytes_max = HISTORY_STACK_FRAMES * sizeof(uint32_t);
	history->threads.bytes_max = HISTORY_THREADS * sizeof(struct history_thread);
	history->trace_by_key.capacity = history->finding_by_key.capacity = HISTORY_MAX;
	history->run_by_index.capacity = SIZE_MAX;
	return history;
}

static void free_table(struct table *table)
{
	struct table_item *item;

	while ((item = table_pop(table)))
		free(item);
}

void history_free(struct history *history)
{
	if (!history)
		return;
	free_table(&history->trace_by_key);
	free_table(&history->finding_by_key);
	free_table(&history->run_by_index);
	intern_free(&history->names);
	intern_free(&history->frames);
	intern_free(&history->stacks);
	intern_free(&history->threads);
	free(history->trace);
	free(history->change);
	free(history->mark);
	free(history->decoded);
	free(history);
}

uint32_t history_name(struct history *history, const char *text)
{
	char safe[NAME_SIZE];
	size_t length = str_escape(safe, sizeof(safe), text, strlen(text));

	return intern_add(&history->names, safe, length);
}

uint32_t history_stack(struct history *history, const struct event_stack *stack)
{
	uint32_t number[DECODE_FRAMES_MAX], found;
	size_t count = 0;

	for (; count < stack->count && count < DECODE_FRAMES_MAX; count++) {
		const struct history_frame frame = {
			.file = history_name(history, stack->frame[count].file),
			.function = history_name(history, stack->frame[count].function),
			.line = stack->frame[count].line,
			.whose = stack->origin ? stack->origin[count].whose : ORIGIN_UNKNOWN,
		};

		number[count] = frame.file == HISTORY_NONE || frame.function == HISTORY_NONE
					? HISTORY_NONE
					: intern_add(&history->frames, &frame, sizeof(frame));
		if (number[count] == HISTORY_NONE)
			break;
	}
	if (!count && !stack->count)
		return HISTORY_NONE;
	found = count < stack->count && count < DECODE_FRAMES_MAX
			? HISTORY_NONE
			: intern_add(&history->stacks, number, count * sizeof(*number));
	history->left_out.stacks += found == HISTORY_NONE;
	return found;
}

const char *history_name_at(const struct history *history, uint32_t number)
{
	size_t size;

	return number == HISTORY_NONE ? "?" : intern_at(&history->names, number, &size);
}

const struct history_frame *history_frame_at(const struct history *history, uint32_t number)
{
	size_t size;

	return intern_at(&history->frames, number, &size);
}

const uint32_t *history_stack_at(const struct history *history, uint32_t number, size_t *count)
{
	const uint32_t *frames;
	size_t size = 0;

	frames = number == HISTORY_NONE ? NULL : intern_at(&history->stacks, number, &size);
	*count = size / sizeof(*frames);
	return frames;
}

const struct history_thread *history_thread_at(const struct history *history, uint32_t number)
{
	size_t size;

	return intern_at(&history->threads, number, &size);
}

static struct numbered *find(const struct table *table, uint64_t run, uint64_t id)
{
	const struct numbered wanted = {.key = {.run = run, .id = id}};

	return (struct numbered *)table_find(table, &wanted.key, sizeof(wanted.key));
}

static int put(struct table *table, uint64_t run, uint64_t id, int64_t value)
{
	struct numbered *numbered = calloc(1, sizeof(*numbered));
	int code;

	if (!numbered)
		return -ENOMEM;
	numbered->key.run = run;
	numbered->key.id = id;
	numbered->value = value;
	code = table_add(table, &numbered->item, &numbered->key, sizeof(numbered->key));
	if (code)
		free(numbered);
	return code;
}

/* A time of a record, ns since 1970; 0: it is none. */
static uint64_t parse_time(const struct value *value)
{
	struct tm tm = {0};
	uint64_t ns = 0, digit = 100000000;
	const char *rest = value->kind == VALUE_STRING ? strptime(value->text, "%FT%T", &tm) : NULL;
	time_t seconds = rest ? timegm(&tm) : 0;

	if (seconds <= 0)
		return 0;
	for (rest += *rest == '.'; *rest >= '0' && *rest <= '9'; rest++, digit /= 10)
		ns += (uint64_t)(*rest - '0') * digit;
	return (uint64_t)seconds * 1000000000u + ns;
}

/* What is added to a run's monotonic times; 0 where it is not known. The same for all of a run. */
static int utc_offset(struct history *history, const struct run *run, const struct record *record,
		      int64_t *offset)
{
	struct numbered *known = find(&history->run_by_index, run->index, 0);
	uint64_t time = parse_time(&record->field[FIELD_TIME]);

	*offset = known ? known->value : 0;
	if (known || !time || record->field[FIELD_MONO_NS].kind != VALUE_NUMBER)
		return 0;
	*offset = (int64_t)(time - record->field[FIELD_MONO_NS].number);
	return put(&history->run_by_index, run->index, 0, *offset);
}

static uint32_t thread_of(struct history *history, const struct run *run,
			  const struct record *record)
{
	const struct value *host = &record->field[FIELD_HOST], *comm = &record->field[FIELD_COMM];
	struct history_thread thread;

	memset(&thread, 0, sizeof(thread)); /* with what is between */
	thread.run = (uint32_t)run->index;
	thread.pid = (uint32_t)decode_number(record, FIELD_PID);
	thread.tid = (uint32_t)decode_number(record, FIELD_TID);
	thread.ns_pid = (uint32_t)decode_number(record, FIELD_NS_PID);
	thread.start = decode_number(record, FIELD_START_NS);
	thread.host = history_name(history, host->kind == VALUE_STRING ? host->text : "?");
	thread.comm = history_name(history, comm->kind == VALUE_STRING ? comm->text : "?");
	return intern_add(&history->threads, &thread, sizeof(thread));
}

static bool has_room(const struct history *history)
{
	return history->traces + history->changes + history->marks < history->max;
}

/* *array as one with space for one more. */
static int grow(void **array, size_t count, size_t *room, size_t size)
{
	void *grown = array_grow(*array, count, room, size);

	if (!grown)
		return -ENOMEM;
	*array = grown;
	return 0;
}

/* The trace of a record, made where it is new. HISTORY_NONE: there is none, or no room. */
static int trace_of(struct history *history, const struct run *run, const struct record *record,
		    uint64_t time, uint32_t *number)
{
	uint64_t id = decode_number(record, FIELD_TRACE);
	struct numbered *known = find(&history->trace_by_key, run->index, id);
	uint32_t thread;
	int code;

	*number = known ? (uint32_t)known->value : HISTORY_NONE;
	if (known || record->field[FIELD_TRACE].kind != VALUE_NUMBER)
		return 0;
	thread = thread_of(history, run, record);
	if (!has_room(history) || thread == HISTORY_NONE) {
		history->left_out.traces += record->type == LOG_TYPE_TRACE_BEGIN;
		return 0;
	}
	code = grow((void **)&history->trace, history->traces, &history->trace_room,
		    sizeof(*history->trace));
	if (!code)
		code = put(&history->trace_by_key, run->index, id, (int64_t)history->traces);
	if (code)
		return code;
	*number = (uint32_t)history->traces;
	history->trace[history->traces++] = (struct history_trace){
		.id = id,
		.run = run->index,
		.begin = time,
		.end = time,
		.thread = thread,
		.stack = HISTORY_NONE,
		.number = *number,
		.kind = decode_kind(record),
	};
	return 0;
}

/* What is met in a trace is in it, unless its begin and end are known. */
static void widen(struct history *history, uint32_t number, uint64_t begin, uint64_t end)
{
	struct history_trace *trace = &history->trace[number];

	if (begin < trace->begin && !trace->began)
		trace->begin = begin;
	if (end > trace->end && !trace->ended)
		trace->end = end;
}

static uint64_t moment(const struct record *record, enum log_field field, int64_t offset)
{
	uint64_t time = decode_number(record, field);

	return (time ? time : decode_number(record, FIELD_MONO_NS)) + (uint64_t)offset;
}

static int add_trace(struct history *history, const struct run *run, const struct record *record,
		     int64_t offset)
{
	bool begins = record->type == LOG_TYPE_TRACE_BEGIN;
	uint64_t first = moment(record, FIELD_FIRST_PUSH_NS, offset);
	struct history_trace *trace;
	uint32_t number;
	int code = trace_of(history, run, record, first, &number);

	if (code || number == HISTORY_NONE)
		return code;
	trace = &history->trace[number];
	trace->begin = first;
	trace->operators = decode_number(record, FIELD_OPERATORS);
	if (begins) {
		decode_event(record, history->decoded);
		trace->stack = history_stack(history, &history->decoded->event.stack);
		trace->began = true;
	} else {
		trace->end = moment(record, FIELD_LAST_POP_NS, offset);
		trace->ended = true;
	}
	return 0;
}

static int add_change(struct history *history, const struct run *run, const struct record *record,
		      int64_t offset)
{
	uint64_t time = moment(record, FIELD_MONO_NS, offset);
	uint32_t number;
	int code = trace_of(history, run, record, time, &number);

	if (code)
		return code;
	if (number == HISTORY_NONE || !has_room(history)) {
		history->left_out.changes++;
		return 0;
	}
	code = grow((void **)&history->change, history->changes, &history->change_room,
		    sizeof(*history->change));
	if (code)
		return code;
	widen(history, number, time, time);
	decode_event(record, history->decoded);
	history->change[history->changes++] = (struct history_change){
		.time = time,
		.trace = number,
		.stack = history_stack(history, &history->decoded->event.stack),
		.from = decode_number(record, FIELD_FROM),
		.to = decode_number(record, FIELD_TO),
		.info = decode_number(record, FIELD_INFO),
	};
	return 0;
}

/* NULL: there is no room for it; *code: or why. A finding is worth more than a change. */
static struct history_mark *put_mark(struct history *history, const struct history_mark *mark,
				     int *code)
{
	*code = 0;
	if (!has_room(history) && history->changes) {
		history->changes--;
		history->left_out.changes++;
	}
	if (!has_room(history)) {
		history->left_out.marks++;
		return NULL;
	}
	*code = grow((void **)&history->mark, history->marks, &history->mark_room,
		     sizeof(*history->mark));
	if (*code)
		return NULL;
	history->mark[history->marks] = *mark;
	return &history->mark[history->marks++];
}

static int add_finding(struct history *history, const struct run *run, const struct record *record,
		       int64_t offset)
{
	const struct event_finding *finding = &history->decoded->event.finding;
	struct history_mark mark = {.time = moment(record, FIELD_MONO_NS, offset)};
	int code;

	if (!decode_finding(record, history->decoded))
		return 0; /* the summary counts it */
	decode_stack(record, history->decoded);
	code = trace_of(history, run, record, mark.time, &mark.trace);
	if (code)
		return code;
	mark.run = (uint32_t)run->index;
	mark.thread = thread_of(history, run, record);
	mark.duration = finding->duration_ns;
	mark.stack = history_stack(history, &history->decoded->event.stack);
	mark.fingerprint = history_name(history, finding->fingerprint);
	mark.severity = finding->severity;
	mark.category = finding->category;
	mark.first = true;
	if (mark.trace != HISTORY_NONE)
		widen(history, mark.trace, mark.time, mark.time + mark.duration);
	if (!put_mark(history, &mark, &code) ||
	    find(&history->finding_by_key, run->index, finding->number))
		return code;
	code = put(&history->finding_by_key, run->index, finding->number,
		   (int64_t)history->marks - 1);
	return code == -ENOSPC ? 0 : code;
}

/*
 * A finding has occurred again: it is the one of this number. Which thread it was in is known by
 * the change of the same time (history_finish).
 */
static int add_again(struct history *history, const struct run *run, const struct record *record,
		     int64_t offset)
{
	const struct numbered *known = find(&history->finding_by_key, run->index,
					    decode_number(record, FIELD_FINDING));
	struct history_mark mark;
	int code;

	if (!known) {
		/* With a filter it may be one that is not asked for. */
		history->left_out.marks += !history->filter.pid &&
					   history->filter.kinds == KINDS_ALL;
		return 0;
	}
	mark = history->mark[known->value];
	mark.time = moment(record, FIELD_MONO_NS, offset);
	mark.thread = mark.trace = HISTORY_NONE;
	mark.duration = 0;
	mark.first = false;
	return put_mark(history, &mark, &code) ? 0 : code;
}

int history_add(struct history *history, const struct run *run, const struct record *record)
{
	int64_t offset;
	int code = utc_offset(history, run, record, &offset);

	if (code || !summary_wants(&history->filter, record))
		return code;
	if (record->field[FIELD_KIND].kind == VALUE_STRING &&
	    !(history->filter.kinds >> decode_kind(record) & 1))
		return 0;
	switch (record->type) {
	case LOG_TYPE_TRACE_BEGIN:
	case LOG_TYPE_TRACE_END:
		return add_trace(history, run, record, offset);
	case LOG_TYPE_CHANGE:
		return add_change(history, run, record, offset);
	case LOG_TYPE_FINDING:
		return add_finding(history, run, record, offset);
	case LOG_TYPE_AGAIN:
		return add_again(history, run, record, offset);
	default:
		return 0;
	}
}
