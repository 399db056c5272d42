// SPDX-License-Identifier: GPL-2.0-or-later
#include "model/codes.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "base/clock.h"
#include "base/str.h"
#include "base/table.h"
#include "model/frames.h"
#include "model/lines.h"
#include "model/origins.h"
#include "model/stack_cache.h"

/* How many kept ones are passed over in search of one to evict. */
#define MAX_PASSED 64

struct code_owner;

/* Everything that is known of a code object; the strings follow the line table. */
struct code {
	struct table_item item;
	uint64_t id;
	struct code_owner *owner; /* NULL: its process has ended */
	struct code *prev, *next; /* of the same process */
	uint32_t kept;            /* by so many frames of kept records */
	char *file, *name;
	bool file_cut, name_cut;
	uint32_t version;
	int first_line;
	size_t line_bytes, line_total;
	uint8_t lines[];
};

struct process_key {
	uint64_t pid;
	uint64_t start; /* in ticks: the one unit that every source has */
};

/* The code objects of a process: at least one. */
struct code_owner {
	struct table_item item;
	struct process_key key;
	struct code *first;
};

struct codes {
	struct table by_id;
	struct table owners; /* by process */
	struct stack_cache *stacks;
};

struct codes *codes_new(void)
{
	struct codes *codes = calloc(1, sizeof(*codes));

	if (codes)
		codes->stacks = stack_cache_new();
	if (!codes || !codes->stacks) {
		free(codes);
		return NULL;
	}
	codes->by_id.capacity = CODES_MAX;
	codes->owners.capacity = CODES_MAX;
	return codes;
}

static void free_code(struct code *code)
{
	free(code->file);
	free(code->name);
	free(code);
}

/* The process loses a code object, and with its last one its place. */
static void disown(struct codes *codes, struct code *code)
{
	struct code_owner *owner = code->owner;

	if (!owner)
		return;
	code->owner = NULL;
	DL_DELETE(owner->first, code);
	if (owner->first)
		return;
	table_remove(&codes->owners, &owner->item);
	free(owner);
}

static void forget(struct codes *codes, struct code *code)
{
	disown(codes, code);
	table_remove(&codes->by_id, &code->item);
	free_code(code);
	stack_cache_clear(codes->stacks);
}

void codes_free(struct codes *codes)
{
	if (!codes)
		return;
	while (codes->by_id.oldest)
		forget(codes, (struct code *)codes->by_id.oldest);
	stack_cache_free(codes->stacks);
	free(codes);
}

size_t codes_count(const struct codes *codes)
{
	return table_count(&codes->by_id);
}

static struct code *find(const struct codes *codes, uint64_t id)
{
	return (struct code *)table_find(&codes->by_id, &id, sizeof(id));
}

static struct process_key key_of(uint32_t pid, uint64_t start_time)
{
	return (struct process_key){pid, start_time / CLOCK_TICK_NS};
}

/* The process's place, made if need be; NULL when out of memory. */
static struct code_owner *get_owner(struct codes *codes, const struct gw_code_record *record)
{
	struct process_key key = key_of(record->pid, record->start_time);
	struct code_owner *owner = (struct code_owner *)table_find(&codes->owners, &key,
								   sizeof(key));

	if (owner)
		return owner;
	owner = calloc(1, sizeof(*owner));
	if (!owner)
		return NULL;
	owner->key = key;
	if (!table_add(&codes->owners, &owner->item, &owner->key, sizeof(owner->key)))
		return owner;
	free(owner);
	return NULL;
}

/* Each process has a code object: evicting the oldest code object frees owners as well. */
static void evict(struct codes *codes)
{
	struct code *oldest = (struct code *)table_surplus(&codes->by_id);

	for (int i = 0; oldest && oldest->kept && i < MAX_PASSED; i++) {
		table_touch(&codes->by_id, &oldest->item);
		oldest = (struct code *)codes->by_id.oldest;
	}
	if (oldest)
		forget(codes, oldest);
}

