// SPDX-License-Identifier: GPL-2.0-or-later
/* user/model/codes: code objects, however hostile their records, become frames. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
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

		record.id = 1 + (uint64_t)cut;
		event.frame.code = record.id;
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

/* A record with one frame. */
struct one_frame {
	struct gw_event_record record;
	struct gw_frame frame;
};

static struct one_frame event_at(uint64_t id)
{
	return (struct one_frame){.record = {.frames = 1}, .frame = {.code = id}};
}

static void tell_of(struct codes *codes, uint64_t id, uint32_t pid, uint64_t start_time)
{
	struct gw_code_record record = record_of(id, "f");

	record.pid = pid;
	record.start_time = start_time;
	assert_int_equal(codes_add(codes, &record, sizeof(record)), 0);
}

static bool knows(const struct codes *codes, uint64_t id)
{
	struct one_frame event = event_at(id);
	struct codes_frames frames;
	struct event_stack stack;

	codes_stack(codes, "", &event, sizeof(event), &frames, &stack);
	assert_int_equal(stack.count, 1);
	return !strcmp(stack.frame[0].function, "f");
}

/* The oldest make room; one that is told again is young. */
static void test_eviction(void **state)
{
	struct codes *codes = codes_new();

	(void)state;
	for (uint64_t id = 1; id <= CODES_MAX; id++)
		tell_of(codes, id, 40, 0);
	tell_of(codes, 1, 40, 0);
	tell_of(codes, CODES_MAX + 1, 40, 0);
	assert_true(knows(codes, 1));
	assert_false(knows(codes, 2));
	assert_true(knows(codes, CODES_MAX + 1));
	assert_int_equal(codes_count(codes), CODES_MAX);
	codes_free(codes);
}

/* What BPF tells when it uses a code object (bpf/stack.bpf.h), with a map that forgets nothing. */
struct teller {
	struct codes *codes;
	uint32_t told, at[200 * 300 + 1];
};

static void use(struct teller *teller, uint64_t id, uint32_t pid)
{
	if (teller->at[id] && teller->told - teller->at[id] < GW_CODES_AGAIN)
		return;
	tell_of(teller->codes, id, pid, 0);
	teller->at[id] = ++teller->told;
}

/* A hot frame is known whenever it is used, however many others come in between. */
static void test_hot_frame(void **state)
{
	static struct teller teller;
	uint64_t other = 1000000;

	(void)state;
	for (uint64_t others = 1; others < 1 << 18; others *= 2) {
		memset(&teller, 0, sizeof(teller));
		teller.codes = codes_new();
		for (int round = 0; round < 3; round++) {
			use(&teller, 1, 40);
			assert_true(knows(teller.codes, 1));
			for (uint64_t i = 0; i < others; i++, teller.told++)
				tell_of(teller.codes, other++, 40, 0);
		}
		codes_free(teller.codes);
	}
}

static void test_many_processes(void **state)
{
	static struct teller teller;

	(void)state;
	memset(&teller, 0, sizeof(teller));
	teller.codes = codes_new();
	for (int round = 0; round < 5; round++)
		for (uint32_t pid = 0; pid < 200; pid++)
			for (uint64_t code = 1; code <= 300; code++) {
				use(&teller, pid * 300ull + code, pid + 1);
				assert_true(knows(teller.codes, pid * 300ull + code));
			}
	codes_free(teller.codes);
}

/* The frames of a kept record are known until it is dropped. */
static void test_kept(void **state)
{
	const struct one_frame event = event_at(1);
	struct codes *codes = codes_new();
	void *kept, *again;

	(void)state;
	tell_of(codes, 1, 40, 0);
	kept = codes_keep(codes, &event, sizeof(event));
	again = codes_keep(codes, &event, sizeof(event));
	assert_memory_equal(kept, &event, sizeof(event));
	for (uint64_t id = 2; id <= 3 * CODES_MAX; id++)
		tell_of(codes, id, 40, 0);
	codes_drop(codes, kept, sizeof(event));
	assert_true(knows(codes, 1));
	assert_false(knows(codes, 2));
	codes_forget_process(codes, 40, 0);
	assert_true(knows(codes, 1));
	assert_int_equal(codes_count(codes), 1);
	codes_drop(codes, again, sizeof(event));
	assert_int_equal(codes_count(codes), 0);
	codes_drop(codes, NULL, sizeof(event));
	codes_free(codes);
}

