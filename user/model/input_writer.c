// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <xxhash.h>

#include "model/input_code.h"
#include "model/input_private.h"

struct input_writer {
	struct input_memory memory;
	uint8_t *bytes;
	size_t used, room;
	bool failed; /* there was no memory for a part of the present input */
};

struct input_writer *input_writer_new(void)
{
	return calloc(1, sizeof(struct input_writer));
}

void input_writer_free(struct input_writer *writer)
{
	if (!writer)
		return;
	input_memory_close(&writer->memory);
	free(writer->bytes);
	free(writer);
}

int input_memory_put_stack(struct input_memory *memory, uint32_t place, const void *frames,
			   uint32_t count)
{
	struct gw_frame **to = &memory->stack[place].frame;

	if (!*to)
		*to = malloc(GW_MAX_FRAMES * sizeof(**to));
	if (!*to)
		return -ENOMEM;
	memcpy(*to, frames, count * sizeof(**to));
	memory->stack[place].count = count;
	return 0;
}

void input_memory_close(struct input_memory *memory)
{
	for (size_t i = 0; i < INPUT_STACKS; i++)
		free(memory->stack[i].frame);
}

static void put(struct input_writer *writer, const void *data, size_t size)
{
	if (writer->used + size > writer->room) {
		size_t room = 2 * (writer->room + size) + 4096;
		uint8_t *more = realloc(writer->bytes, room);

		if (!more) {
			writer->failed = true;
			return;
		}
		writer->bytes = more;
		writer->room = room;
	}
	memcpy(writer->bytes + writer->used, data, size);
	writer->used += size;
}

#define PUT(writer, value) put(writer, &(value), sizeof(value))

static void put_u8(struct input_writer *writer, unsigned int value)
{
	uint8_t byte = (uint8_t)value;

	PUT(writer, byte);
}

static void put_u32(struct input_writer *writer, uint64_t value)
{
	uint32_t word = (uint32_t)value;

	PUT(writer, word);
}

static void put_u64(struct input_writer *writer, uint64_t value)
{
	PUT(writer, value);
}

static void put_bytes(struct input_writer *writer, const void *data, size_t size)
{
	put_u32(writer, size);
	put(writer, data, size);
}

static void put_string(struct input_writer *writer, const char *string)
{
	put_bytes(writer, string, strlen(string));
}

/* Of a char array that may be full. */
static void put_array(struct input_writer *writer, const char *string, size_t size)
{
	put_bytes(writer, string, strnlen(string, size));
}

/* The place of a stack. *known: it is there already. */
static uint32_t place_of(const struct input_memory *memory, const void *frames, uint32_t count,
			 bool *known)
{
	size_t size = count * sizeof(struct gw_frame);
	uint32_t place = (uint32_t)(XXH3_64bits(frames, size) % INPUT_STACKS);

	*known = memory->stack[place].count == count && memory->stack[place].frame &&
		 !memcmp(memory->stack[place].frame, frames, size);
	return place;
}

/* Whether the bytes are an event record and its frames. */
static bool is_event(const void *data, size_t size)
{
	struct gw_event_record record;

	if (size < sizeof(record))
		return false;
	memcpy(&record, data, sizeof(record));
	return record.header.type != GW_RECORD_CODE && record.frames <= GW_MAX_FRAMES &&
	       size == sizeof(record) + record.frames * sizeof(struct gw_frame);
}

static void put_words(struct input_writer *writer, const void *data)
{
	uint64_t *before = writer->memory.word, now[INPUT_WORDS];
	uint32_t differing = 0;

	memcpy(now, data, sizeof(now));
	for (unsigned int i = 0; i < INPUT_WORDS; i++)
		differing |= (uint32_t)(now[i] != before[i]) << i;
	PUT(writer, differing);
	for (unsigned int i = 0; i < INPUT_WORDS; i++)
		if (differing >> i & 1)
			PUT(writer, now[i]);
	memcpy(before, now, sizeof(now));
}

static void put_event(struct input_writer *writer, const uint8_t *data, size_t size, uint32_t place,
		      bool known)
{
	const uint8_t *frames = data + sizeof(struct gw_event_record);
	uint32_t count =
		(uint32_t)((size - sizeof(struct gw_event_record)) / sizeof(struct gw_frame));

	put_words(writer, data);
	put_u32(writer, place);
	if (known)
		return;
	put_u32(writer, count);
	put(writer, frames, count * sizeof(struct gw_frame));
	if (input_memory_put_stack(&writer->memory, place, frames, count))
		writer->failed = true;
}

static void put_record(struct input_writer *writer, const struct model_input *input)
{
	const uint8_t *data = input->data;
	bool event = is_event(data, input->size), known = true;
	unsigned int flags = input->decides ? INPUT_DECIDES : 0;
	bool new_trace = input->trace &&
			 memcmp(&writer->memory.trace, input->trace, sizeof(*input->trace)) != 0;
	uint32_t place = 0;

	if (event)
		place = place_of(&writer->memory, data + sizeof(struct gw_event_record),
				 (uint32_t)((input->size - sizeof(struct gw_event_record)) /
					    sizeof(struct gw_frame)),
				 &known);
	flags |= (input->trace ? INPUT_TRACE : 0) | (new_trace ? INPUT_NEW_TRACE : 0) |
		 (event ? INPUT_EVENT : 0) | (known ? 0 : INPUT_NEW_STACK);
	put_u8(writer, flags);
	if (new_trace) {
		writer->memory.trace = *input->trace;
		PUT(writer, *input->trace);
	}
	if (event)
		put_event(writer, data, input->size, place, known);
	else
		put_bytes(writer, data, input->size);
}

