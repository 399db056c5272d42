// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * libFuzzer: the inputs of a log are any bytes. What is read of them goes to a model, whose events
 * can be written; and each input that was read, written and read again is the same.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "fence.h"
#include "model/input_code.h"
#include "output/sink.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void on_event(void *context, const struct event *event)
{
	size_t length;
	char *text = event_to_json(context, event, &length);

	CHECK(text);
	free(text);
}

/* The writer gives what it was given: compared in that form, which has no holes. */
static void check_written(struct input_writer *writer, struct input_reader *reader,
			  struct input_writer *again, const struct model_input *input)
{
	struct model_input back;
	const uint8_t *one, *other;
	size_t size, other_size;

	input_writer_clear(writer);
	input_writer_clear(again);
	if (input->type == MODEL_INPUT_OPTIONS) /* the suppressions are the caller's */
		return;
	if (input_writer_put(writer, input))
		return;
	one = input_writer_bytes(writer, &size);
	input_reader_begin(reader, one, size);
	CHECK(input_reader_next(reader, &back) == 1 && back.type == input->type);
	if (input->type == MODEL_INPUT_RECORD)
		CHECK(back.size == input->size && !memcmp(back.data, input->data, back.size));
	CHECK(!input_writer_put(again, &back));
	other = input_writer_bytes(again, &other_size);
	CHECK(size == other_size && !memcmp(one, other, size));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct model_options options = {
		.idle_ns = 1000, .kinds = ~0u, .for_log = true, .each = true};
	static struct sink_context names = {.host = "host"};
	struct model *model = model_new(&options, NULL, on_event, &names);
	struct input_reader *reader = input_reader_new(), *second = input_reader_new();
	struct input_writer *writer = input_writer_new(), *again = input_writer_new();
	uint8_t *copy = fenced(size);
	struct model_input input;

	CHECK(model && reader && second && writer && again);
	memcpy(copy, data, size);
	input_reader_begin(reader, copy, size);
	while (input_reader_next(reader, &input) == 1) {
		check_written(writer, second, again, &input);
		model_feed(model, &input);
	}
	CHECK(input_reader_next(reader, &input) <= 0);
	model_free(model);
	input_reader_free(reader);
	input_reader_free(second);
	input_writer_free(writer);
	input_writer_free(again);
	return 0;
}