/* When all are kept, one of them makes room. */
static void test_all_kept(void **state)
{
	static void *kept[CODES_MAX];
	struct codes *codes = codes_new();

	(void)state;
	for (uint64_t id = 1; id <= CODES_MAX; id++) {
		const struct one_frame event = event_at(id);

		tell_of(codes, id, 40, 0);
		kept[id - 1] = codes_keep(codes, &event, sizeof(event));
	}
	for (uint64_t id = 1; id <= 1000; id++)
		tell_of(codes, CODES_MAX + id, 40, 0);
	assert_int_equal(codes_count(codes), CODES_MAX);
	for (size_t i = 0; i < CODES_MAX; i++)
		codes_drop(codes, kept[i], sizeof(struct one_frame));
	codes_free(codes);
}

/* A process's code objects go with it, and no other's: not a child's, not a later one's. */
static void test_ended_process(void **state)
{
	struct codes *codes = codes_new();

	(void)state;
	for (uint64_t id = 1; id <= 300; id++)
		tell_of(codes, id, 40, 123456789012);
	tell_of(codes, 301, 40, 987000000000);
	tell_of(codes, 302, 41, 123456789012);
	codes_forget_process(codes, 40, 123450000000); /* as /proc shows it */
	assert_false(knows(codes, 1));
	assert_true(knows(codes, 301));
	assert_true(knows(codes, 302));
	assert_int_equal(codes_count(codes), 2);
	codes_forget_process(codes, 40, 123456789012);
	codes_forget_process(codes, 42, 0);
	assert_int_equal(codes_count(codes), 2);
	codes_free(codes);
}

/* A stack that was looked up before is not taken for what it was when its code comes or goes. */
static void test_stack_again(void **state)
{
	struct {
		struct gw_event_record record;
		struct gw_frame frame[2];
	} event = {.record = {.frames = 2}, .frame = {{.code = 1}, {.code = 2}}};
	struct gw_code_record first = record_of(1, "first"), second = record_of(2, "second");
	struct codes *codes = codes_new();
	struct codes_frames frames;
	struct event_stack stack;

	(void)state;
	second.pid = 7;
	for (int i = 0; i < 3; i++)
		codes_stack(codes, "", &event, sizeof(event), &frames, &stack);
	assert_string_equal(stack.frame[1].function, "?");
	assert_int_equal(add(codes, &first, sizeof(first)), 0);
	assert_int_equal(add(codes, &second, sizeof(second)), 0);
	for (int i = 0; i < 3; i++) {
		codes_stack(codes, "", &event, sizeof(event), &frames, &stack);
		assert_int_equal(stack.count, 2);
		assert_string_equal(stack.frame[0].function, "first");
		assert_string_equal(stack.frame[1].function, "second");
		assert_int_equal(stack.user, 0);
	}
	/* Whose a frame is depends on where torch is. */
	codes_stack(codes, "/x/torch/lib/libc10.so", &event, sizeof(event), &frames, &stack);
	event.record.stack = GW_STACK_CUT;
	codes_stack(codes, "/x/torch/lib/libc10.so", &event, sizeof(event), &frames, &stack);
	assert_int_equal(stack.status, GW_STACK_CUT);
	codes_forget_process(codes, 7, 0);
	codes_stack(codes, "", &event, sizeof(event), &frames, &stack);
	assert_string_equal(stack.frame[0].function, "first");
	assert_string_equal(stack.frame[1].function, "?");
	codes_free(codes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_characters),     cmocka_unit_test(test_stack_again),
		cmocka_unit_test(test_lying_records),  cmocka_unit_test(test_lying_names),
		cmocka_unit_test(test_lying_stacks),   cmocka_unit_test(test_hot_frame),
		cmocka_unit_test(test_many_processes), cmocka_unit_test(test_kept),
		cmocka_unit_test(test_all_kept),       cmocka_unit_test(test_ended_process),
		cmocka_unit_test(test_eviction),       cmocka_unit_test(test_cut_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
