// SPDX-License-Identifier: GPL-2.0-or-later
/* user/model: inputs as bytes, and what another model makes of them. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "model/input_code.h"
#include "model/suppressions.h"
#include "model_scenario.h"

#define STEPS 400

/* All inputs of a scenario as bytes. */
static uint8_t *bytes;
static size_t bytes_size;

static void on_input(void *context, const struct model_input *input)
{
	assert_int_equal(input_writer_put(context, input), 0);
}

static void on_event(void *context, const struct event *event)
{
	(void)event;
	(*(uint64_t *)context)++;
}

static int set_up(void **state)
{
	const struct model_options options = {
		.idle_ns = 1000000, .kinds = KINDS_ALL, .for_log = true, .each = true};
	struct scenario scenario = {.dice = 1, .now = 1000};
	const struct model_resolver resolver = {scenario_process, scenario_torch, &scenario};
	struct input_writer *writer = input_writer_new();
	uint64_t events = 0;
	struct model *model = model_new(&options, &resolver, on_event, &events);

	(void)state;
	assert_non_null(writer);
	assert_non_null(model);
	model_on_input(model, on_input, writer);
	for (int i = 0; i < STEPS; i++)
		scenario_step(&scenario, model);
	scenario_finish(&scenario, model);
	assert_true(events > STEPS / 4);
	bytes = malloc(1 << 20);
	assert_non_null(bytes);
	{
		const uint8_t *all = input_writer_bytes(writer, &bytes_size);

		assert_true(bytes_size < 1 << 20);
		memcpy(bytes, all, bytes_size);
	}
	model_free(model);
	input_writer_free(writer);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	free(bytes);
	return 0;
}

/* Reads bytes from memory of their very size, so that ASan sees one too much. */
static int read_all(const uint8_t *from, size_t size, unsigned int types[MODEL_INPUT_MAX])
{
	struct input_reader *reader = input_reader_new();
	const struct model_options options = {
		.idle_ns = 1, .kinds = KINDS_ALL, .for_log = true, .each = true};
	uint8_t *copy = malloc(size ? size : 1);
	uint64_t events = 0;
	struct model *model = model_new(&options, NULL, on_event, &events);
	struct model_input input;
	int code;

	assert_non_null(reader);
	assert_non_null(copy);
	assert_non_null(model);
	memcpy(copy, from, size);
	input_reader_begin(reader, copy, size);
	while ((code = input_reader_next(reader, &input)) == 1) {
		types[input.type]++;
		model_feed(model, &input);
	}
	/* It does not go on where it cannot. */
	if (code)
		assert_int_equal(input_reader_next(reader, &input), -EBADMSG);
	model_free(model);
	input_reader_free(reader);
	free(copy);
	return code;
}

static void test_all_types(void **state)
{
	unsigned int types[MODEL_INPUT_MAX] = {0};

	(void)state;
	assert_int_equal(read_all(bytes, bytes_size, types), 0);
	for (int type = MODEL_INPUT_OPTIONS; type < MODEL_INPUT_UTC; type++)
		assert_true(types[type] > 0);
	assert_int_equal(types[MODEL_INPUT_OPTIONS], 1);
	assert_int_equal(types[MODEL_INPUT_FINISH], 1);
}

static void test_every_cut(void **state)
{
	unsigned int types[MODEL_INPUT_MAX];
	unsigned int whole = 0;

	(void)state;
	for (size_t size = 0; size < bytes_size && size < 4000; size++) {
		memset(types, 0, sizeof(types));
		if (!read_all(bytes, size, types))
			whole++;
	}
	/* Only between two inputs is nothing missing. */
	assert_true(whole > 3 && whole < 400);
}

static void test_flips(void **state)
{
	struct scenario dice = {.dice = 7};
	unsigned int bad = 0;

	(void)state;
	for (int i = 0; i < 1500; i++) {
		unsigned int types[MODEL_INPUT_MAX] = {0};
		size_t at = scenario_random(&dice, (uint32_t)bytes_size);
		uint8_t before = bytes[at];

		bytes[at] = (uint8_t)scenario_random(&dice, 256);
		bad += read_all(bytes, bytes_size, types) == -EBADMSG;
		bytes[at] = before;
	}
	assert_true(bad > 10);
}

static struct model_input read_back(struct input_reader *reader, struct input_writer *writer,
				    const struct model_input *input)
{
	struct model_input out;
	size_t size;
	const uint8_t *at;

	input_writer_clear(writer);
	assert_int_equal(input_writer_put(writer, input), 0);
	at = input_writer_bytes(writer, &size);
	input_reader_begin(reader, at, size);
	assert_int_equal(input_reader_next(reader, &out), 1);
	assert_int_equal(out.type, input->type);
	return out;
}

