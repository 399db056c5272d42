// SPDX-License-Identifier: GPL-2.0-or-later
/* user/model/codes: code objects, however hostile their records, become frames. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "model/codes.h"

/* The name of a code object whose name is one character of so many bytes. */
static void check_name(uint32_t character, uint8_t kind, const char *expected)
{
	struct {
		struct gw_event_record record;
		struct gw_frame frame;
	} event = {.record = {.frames = 1}, .frame = {.code = 1}};
	struct gw_code_record record = {
		.header = {.type = GW_RECORD_CODE, .version = GW_ABI_VERSION},
		.id = 1,
		.file_kind = 1,
		.name_kind = kind,
		.name_bytes = kind,
	};
	struct codes *codes = codes_new();
	struct codes_frames frames;
	struct event_stack stack;

	assert_non_null(codes);
	memcpy(record.name, &character, kind);
	assert_int_equal(codes_add(codes, &record, sizeof(record)), 0);
	codes_stack(codes, "", &event, sizeof(event), &frames, &stack);
	assert_int_equal(stack.count, 1);
	assert_string_equal(stack.frame[0].function, expected);
	codes_free(codes);
}

static void test_characters(void **state)
{
	(void)state;
	check_name('x', 1, "x");
	check_name(0xe9, 1, "\xc3\xa9");
	check_name(0x4e2d, 2, "\xe4\xb8\xad");
	check_name(0x10330, 4, "\xf0\x90\x8c\xb0");
	/* no characters: lone surrogates, and what is beyond Unicode */
	check_name(0xdc80, 2, "\xef\xbf\xbd");
	check_name(0x110000, 4, "\xef\xbf\xbd");
	check_name(0xffffffff, 4, "\xef\xbf\xbd");
}

static struct gw_code_record record_of(uint64_t id, const char *name)
{
	struct gw_code_record record = {
		.header = {.type = GW_RECORD_CODE, .version = GW_ABI_VERSION},
		.id = id,
		.file_kind = 1,
		.name_kind = 1,
		.file_bytes = (uint16_t)strlen(name),
		.name_bytes = (uint16_t)strlen(name),
	};

	memcpy(record.file, name, strlen(name));
	memcpy(record.name, name, strlen(name));
	return record;
}

/* A record on the heap and of its very size, so that ASan sees a byte too much. */
static int add(struct codes *codes, const struct gw_code_record *record, size_t size)
{
	void *copy = malloc(size ? size : 1);
	int code;

	assert_non_null(copy);
	memcpy(copy, record, size);
	code = codes_add(codes, copy, size);
	free(copy);
	return code;
}

static void test_lying_records(void **state)
{
	struct gw_code_record record = record_of(1, "f");
	struct codes *codes = codes_new();

	(void)state;
	assert_int_equal(add(codes, &record, sizeof(record) - 1), -EBADMSG);
	assert_int_equal(add(codes, &record, 0), -EBADMSG);
	record.line_bytes = 1; /* of none that follow */
	assert_int_equal(add(codes, &record, sizeof(record)), -EBADMSG);
	record.line_bytes = UINT32_MAX;
	assert_int_equal(add(codes, &record, sizeof(record)), -EBADMSG);
	record = record_of(0, "f");
	assert_int_equal(add(codes, &record, sizeof(record)), -EBADMSG);
	record = record_of(1, "f");
	record.header.version++;
	assert_int_equal(add(codes, &record, sizeof(record)), -EBADMSG);
	codes_free(codes);
}

/* A name that is longer than its room, or of characters that there are not, is none. */
static void test_lying_names(void **state)
{
	struct {
		struct gw_event_record record;
		struct gw_frame frame;
	} event = {.record = {.frames = 1}, .frame = {.code = 1}};
	struct codes *codes = codes_new();
	struct codes_frames frames;
	struct event_stack stack;
	struct gw_code_record record = record_of(1, "f");

	(void)state;
	record.name_bytes = UINT16_MAX;
	record.file_kind = 3;
	assert_int_equal(add(codes, &record, sizeof(record)), 0);
	codes_stack(codes, "", &event, sizeof(event), &frames, &stack);
	assert_string_equal(stack.frame[0].function, "?");
	assert_string_equal(stack.frame[0].file, "?");
	codes_free(codes);
}