void codes_forget_process(struct codes *codes, uint32_t pid, uint64_t start_time)
{
	struct process_key key = key_of(pid, start_time);
	struct code_owner *owner = (struct code_owner *)table_find(&codes->owners, &key,
								   sizeof(key));
	struct code *code, *next;

	for (code = owner ? owner->first : NULL; code; code = next) {
		next = code->next;
		if (code->kept)
			disown(codes, code);
		else
			forget(codes, code);
	}
}

/* The frames of a record of size bytes: those that it has are at most those that it says. */
static size_t count_frames(const void *data, size_t size)
{
	struct gw_event_record record;
	size_t count;

	if (size < sizeof(record))
		return 0;
	memcpy(&record, data, sizeof(record));
	count = (size - sizeof(record)) / sizeof(struct gw_frame);
	if (record.frames < count)
		count = record.frames;
	return count < GW_MAX_FRAMES ? count : GW_MAX_FRAMES;
}

static struct gw_frame frame_at(const void *data, size_t index)
{
	const uint8_t *frames = (const uint8_t *)data + sizeof(struct gw_event_record);
	struct gw_frame frame;

	memcpy(&frame, frames + index * sizeof(frame), sizeof(frame));
	return frame;
}

void *codes_keep(struct codes *codes, const void *record, size_t size)
{
	void *kept = malloc(size);

	if (!kept)
		return NULL;
	memcpy(kept, record, size);
	for (size_t i = 0; codes && i < count_frames(kept, size); i++) {
		struct code *code = find(codes, frame_at(kept, i).code);

		if (code)
			code->kept++;
	}
	return kept;
}

void codes_drop(struct codes *codes, void *kept, size_t size)
{
	for (size_t i = 0; codes && kept && i < count_frames(kept, size); i++) {
		struct code *code = find(codes, frame_at(kept, i).code);

		if (!code || !code->kept)
			continue;
		if (!--code->kept && !code->owner)
			forget(codes, code);
	}
	free(kept);
}

/* One character of a string that CPython stores with so many bytes per character. */
static uint32_t character(const uint8_t *at, unsigned int kind)
{
	uint32_t value = 0;

	memcpy(&value, at, kind); /* little-endian */
	return value;
}

static size_t put_utf8(char *out, uint32_t c)
{
	/* os.fsdecode() makes lone surrogates of file names that are not UTF-8. */
	if ((c >= 0xd800 && c <= 0xdfff) || c > 0x10ffff)
		c = 0xfffd;
	if (c < 0x80) {
		out[0] = (char)c;
		return 1;
	}
	if (c < 0x800) {
		out[0] = (char)(0xc0 | c >> 6);
		out[1] = (char)(0x80 | (c & 63));
		return 2;
	}
	if (c < 0x10000) {
		out[0] = (char)(0xe0 | c >> 12);
		out[1] = (char)(0x80 | (c >> 6 & 63));
		out[2] = (char)(0x80 | (c & 63));
		return 3;
	}
	out[0] = (char)(0xf0 | (c >> 18 & 7));
	out[1] = (char)(0x80 | (c >> 12 & 63));
	out[2] = (char)(0x80 | (c >> 6 & 63));
	out[3] = (char)(0x80 | (c & 63));
	return 4;
}

/* The characters as UTF-8, malloc'ed; "?" for a string that could not be read. */
static char *decode(const uint8_t *bytes, size_t size, unsigned int kind, bool cut)
{
	const char *end = cut ? EVENT_CUT : "";
	char *text;
	size_t length = 0;

	if ((kind != 1 && kind != 2 && kind != 4) || size > GW_NAME_BYTES)
		return strdup("?");
	text = malloc(4 * size + sizeof(EVENT_CUT));
	for (size_t i = 0; text && i + kind <= size; i += kind)
		length += put_utf8(text + length, character(bytes + i, kind));
	if (text)
		strcpy(text + length, end);
	return text;
}

static struct code *make_code(const struct gw_code_record *record, const uint8_t *lines)
{
	struct code *code = calloc(1, sizeof(*code) + record->line_bytes);

