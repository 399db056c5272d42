// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * No memory: each allocation fails once, then each and all after it, also those of libraries. What
 * comes of it is the whole result or an error.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "elf_fixture.h"
#include "inspect/disassembler.h"
#include "output/buffer.h"
#include "no_memory.h"
#include "output/sink.h"

#define OPEN_MAX 1000

/* --- buffers ---------------------------------------------------------------------------------- */

static void test_buffer(void **state)
{
	struct buffer buffer = {0};
	FILE *stream = buffer_stream(&buffer);
	char *text = NULL;
	size_t length = 1;

	(void)state;
	assert_non_null(stream);
	for (int i = 0; i < 10000; i++)
		fprintf(stream, "%04d", i);
	fclose(stream);
	buffer_put(&buffer, "end", 3);
	assert_int_equal(buffer_take(&buffer, &text, &length), 0);
	assert_int_equal(length, 40003);
	assert_int_equal(strlen(text), 40003);
	assert_memory_equal(text + 39996, "9999end", 7);
	free(text);
	buffer_put(&buffer, "again", 5); /* it is empty now */
	buffer.failed = true;
	assert_int_equal(buffer_take(&buffer, &text, &length), -ENOMEM);
	assert_int_equal(buffer_take(&buffer, &text, &length), 0);
	assert_null(text);
}

/* --- lines ------------------------------------------------------------------------------------ */

#define FRAMES 60

struct formed {
	struct sink *sink;
	struct event event;
	char *whole;
	unsigned int wholes, refusals;
};

static struct event_frame frame[FRAMES];

static struct event make_event(void)
{
	static char name[300];
	struct event event = {
		.type = EVENT_FINDING,
		.process = {.comm = "python", .exe = "/usr/bin/python"},
		.stack = {.count = FRAMES, .frame = frame, .user = 1},
		.finding = {.number = 1, .count = 1, .kind = TRACE_KIND_MAKE_FX, .operators = 2},
	};

	memset(name, '\n', sizeof(name) - 1); /* each takes several bytes */
	for (int i = 0; i < FRAMES; i++)
		frame[i] = (struct event_frame){"/src/model.py", name, 3};
	return event;
}

/* Of JSON, where each line has another one at its end. */
static void cut_number(char *text)
{
	char *number = strstr(text, ",\"seq\":");

	if (number)
		*number = '\0';
}

static void form(void *context)
{
	struct formed *formed = context;
	char *text = NULL;
	size_t length = 0;
	int code = formed->sink->ops->format(formed->sink, &formed->event, &text, &length);

	countdown = -1;
	if (code) {
		assert_int_equal(code, -ENOMEM);
		formed->refusals++;
		return;
	}
	assert_non_null(text);
	assert_int_equal(length, strlen(text));
	cut_number(text);
	assert_string_equal(text, formed->whole);
	formed->wholes++;
	free(text);
}

static void check_lines(struct sink *sink)
{
	struct formed formed = {.sink = sink, .event = make_event()};
	size_t length = 0;

	assert_non_null(sink);
	assert_int_equal(sink->ops->format(sink, &formed.event, &formed.whole, &length), 0);
	cut_number(formed.whole);
	assert_true(with_failures(form, &formed) > 0);
	assert_true(formed.refusals > 0 && formed.wholes > 0);
	free(formed.whole);
	sink_free(sink, NULL);
}

static void test_lines_are_whole(void **state)
{
	const struct sink_context context = {.identity = {.host = "box"}};

	(void)state;
	require_failures();
	check_lines(sink_json(&context, NULL));
	check_lines(sink_text(&context, NULL, true, 2));
	check_lines(sink_suppression_lines(NULL));
}

/* --- inspection ------------------------------------------------------------------------------- */

static struct library libraries[2];
static int library_count;

static int setup(void **state)
{
	if (fixture_setup(state) ||
	    !library_build(&libraries[0], "gcc", "-s -DKEYED -DGUARDED", LIBC10))
		return -1;
	library_count = 1 + library_build(&libraries[1], "aarch64-linux-gnu-gcc",
					  "-s -DKEYED -DGUARDED", LIBC10);
	return 0;
}

static int teardown(void **state)
{
	for (int i = 0; i < library_count; i++)
		library_free(&libraries[i]);
	return fixture_teardown(state);
}

struct inspected {
	const struct library *library;
	struct inspect_plan plan;
	unsigned int plans, refusals;
};

static void inspect(void *context)
{
	struct inspected *inspected = context;
	struct inspect_plan plan;
	char reason[256];
	int code = inspect_plan(inspected->library->data, inspected->library->size, &plan, reason,
				sizeof(reason));

	countdown = -1;
	if (code) {
		inspected->refusals++;
		assert_int_equal(code, -ENOMEM);
		assert_string_equal(reason, "out of memory");
		return;
	}
	assert_memory_equal(&plan.abi, &inspected->plan.abi, sizeof(plan.abi));
	assert_string_equal(plan.doubt, inspected->plan.doubt);
	inspected->plans++;
}

static void test_plan_is_right(void **state)
{
	(void)state;
	require_failures();
	for (int i = 0; i < library_count; i++) {
		struct inspected inspected = {.library = &libraries[i]};

		assert_int_equal(plan_of(libraries[i].data, libraries[i].size, &inspected.plan), 0);
		assert_true(with_failures(inspect, &inspected) > 0);
		assert_true(inspected.refusals > 0 && inspected.plans > 0);
	}
}

static void decode_all(csh capstone, cs_insn *insn, const struct library *library)
{
	const uint8_t *code = library->data;
	size_t size = library->size;
	uint64_t address = 0;
	unsigned int decoded = 0;

	while (size > 4) {
		if (cs_disasm_iter(capstone, &code, &size, &address, insn)) {
			cs_regs read, written;
			uint8_t reads, writes;

			cs_regs_access(capstone, insn, read, &reads, written, &writes);
			decoded++;
		} else {
			code += 4;
			size -= 4;
			address += 4;
		}
	}
	assert_true(decoded > 100);
}

/* With nothing but what the disassembler has put aside: it works, or says that it cannot. */
static void test_disassembler_without_memory(void **state)
{
	struct elf_image image;
	csh capstone[OPEN_MAX];
	cs_insn *insn[OPEN_MAX];
	char reason[256];
	int opened = 0, code;

	(void)state;
	require_failures();
	for (int i = 0; i < library_count; i++) {
		const struct library *library = &libraries[i];

		assert_int_equal(elf_image_open(&image, library->data, library->size, reason,
						sizeof(reason)),
				 0);
		for (int again = 0; again < 3; again++) {
			fail_at(0, true);
			for (opened = 0; opened < OPEN_MAX; opened++) {
				code = disassembler_open(&image, &capstone[opened], &insn[opened]);
				if (code)
					break;
				decode_all(capstone[opened], insn[opened], library);
			}
			assert_true(fail_no_more());
			assert_int_equal(code, -ENOMEM);
			assert_in_range(opened, 2, OPEN_MAX - 1);
			while (opened--)
				disassembler_close(&capstone[opened], insn[opened]);
		}
		elf_image_close(&image);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_buffer),
		cmocka_unit_test(test_lines_are_whole),
		cmocka_unit_test(test_plan_is_right),
		cmocka_unit_test(test_disassembler_without_memory),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
