// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#include "model/input_code.h"
#include "model/input_private.h"
#include "model/process_names.h"
#include "model/suppressions.h"

/* The longest record: an event's or a code object's. */
#define RECORD_MAX (sizeof(struct gw_code_record) + GW_LINES_LARGE + 4096)
_Static_assert(RECORD_MAX >=
		       sizeof(struct gw_event_record) + GW_MAX_FRAMES * sizeof(struct gw_frame),
	       "holds either");

struct input_reader {
	struct input_memory memory;
	const uint8_t *at, *end;
	bool bad; /* what was read was not there, or is impossible */
	/* What inputs point to. */
	uint64_t record[RECORD_MAX / 8 + 1];
	struct gw_trace trace;
	uint64_t counter[GW_COUNTER_MAX];
	struct event_coverage coverage;
	struct event_torch torch;
	struct model_options options;
	char names[PROCESS_NAMES_MAX];
	struct event event;
	struct event_frame frame[GW_MAX_FRAMES];
	struct event_origin origin[GW_MAX_FRAMES];
	char *strings; /* of the frames, owned; INPUT_CODE_MAX bytes */
	size_t strings_used;
};

struct input_reader *input_reader_new(void)
{
	struct input_reader *reader = calloc(1, sizeof(*reader));

	if (reader)
		reader->strings = malloc(INPUT_CODE_MAX);
	if (reader && reader->strings)
		return reader;
	free(reader);
	return NULL;
}

void input_reader_free(struct input_reader *reader)
{
	if (!reader)
		return;
	input_memory_close(&reader->memory);
	free(reader->strings);
	free(reader);
}

void input_reader_begin(struct input_reader *reader, const uint8_t *bytes, size_t size)
{
	reader->at = bytes;
	reader->end = bytes + size;
}

static const uint8_t *take(struct input_reader *reader, size_t size)
{
	const uint8_t *at = reader->at;

	if ((size_t)(reader->end - at) < size)
		reader->bad = true;
	if (reader->bad)
		return NULL;
	reader->at += size;
	return at;
}

/* Zeros where there are no more bytes. */
static void get(struct input_reader *reader, void *out, size_t size)
{
	const uint8_t *at = take(reader, size);

	if (at)
		memcpy(out, at, size);
	else
		memset(out, 0, size);
}

#define GET(reader, variable) get(reader, &(variable), sizeof(variable))

static uint8_t get_u8(struct input_reader *reader)
{
	uint8_t byte;

	GET(reader, byte);
	return byte;
}

/* Below a limit. */
static uint8_t get_word(struct input_reader *reader, unsigned int limit)
{
	uint8_t word = get_u8(reader);

	if (word >= limit)
		reader->bad = true;
	return word < limit ? word : 0;
}

static uint32_t get_u32(struct input_reader *reader)
{
	uint32_t word;

	GET(reader, word);
	return word;
}

static uint64_t get_u64(struct input_reader *reader)
{
	uint64_t word;

	GET(reader, word);
	return word;
}

static const uint8_t *get_bytes(struct input_reader *reader, size_t max, size_t *size)
{
	uint32_t length = get_u32(reader);

	if (length > max)
		reader->bad = true;
	*size = reader->bad ? 0 : length;
	return take(reader, *size);
}

/* A string that fits with its NUL, and has none in it; what is behind it is zeros. */
static void get_string(struct input_reader *reader, char *out, size_t size, bool may_be_full)
{
	size_t length;
	const uint8_t *at = get_bytes(reader, may_be_full ? size : size - 1, &length);

	memset(out, 0, size);
	if (!at)
		return;
	if (memchr(at, 0, length))
		reader->bad = true;
	else
		memcpy(out, at, length);
}

/* A string without a NUL in it, kept behind those before it. */
static const char *get_name(struct input_reader *reader)
{
	char *name = reader->strings + reader->strings_used;
	size_t room = INPUT_CODE_MAX - reader->strings_used, length;
	const uint8_t *at;

	if (!room)
		reader->bad = true;
	at = get_bytes(reader, room ? room - 1 : 0, &length);
	if (at && memchr(at, 0, length))
		reader->bad = true;
	if (!at || reader->bad)
		return "";
	memcpy(name, at, length);
	name[length] = '\0';
	reader->strings_used += length + 1;
	return name;
}