	if (!code)
		return NULL;
	code->id = record->id;
	code->file_cut = record->file_cut;
	code->name_cut = record->name_cut;
	code->file = decode(record->file, record->file_bytes, record->file_kind, code->file_cut);
	code->name = decode(record->name, record->name_bytes, record->name_kind, code->name_cut);
	code->version = record->version;
	code->first_line = (int)record->first_line;
	code->line_bytes = record->line_bytes;
	code->line_total = record->line_total;
	memcpy(code->lines, lines, record->line_bytes);
	if (code->file && code->name)
		return code;
	free_code(code);
	return NULL;
}

/* Takes the code object's place in the tables; -ENOMEM. */
static int put(struct codes *codes, struct code *code, const struct gw_code_record *record)
{
	int error = table_add(&codes->by_id, &code->item, &code->id, sizeof(code->id));
	struct code_owner *owner;

	if (error)
		return error;
	owner = get_owner(codes, record);
	if (!owner) {
		table_remove(&codes->by_id, &code->item);
		return -ENOMEM;
	}
	code->owner = owner;
	DL_APPEND(owner->first, code);
	stack_cache_clear(codes->stacks);
	return 0;
}

int codes_add(struct codes *codes, const void *data, size_t size)
{
	struct gw_code_record record;
	struct code *code, *known;

	if (size < sizeof(record))
		return -EBADMSG;
	memcpy(&record, data, sizeof(record));
	if (record.header.type != GW_RECORD_CODE || record.header.version != GW_ABI_VERSION ||
	    !record.id || record.line_bytes > size - sizeof(record))
		return -EBADMSG;
	known = find(codes, record.id);
	if (known) { /* sent again: an id never names another code object */
		table_touch(&codes->by_id, &known->item);
		return 0;
	}
	code = make_code(&record, (const uint8_t *)data + sizeof(record));
	if (!code)
		return -ENOMEM;
	evict(codes);
	if (!put(codes, code, &record))
		return 0;
	free_code(code);
	return -ENOMEM;
}

/*
 * CPython 3.13 and 3.14 put an artificial frame between an __init__ and its specialised caller; its
 * file and its name are both "__init__". Python hides it, and so do we.
 */
static bool is_hidden(const struct code *code)
{
	return !strcmp(code->file, "__init__") && !strcmp(code->name, "__init__");
}

static bool find_frame(const struct codes *codes, const struct gw_frame *raw,
		       struct event_frame *frame, uint32_t *version)
{
	const struct code *code = find(codes, raw->code);

	if (!code) {
		*frame = (struct event_frame){.file = "?", .function = "?"};
		return true;
	}
	*version = code->version;
	if (is_hidden(code))
		return false;
	*frame = (struct event_frame){
		.file = code->file,
		.function = code->name,
		.line = lines_find(code->version, code->lines, code->line_bytes, code->line_total,
				   code->first_line, raw->position),
		.file_cut = code->file_cut,
		.function_cut = code->name_cut,
	};
	return true;
}

/* What the frames of a record are, and whose. */
static void find_stack(const struct codes *codes, const char *torch_file, const void *data,
		       size_t size, struct codes_frames *frames, struct event_stack *stack)
{
	struct origins_hint hint = {torch_file, 0};

	stack->frame = frames->frame;
	stack->origin = frames->origin;
	for (size_t i = 0; i < count_frames(data, size); i++) {
		struct gw_frame raw = frame_at(data, i);

		if (find_frame(codes, &raw, &frames->frame[stack->count], &hint.python))
			stack->count++;
	}
	origins_find(frames->frame, stack->count, &hint, frames->origin);
	stack->user = frames_find_user(stack);
}

void codes_stack(const struct codes *codes, const char *torch_file, const void *data, size_t size,
		 struct codes_frames *frames, struct event_stack *stack)
{
	const uint8_t *raw = (const uint8_t *)data + sizeof(struct gw_event_record);
	size_t count = count_frames(data, size);
	struct gw_event_record record;

	*stack = (struct event_stack){.status = GW_STACK_UNREADABLE, .user = -1};
	if (size < sizeof(record))
		return;
	memcpy(&record, data, sizeof(record));
	stack->status = record.stack;
	if (stack_cache_get(codes->stacks, torch_file, raw, count, frames, stack))
		return;
	find_stack(codes, torch_file, data, size, frames, stack);
	stack_cache_put(codes->stacks, torch_file, raw, count, stack);
}
