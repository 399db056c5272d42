// SPDX-License-Identifier: GPL-2.0-or-later
#include "log/head.h"

#include <string.h>

static bool begins_with(const char *line, size_t length, const char *text, size_t text_length)
{
	return length >= text_length && !memcmp(line, text, text_length);
}

/* The types that have a stack, and all else of theirs before it. */
static bool has_stack(const char *line, size_t length)
{
	static const char change[] = LOG_HEAD "change\"", finding[] = LOG_HEAD "finding\"",
			  trace[] = LOG_HEAD "trace_begin\"";

	return begins_with(line, length, change, sizeof(change) - 1) ||
	       begins_with(line, length, finding, sizeof(finding) - 1) ||
	       begins_with(line, length, trace, sizeof(trace) - 1);
}

/* The number of a record, which is the last key before the checksum. */
static bool find_number(const char *line, size_t length, struct value *value)
{
	static const char key[] = ",\"seq\":";
	const char *end = line + length - (LOG_TAIL_SIZE - 1), *at = end;
	uint64_t number = 0, unit = 1;

	while (at > line && at[-1] >= '0' && at[-1] <= '9' && end - at < 19) {
		number += (uint64_t)(*--at - '0') * unit;
		unit *= 10;
	}
	if (at == end || (size_t)(at - line) < sizeof(key) - 1 ||
	    memcmp(at - (sizeof(key) - 1), key, sizeof(key) - 1) != 0)
		return false;
	*value = (struct value){.kind = VALUE_NUMBER, .number = number};
	return true;
}

/*
 * Bytes like those of a key are one: in a string a quote has a backslash before it. Where that key
 * is not the record's own, what is before is no JSON.
 */
bool head_parse(struct parser *parser, char *line, size_t length, struct record *record)
{
	static const char stack[] = ",\"stack_status\":";
	struct value number;
	const char *wrong;
	char *found;

	if (!has_stack(line, length))
		return false;
	found = memmem(line, length, stack, sizeof(stack) - 1);
	if (!found || !find_number(line, length, &number))
		return false;
	*found = '}';
	wrong = parser_parse(parser, line, (size_t)(found - line) + 1, record);
	*found = stack[0];
	if (wrong || record->field[FIELD_SEQ].kind)
		return false;
	record_set(record, FIELD_SEQ, &number);
	record->head = true;
	return true;
}