static void put_torch(struct input_writer *writer, const struct event_torch *torch)
{
	put_array(writer, torch->file, sizeof(torch->file));
	put_array(writer, torch->version, sizeof(torch->version));
}

static void put_process(struct input_writer *writer, const struct event_process *process)
{
	const uint32_t numbers[] = {process->pid, process->tid, process->ns_pid, process->ns_tid,
				    process->uid};

	PUT(writer, numbers);
	put_u64(writer, process->start_time);
	put_array(writer, process->comm, sizeof(process->comm));
	put_array(writer, process->exe, sizeof(process->exe));
}

static void put_stack(struct input_writer *writer, const struct event_stack *stack)
{
	put_u8(writer, stack->status);
	put_u32(writer, (uint32_t)stack->user);
	put_u32(writer, stack->count);
	for (size_t i = 0; i < stack->count; i++) {
		const struct event_frame *frame = &stack->frame[i];

		put_string(writer, frame->file);
		put_string(writer, frame->function);
		put_u32(writer, (uint32_t)frame->line);
		put_u8(writer, (frame->file_cut ? 1u : 0) | (frame->function_cut ? 2u : 0));
	}
}

static void put_action(struct input_writer *writer, const struct event *event)
{
	const struct event_action *action = &event->action;

	put_u64(writer, event->time);
	put_process(writer, &event->process);
	put_torch(writer, &event->torch);
	put_stack(writer, &event->stack);
	put_u64(writer, action->trace);
	put_u8(writer, action->kind);
	put_u8(writer, action->from);
	put_u8(writer, action->to);
	put_u8(writer, action->action);
	put_u8(writer, action->fallback);
	put_u8(writer, action->outcome);
	put_u32(writer, (uint32_t)action->signal);
	put_u8(writer, action->by_bpf);
	put_u8(writer, action->after_change);
	put_u64(writer, action->duration_ns);
	put_u64(writer, action->hold_ns);
	put_array(writer, action->detail, sizeof(action->detail));
}

static void put_coverage(struct input_writer *writer, const struct event_coverage *coverage)
{
	const uint64_t numbers[] = {coverage->probed,        coverage->missed,
				    coverage->mappings_lost, coverage->refused,
				    coverage->files_refused, coverage->unarmed};

	PUT(writer, numbers);
}

static void put_options(struct input_writer *writer, const struct model_options *options)
{
	put_u64(writer, options->idle_ns);
	put_u32(writer, options->kinds);
	put_u8(writer, options->began_on);
	put_u8(writer, options->suppressions != NULL);
}

static void put_body(struct input_writer *writer, const struct model_input *input)
{
	switch (input->type) {
	case MODEL_INPUT_SUPPRESSIONS:
		put_bytes(writer, input->data, input->size);
		break;
	case MODEL_INPUT_OPTIONS:
	case MODEL_INPUT_SET:
		put_options(writer, input->options);
		break;
	case MODEL_INPUT_NAMES:
		put_u32(writer, input->pid);
		put_u64(writer, input->start_time);
		put_string(writer, input->names);
		break;
	case MODEL_INPUT_TORCH:
		put_u32(writer, input->file_id);
		put_torch(writer, input->torch);
		break;
	case MODEL_INPUT_RECORD:
		put_record(writer, input);
		break;
	case MODEL_INPUT_TRACE:
		put_u8(writer, input->mode);
		put_u64(writer, input->time);
		PUT(writer, *input->trace);
		break;
	case MODEL_INPUT_DETACH:
		put_u64(writer, input->time);
		PUT(writer, *input->trace);
		break;
	case MODEL_INPUT_PROCESS:
		put_u32(writer, input->pid);
		put_u64(writer, input->start_time);
		break;
	case MODEL_INPUT_PROCESS_ENDED:
		put_u32(writer, input->pid);
		put_u64(writer, input->start_time);
		put_u64(writer, input->time);
		break;
	case MODEL_INPUT_COUNTERS:
		put_u64(writer, input->time);
		put(writer, input->counter, GW_COUNTER_MAX * sizeof(*input->counter));
		break;
	case MODEL_INPUT_COVERAGE:
		put_coverage(writer, input->coverage);
		break;
	case MODEL_INPUT_ACTION:
		put_action(writer, input->action);
		break;
	case MODEL_INPUT_FINISH:
		put_u64(writer, input->time);
		put_u64(writer, input->lost_output);
		break;
	case MODEL_INPUT_UTC:
		PUT(writer, input->utc_offset);
		break;
	case MODEL_INPUT_MAX:
		break;
	}
}

int input_writer_put(struct input_writer *writer, const struct model_input *input)
{
	size_t before = writer->used;

	writer->failed = false;
	put_u8(writer, input->type);
	put_body(writer, input);
	if (!writer->failed && writer->used - before <= INPUT_CODE_MAX)
		return 0;
	writer->used = before;
	return writer->failed ? -ENOMEM : -EMSGSIZE;
}

const uint8_t *input_writer_bytes(const struct input_writer *writer, size_t *size)
{
	*size = writer->used;
	return writer->bytes;
}

void input_writer_clear(struct input_writer *writer)
{
	writer->used = 0;
}
