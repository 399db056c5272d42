// SPDX-License-Identifier: GPL-2.0-or-later
#include "report/timeline.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "output/buffer.h"
#include "output/common.h"
#include "output/text_finding.h"
#include "report/decode.h"

struct entry {
	size_t run;
	uint64_t time; /* ns */
	char *text;    /* owned */
};

struct timeline {
	uint64_t trace;
	struct entry *entry;
	size_t count, room;
	uint64_t left_out;
	struct decoded decoded;
};

struct timeline *timeline_new(uint64_t trace)
{
	struct timeline *timeline = calloc(1, sizeof(*timeline));

	if (timeline)
		timeline->trace = trace;
	return timeline;
}

void timeline_free(struct timeline *timeline)
{
	if (!timeline)
		return;
	for (size_t i = 0; i < timeline->count; i++)
		free(timeline->entry[i].text);
	free(timeline->entry);
	free(timeline);
}

size_t timeline_count(const struct timeline *timeline)
{
	return timeline->count;
}

static const char *text_of(const struct record *record, enum log_field field)
{
	return record->field[field].kind == VALUE_STRING ? record->field[field].text : "?";
}

static void print_stack(FILE *stream, const struct record *record)
{
	struct value frame[GW_MAX_FRAMES], file, function, line;
	size_t count = value_list(&record->field[FIELD_STACK], frame, GW_MAX_FRAMES);

	for (size_t i = 0; i < count; i++) {
		value_get(&frame[i], log_fields[FIELD_FILE], &file);
		value_get(&frame[i], log_fields[FIELD_FUNCTION], &function);
		value_get(&frame[i], log_fields[FIELD_LINE], &line);
		fputs("\n      ", stream);
		output_escaped(stream, file.kind == VALUE_STRING ? file.text : "?",
			       OUTPUT_NAME_BYTES);
		fprintf(stream, ":%" PRIu64 " in ", line.kind == VALUE_NUMBER ? line.number : 0);
		output_escaped(stream, function.kind == VALUE_STRING ? function.text : "?",
			       OUTPUT_NAME_BYTES);
	}
}

static const char *on_off(const struct record *record, enum log_field field)
{
	return decode_number(record, field) ? "on" : "off";
}

static void print_entry(FILE *stream, struct timeline *timeline, const struct record *record)
{
	switch (record->type) {
	case LOG_TYPE_TRACE_BEGIN:
		fputs("begins: ", stream);
		output_escaped(stream, text_of(record, FIELD_KIND), 64);
		fputs(", in ", stream);
		output_escaped(stream, text_of(record, FIELD_COMM), 64);
		fprintf(stream, "[%" PRIu64 "]", decode_number(record, FIELD_PID));
		print_stack(stream, record);
		return;
	case LOG_TYPE_CHANGE:
		fprintf(stream, "%s: grad mode %s -> %s",
			decode_number(record, FIELD_INFO) ? "change" : "VIOLATION",
			on_off(record, FIELD_FROM), on_off(record, FIELD_TO));
		print_stack(stream, record);
		return;
	case LOG_TYPE_FINDING:
		if (!decode_finding(record, &timeline->decoded))
			break;
		decode_stack(record, &timeline->decoded);
		fprintf(stream, "%s  finding %" PRIu64 "  %s",
			text_finding_title(&timeline->decoded.event.finding),
			timeline->decoded.event.finding.number,
			timeline->decoded.event.finding.fingerprint);
		text_finding_body(stream, &timeline->decoded.event, false);
		return;
	case LOG_TYPE_ACTION:
		fputs("action ", stream);
		output_escaped(stream, text_of(record, FIELD_ACTION), 64);
		fputs(": ", stream);
		output_escaped(stream, text_of(record, FIELD_OUTCOME), 64);
		return;
	case LOG_TYPE_TRACE_END:
		fputs("ends: ", stream);
		output_escaped(stream, text_of(record, FIELD_REASON), 64);
		fprintf(stream, ", %" PRIu64 " operators, %" PRIu64 " changes",
			decode_number(record, FIELD_OPERATORS),
			decode_number(record, FIELD_CHANGES));
		return;
	default:
		break;
	}
	output_escaped(stream, text_of(record, FIELD_TYPE), 64);
}

/* When it happened: begins and ends of traces are reported late. */
static uint64_t time_of(const struct record *record)
{
	uint64_t time = 0;

	if (record->type == LOG_TYPE_TRACE_BEGIN)
		time = decode_number(record, FIELD_FIRST_PUSH_NS);
	else if (record->type == LOG_TYPE_TRACE_END)
		time = decode_number(record, FIELD_LAST_POP_NS);
	return time ? time : decode_number(record, FIELD_MONO_NS);
}

static int make_room(struct timeline *timeline)
{
	struct entry *entry = array_grow(timeline->entry, timeline->count, &timeline->room,
					 sizeof(*entry));

	if (!entry)
		return -ENOMEM;
	timeline->entry = entry;
	return 0;
}

int timeline_add(struct timeline *timeline, const struct run *run, const struct record *record)
{
	struct buffer buffer = {0};
	struct entry entry = {.run = run->index, .time = time_of(record)};
	size_t length;
	FILE *stream;

	if (record->field[FIELD_TRACE].kind != VALUE_NUMBER ||
	    record->field[FIELD_TRACE].number != timeline->trace)
		return 0;
	if (timeline->count == TIMELINE_MAX) {
		timeline->left_out++;
		return 0;
	}
	stream = buffer_stream(&buffer);
	if (!stream)
		return -ENOMEM;
	print_entry(stream, timeline, record);
	fclose(stream);
	if (buffer_take(&buffer, &entry.text, &length))
		return -ENOMEM;
	if (make_room(timeline)) {
		free(entry.text);
		return -ENOMEM;
	}
	timeline->entry[timeline->count++] = entry;
	return 0;
}

static int compare(const void *one, const void *other)
{
	const struct entry *a = one, *b = other;

	if (a->run != b->run)
		return a->run < b->run ? -1 : 1;
	if (a->time != b->time)
		return a->time < b->time ? -1 : 1;
	return 0;
}

void timeline_text(FILE *stream, struct timeline *timeline)
{
	uint64_t start = 0;

	if (timeline->count)
		qsort(timeline->entry, timeline->count, sizeof(*timeline->entry), compare);
	for (size_t i = 0; i < timeline->count; i++) {
		const struct entry *entry = &timeline->entry[i];

		if (!i || entry->run != entry[-1].run) {
			start = entry->time;
			fprintf(stream, "trace %" PRIu64 "\n", timeline->trace);
		}
		fprintf(stream, "  %+12.3f ms  %s\n", (double)(entry->time - start) / 1e6,
			entry->text);
	}
	if (timeline->left_out)
		fprintf(stream, "and %" PRIu64 " more\n", timeline->left_out);
}