/* Whatever bytes a record has, and however often: it is the same one that comes back. */
static void test_records(void **state)
{
	struct input_writer *writer = input_writer_new();
	struct input_reader *reader = input_reader_new();
	struct scenario dice = {.dice = 3};
	uint8_t record[sizeof(struct gw_event_record) + 200 * sizeof(struct gw_frame)];
	struct gw_trace trace = {.id = 1};
	size_t first = 0;

	(void)state;
	for (int i = 0; i < 3000; i++) {
		struct model_input input = {.type = MODEL_INPUT_RECORD,
					    .data = record,
					    .size = scenario_random(&dice, sizeof(record)),
					    .decides = scenario_random(&dice, 2)};
		struct model_input out;
		uint32_t frames = scenario_random(&dice, 140);

		for (size_t j = 0; j < sizeof(record); j++)
			record[j] = (uint8_t)(scenario_random(&dice, 40) ? 0 : j);
		if (scenario_random(&dice, 2))
			trace.changes++;
		if (scenario_random(&dice, 3))
			input.trace = &trace;
		if (scenario_random(&dice, 4)) { /* one with frames, of which few are different */
			struct gw_event_record head;

			frames %= 5;
			memset(record + sizeof(head), (int)scenario_random(&dice, 3),
			       frames * sizeof(struct gw_frame));
			memcpy(&head, record, sizeof(head));
			head.header.type = GW_RECORD_CHANGE;
			head.frames = frames;
			memcpy(record, &head, sizeof(head));
			input.size = sizeof(head) + frames * sizeof(struct gw_frame);
		}
		out = read_back(reader, writer, &input);
		assert_int_equal(out.size, input.size);
		assert_memory_equal(out.data, record, input.size);
		assert_int_equal(out.decides, input.decides);
		assert_int_equal(out.trace != NULL, input.trace != NULL);
		if (out.trace)
			assert_memory_equal(out.trace, &trace, sizeof(trace));
	}
	/* The same once more: nothing but that it is so, a mask, and the place of its stack. */
	for (int i = 0; i < 2; i++) {
		struct gw_event_record head = {.header = {.type = GW_RECORD_CHANGE}, .trace = 9};
		const struct model_input input = {
			.type = MODEL_INPUT_RECORD, .data = &head, .size = sizeof(head)};

		read_back(reader, writer, &input);
		input_writer_bytes(writer, &first);
	}
	assert_int_equal(first, 10);
	input_writer_free(writer);
	input_reader_free(reader);
}

static void test_too_long(void **state)
{
	struct input_writer *writer = input_writer_new();
	char *text = calloc(1, INPUT_CODE_MAX + 1);
	struct model_input input = {
		.type = MODEL_INPUT_RECORD, .data = text, .size = INPUT_CODE_MAX};
	size_t size;

	(void)state;
	assert_int_equal(input_writer_put(writer, &input), -EMSGSIZE);
	input_writer_bytes(writer, &size);
	assert_int_equal(size, 0);
	free(text);
	input_writer_free(writer);
}

static void count_input(void *context, const struct model_input *input)
{
	((unsigned int *)context)[input->type]++;
}

/* What tells the model nothing is no input: a trace is looked at four times a second. */
static void test_what_is_no_input(void **state)
{
	const struct model_options options = {.idle_ns = 1000000, .kinds = KINDS_ALL};
	unsigned int seen[MODEL_INPUT_MAX] = {0};
	uint64_t events = 0;
	struct model *model = model_new(&options, NULL, on_event, &events);
	struct scenario scenario = {.dice = 1, .now = 50};
	struct gw_trace trace;

	(void)state;
	model_on_input(model, count_input, seen);
	scenario_begin(&scenario, &trace);
	for (uint64_t i = 0; i < 10; i++) {
		model_trace(model, &trace, MODEL_MODE_UNKNOWN, 60 + i);
		model_process(model, trace.pid, trace.start_time);
		model_process(model, 99, 1);
	}
	assert_int_equal(seen[MODEL_INPUT_TRACE], 1);
	assert_int_equal(seen[MODEL_INPUT_PROCESS], 1);
	trace.end_reason = GW_END_LEFT;
	assert_true(model_trace(model, &trace, MODEL_MODE_UNKNOWN, 80));
	assert_true(model_trace(model, &trace, MODEL_MODE_UNKNOWN, 81));
	assert_int_equal(seen[MODEL_INPUT_TRACE], 2);
	model_finish(model, 90);
	model_finish(model, 91);
	model_trace_detach(model, &trace, 92);
	assert_int_equal(seen[MODEL_INPUT_FINISH], 1);
	assert_int_equal(seen[MODEL_INPUT_DETACH], 0);
	model_free(model);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_types), cmocka_unit_test(test_every_cut),
		cmocka_unit_test(test_flips),     cmocka_unit_test(test_records),
		cmocka_unit_test(test_too_long),  cmocka_unit_test(test_what_is_no_input),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