static size_t get_event(struct input_reader *reader, bool new_stack)
{
	struct input_memory *memory = &reader->memory;
	uint8_t *out = (uint8_t *)reader->record;
	uint32_t differing = get_u32(reader), place, count;
	struct gw_event_record record;
	const uint8_t *frames;

	if (differing >> (INPUT_WORDS - 1) >> 1)
		reader->bad = true;
	for (unsigned int i = 0; i < INPUT_WORDS; i++)
		if (differing >> i & 1)
			GET(reader, memory->word[i]);
	place = get_u32(reader);
	count = new_stack ? get_u32(reader) : 0;
	if (place >= INPUT_STACKS || count > GW_MAX_FRAMES)
		reader->bad = true;
	frames = take(reader, count * sizeof(struct gw_frame));
	if (reader->bad)
		return 0;
	if (new_stack && input_memory_put_stack(memory, place, frames, count)) {
		reader->bad = true;
		return 0;
	}
	memcpy(&record, memory->word, sizeof(record));
	if (record.frames != memory->stack[place].count) {
		reader->bad = true;
		return 0;
	}
	memcpy(out, &record, sizeof(record));
	if (record.frames)
		memcpy(out + sizeof(record), memory->stack[place].frame,
		       record.frames * sizeof(struct gw_frame));
	return sizeof(record) + record.frames * sizeof(struct gw_frame);
}

static void get_record(struct input_reader *reader, struct model_input *input)
{
	uint8_t flags = get_u8(reader);

	input->decides = flags & INPUT_DECIDES;
	if (flags & INPUT_NEW_TRACE)
		GET(reader, reader->memory.trace);
	if (flags & INPUT_TRACE)
		input->trace = &reader->memory.trace;
	input->data = reader->record;
	if (flags & INPUT_EVENT) {
		input->size = get_event(reader, flags & INPUT_NEW_STACK);
	} else {
		const uint8_t *at = get_bytes(reader, RECORD_MAX, &input->size);

		if (at)
			memcpy(reader->record, at, input->size);
	}
}

static void get_torch(struct input_reader *reader, struct event_torch *torch)
{
	get_string(reader, torch->file, sizeof(torch->file), false);
	get_string(reader, torch->version, sizeof(torch->version), false);
}

static void get_process(struct input_reader *reader, struct event_process *process)
{
	uint32_t numbers[5];

	GET(reader, numbers);
	process->pid = numbers[0];
	process->tid = numbers[1];
	process->ns_pid = numbers[2];
	process->ns_tid = numbers[3];
	process->uid = numbers[4];
	process->start_time = get_u64(reader);
	get_string(reader, process->comm, sizeof(process->comm), true);
	get_string(reader, process->exe, sizeof(process->exe), false);
}

static void get_stack(struct input_reader *reader, struct event_stack *stack)
{
	uint32_t count;

	stack->status = get_word(reader, GW_STACK_MAX);
	stack->user = (int)get_u32(reader);
	count = get_u32(reader);
	if (count > GW_MAX_FRAMES || stack->user < -1 || stack->user >= (int)count) {
		reader->bad = true;
		count = 0;
		stack->user = -1;
	}
	reader->strings_used = 0;
	for (uint32_t i = 0; i < count; i++) {
		struct event_frame *frame = &reader->frame[i];
		uint8_t cut;

		frame->file = get_name(reader);
		frame->function = get_name(reader);
		frame->line = (int)get_u32(reader);
		cut = get_word(reader, 4);
		frame->file_cut = cut & 1;
		frame->function_cut = cut & 2;
	}
	stack->count = count;
	stack->frame = reader->frame;
	stack->origin = reader->origin; /* nobody asks whose they are */
}

