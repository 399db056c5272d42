// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * libFuzzer: whatever a ring buffer holds, the model takes it or refuses it, and what it tells can
 * be written. Input: pieces, each a length (two bytes) and so many bytes. The first byte of a piece
 * says what the rest is: a record with or without a trace's snapshot before it, or such a
 * snapshot alone.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/model.h"
#include "output/sink.h"

#define CHECK(condition)                                                                           \
	do {                                                                                       \
		if (!(condition))                                                                  \
			abort();                                                                   \
	} while (0)

enum piece { PIECE_RECORD, PIECE_BOTH, PIECE_TRACE, PIECE_KINDS };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct sink *sinks[2];
static struct sink_context names = {.host = "host"};

static void open_sinks(void)
{
	sinks[0] = sink_json(&names, NULL);
	sinks[1] = sink_text(&names, NULL, true, 2);
	CHECK(sinks[0] && sinks[1]);
}

static void on_event(void *context, const struct event *event)
{
	(void)context;
	for (int i = 0; i < 2; i++) {
		char *text = NULL;
		size_t length = 0;

		CHECK(!sinks[i]->ops->format(sinks[i], event, &text, &length));
		free(text);
	}
}

static void no_process(void *context, uint32_t pid, uint64_t start_time,
		       struct event_process *process)
{
	(void)context;
	(void)pid;
	(void)start_time;
	(void)process;
}

static void no_torch(void *context, uint32_t file_id, struct event_torch *torch)
{
	(void)context;
	(void)file_id;
	(void)torch;
}

/* Answers each question, as one who acts would. */
static void decide(struct model *model, struct model_decision *decision)
{
	struct event_action *action = &decision->event.action;

	if (decision->subject != MODEL_SUBJECT_CHANGE)
		return;
	action->action = decision->record.ask % GW_ACTION_MAX;
	action->outcome = decision->verdict == MODEL_VERDICT_VIOLATION ? ACTION_PERFORMED
								       : ACTION_REFUSED;
	model_action(model, &decision->event);
}

static void feed(struct model *model, const uint8_t *data, size_t size)
{
	static struct model_decision decision;
	struct gw_trace trace;
	enum piece piece = data[0] % PIECE_KINDS;
	uint8_t *record;

	data++, size--;
	if (piece != PIECE_RECORD) {
		if (size < sizeof(trace))
			return;
		memcpy(&trace, data, sizeof(trace));
		data += sizeof(trace), size -= sizeof(trace);
	}
	if (piece == PIECE_TRACE) {
		model_trace(model, &trace, size % 3, trace.last_push);
		return;
	}
	record = malloc(size + 1); /* of its very size, for ASan; a record is aligned */
	CHECK(record);
	memcpy(record, data, size);
	model_record(model, record, size, piece == PIECE_BOTH ? &trace : NULL, &decision);
	decide(model, &decision);
	free(record);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct model_options options = {.idle_ns = 1000, .kinds = ~0u};
	const struct model_resolver resolver = {no_process, no_torch, NULL};
	struct event_totals totals;
	struct model *model;

	if (!sinks[0])
		open_sinks();
	model = model_new(&options, &resolver, on_event, NULL);
	CHECK(model);
	while (size > 2) {
		size_t length = (size_t)data[0] | (size_t)data[1] << 8;

		data += 2, size -= 2;
		if (length > size)
			length = size;
		if (length)
			feed(model, data, length);
		data += length, size -= length;
	}
	model_finish(model, ~0ull);
	model_totals(model, &totals);
	model_free(model);
	return 0;
}
