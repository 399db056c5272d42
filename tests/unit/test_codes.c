// SPDX-License-Identifier: GPL-2.0-or-later
/* user/model/codes: names of code objects, as CPython stores them, become UTF-8. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
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
	codes_stack(codes, &event, sizeof(event), &frames, &stack);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_characters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