static void get_action(struct input_reader *reader)
{
	struct event *event = &reader->event;
	struct event_action *action = &event->action;

	memset(event, 0, sizeof(*event));
	event->type = EVENT_ACTION;
	event->time = get_u64(reader);
	get_process(reader, &event->process);
	get_torch(reader, &event->torch);
	get_stack(reader, &event->stack);
	action->trace = get_u64(reader);
	action->kind = get_word(reader, TRACE_KIND_MAX);
	action->from = get_word(reader, 2);
	action->to = get_word(reader, 2);
	action->action = get_word(reader, GW_ACTION_MAX);
	action->fallback = get_word(reader, GW_ACTION_MAX);
	action->outcome = get_word(reader, ACTION_OUTCOME_MAX);
	action->signal = (int)get_u32(reader);
	action->by_bpf = get_word(reader, 2);
	action->after_change = get_word(reader, 2);
	action->duration_ns = get_u64(reader);
	action->hold_ns = get_u64(reader);
	get_string(reader, action->detail, sizeof(action->detail), false);
}

static void get_coverage(struct input_reader *reader, struct event_coverage *coverage)
{
	uint64_t numbers[6];

	GET(reader, numbers);
	*coverage = (struct event_coverage){
		.probed = numbers[0],
		.missed = numbers[1],
		.mappings_lost = numbers[2],
		.refused = numbers[3],
		.files_refused = numbers[4],
		.unarmed = numbers[5],
	};
}

/* The reader of the inputs makes the suppressions: here only whether there are some. */
static void get_options(struct input_reader *reader, struct model_input *input)
{
	reader->options = (struct model_options){.for_log = true, .each = true};
	reader->options.idle_ns = get_u64(reader);
	reader->options.kinds = get_u32(reader);
	reader->options.began_on = get_word(reader, 2);
	input->size = get_word(reader, 2);
	input->options = &reader->options;
}

static void get_body(struct input_reader *reader, struct model_input *input)
{
	switch (input->type) {
	case MODEL_INPUT_SUPPRESSIONS:
		input->data = get_bytes(reader, MODEL_INPUT_TEXT_MAX, &input->size);
		break;
	case MODEL_INPUT_OPTIONS:
	case MODEL_INPUT_SET:
		get_options(reader, input);
		break;
	case MODEL_INPUT_NAMES:
		input->pid = get_u32(reader);
		input->start_time = get_u64(reader);
		get_string(reader, reader->names, sizeof(reader->names), false);
		input->names = reader->names;
		break;
	case MODEL_INPUT_TORCH:
		input->file_id = get_u32(reader);
		get_torch(reader, &reader->torch);
		input->torch = &reader->torch;
		break;
	case MODEL_INPUT_RECORD:
		get_record(reader, input);
		break;
	case MODEL_INPUT_TRACE:
	case MODEL_INPUT_DETACH:
		if (input->type == MODEL_INPUT_TRACE)
			input->mode = get_word(reader, MODEL_MODE_GONE + 1);
		input->time = get_u64(reader);
		GET(reader, reader->trace);
		input->trace = &reader->trace;
		break;
	case MODEL_INPUT_PROCESS:
	case MODEL_INPUT_PROCESS_ENDED:
		input->pid = get_u32(reader);
		input->start_time = get_u64(reader);
		if (input->type == MODEL_INPUT_PROCESS_ENDED)
			input->time = get_u64(reader);
		break;
	case MODEL_INPUT_COUNTERS:
		input->time = get_u64(reader);
		GET(reader, reader->counter);
		input->counter = reader->counter;
		break;
	case MODEL_INPUT_COVERAGE:
		get_coverage(reader, &reader->coverage);
		input->coverage = &reader->coverage;
		break;
	case MODEL_INPUT_ACTION:
		get_action(reader);
		input->action = &reader->event;
		break;
	case MODEL_INPUT_FINISH:
		input->time = get_u64(reader);
		input->lost_output = get_u64(reader);
		break;
	case MODEL_INPUT_UTC:
		GET(reader, input->utc_offset);
		break;
	case MODEL_INPUT_MAX:
		break;
	}
}

int input_reader_next(struct input_reader *reader, struct model_input *input)
{
	memset(input, 0, sizeof(*input));
	if (reader->bad)
		return -EBADMSG;
	if (reader->at == reader->end)
		return 0;
	input->type = get_u8(reader);
	if (input->type < MODEL_INPUT_SUPPRESSIONS || input->type >= MODEL_INPUT_MAX)
		reader->bad = true;
	else
		get_body(reader, input);
	return reader->bad ? -EBADMSG : 1;
}