/* What is cut is seen to be, and is no whole name. */
static void test_cut_names(void **state)
{
	struct {
		struct gw_event_record record;
		struct gw_frame frame;
	} event = {.record = {.frames = 1}, .frame = {.code = 1}};
	struct codes *codes = codes_new();
	struct codes_frames frames;
	struct event_stack stack;
	struct gw_code_record record = record_of(1, "f");

	(void)state;
	memset(record.file, 'x', sizeof(record.file));
	record.file_bytes = GW_NAME_BYTES;
	for (int cut = 0; cut <= 1; cut++) {
		const char *end = cut ? EVENT_CUT : "";

		record.file_cut = (uint8_t)cut;
		record.name_cut = (uint8_t)!cut;
		assert_int_equal(add(codes, &record, sizeof(record)), 0);
		codes_stack(codes, "", &event, sizeof(event), &frames, &stack);
		assert_int_equal(strlen(stack.frame[0].file), GW_NAME_BYTES + strlen(end));
		assert_string_equal(stack.frame[0].file + GW_NAME_BYTES, end);
		assert_string_equal(stack.frame[0].function, cut ? "f" : "f" EVENT_CUT);
		assert_int_equal(stack.frame[0].file_cut, cut);
		assert_int_equal(stack.frame[0].function_cut, !cut);
	}
	codes_free(codes);
}

static void test_lying_stacks(void **state)
{
	struct {
		struct gw_event_record record;
		struct gw_frame frame[3];
	} event = {.record = {.frames = UINT32_MAX, .stack = GW_STACK_WHOLE}};
	struct gw_code_record hidden = record_of(1, "__init__"), shown = record_of(2, "f");
	struct codes *codes = codes_new();
	struct codes_frames frames;
	struct event_stack stack;

	(void)state;
	assert_int_equal(add(codes, &hidden, sizeof(hidden)), 0);
	assert_int_equal(add(codes, &shown, sizeof(shown)), 0);
	event.frame[0].code = 1;
	event.frame[1].code = 2;
	event.frame[2].code = 3; /* never told of */
	codes_stack(codes, "", &event, sizeof(event), &frames, &stack);
	assert_int_equal(stack.count, 2); /* no more than there are, without CPython's own */
	assert_string_equal(stack.frame[0].function, "f");
	assert_string_equal(stack.frame[1].function, "?");
	codes_stack(codes, "", &event, sizeof(event.record) - 1, &frames, &stack);
	assert_int_equal(stack.count, 0);
	assert_int_equal(stack.status, GW_STACK_UNREADABLE);
	codes_free(codes);
}

/* The oldest make room; one that is told again is new. */
static void test_eviction(void **state)
{
	struct {
		struct gw_event_record record;
		struct gw_frame frame[3];
	} event = {.record = {.frames = 3}};
	struct codes *codes = codes_new();
	struct codes_frames frames;
	struct event_stack stack;

	(void)state;
	for (uint64_t id = 1; id <= CODES_MAX + 1; id++) {
		struct gw_code_record record = record_of(id, "f");

		assert_int_equal(codes_add(codes, &record, sizeof(record)), 0);
		if (id == CODES_MAX) { /* the first is told again */
			record = record_of(1, "g");
			assert_int_equal(codes_add(codes, &record, sizeof(record)), 0);
		}
	}
	event.frame[0].code = 1;
	event.frame[1].code = 2;
	event.frame[2].code = CODES_MAX + 1;
	codes_stack(codes, "", &event, sizeof(event), &frames, &stack);
	assert_string_equal(stack.frame[0].function, "g");
	assert_string_equal(stack.frame[1].function, "?");
	assert_string_equal(stack.frame[2].function, "f");
	codes_free(codes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_characters),  cmocka_unit_test(test_lying_records),
		cmocka_unit_test(test_lying_names), cmocka_unit_test(test_lying_stacks),
		cmocka_unit_test(test_eviction),    cmocka_unit_test(test_cut_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
