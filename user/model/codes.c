// SPDX-License-Identifier: GPL-2.0-or-later
#include "model/codes.h"

#include <errno.h>
#include <json-c/linkhash.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "model/frames.h"
#include "model/lines.h"
#include "model/origins.h"

/* Everything that is known of a code object; the strings follow the line table. */
struct code {
	char *file, *name;
	bool file_cut, name_cut;
	uint32_t version;
	int first_line;
	size_t line_bytes, line_total;
	uint8_t lines[];
};

struct codes {
	struct lh_table *by_id; /* (void *)id -> struct code, owned */
};

static void free_code(struct lh_entry *entry)
{
	struct code *code = (struct code *)(uintptr_t)lh_entry_v(entry);

	free(code->file);
	free(code->name);
	free(code);
}

struct codes *codes_new(void)
{
	struct codes *codes = calloc(1, sizeof(*codes));

	if (codes)
		codes->by_id = lh_kptr_table_new(1024, free_code);
	if (codes && !codes->by_id) {
		free(codes);
		return NULL;
	}
	return codes;
}

void codes_free(struct codes *codes)
{
	if (!codes)
		return;
	lh_table_free(codes->by_id);
	free(codes);
}

static void *key_of(uint64_t id)
{
	return (void *)(uintptr_t)id;
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
	struct code *code = malloc(sizeof(*code) + record->line_bytes);

	if (!code)
		return NULL;
	code->file_cut = record->file_cut;
	code->name_cut = record->name_cut;
	code->file = decode(record->file, record->file_bytes, record->file_kind, code->file_cut);
	code->name = decode(record->name, record->name_bytes, record->name_kind, code->name_cut);
	code->version = record->version;
	code->first_line = (int)record->first_line;
	code->line_bytes = record->line_bytes;
	code->line_total = record->line_total;
	memcpy(code->lines, lines, record->line_bytes);
	if (!code->file || !code->name) {
		free(code->file);
		free(code->name);
		free(code);
		return NULL;
	}
	return code;
}

int codes_add(struct codes *codes, const void *data, size_t size)
{
	struct gw_code_record record;
	struct code *code;

	if (size < sizeof(record))
		return -EBADMSG;
	memcpy(&record, data, sizeof(record));
	if (record.header.type != GW_RECORD_CODE || record.header.version != GW_ABI_VERSION ||
	    !record.id || record.line_bytes > size - sizeof(record))
		return -EBADMSG;
	code = make_code(&record, (const uint8_t *)data + sizeof(record));
	if (!code)
		return -ENOMEM;
	lh_table_delete(codes->by_id, key_of(record.id));
	if (lh_table_length(codes->by_id) >= CODES_MAX)
		lh_table_delete_entry(codes->by_id, codes->by_id->head);
	if (!lh_table_insert(codes->by_id, key_of(record.id), code))
		return 0;
	free(code->file);
	free(code->name);
	free(code);
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
	struct lh_entry *entry = lh_table_lookup_entry(codes->by_id, key_of(raw->code));
	const struct code *code = entry ? lh_entry_v(entry) : NULL;

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

void codes_stack(const struct codes *codes, const char *torch_file, const void *data, size_t size,
		 struct codes_frames *frames, struct event_stack *stack)
{
	struct origins_hint hint = {torch_file, 0};
	const uint8_t *raw_frames = (const uint8_t *)data + sizeof(struct gw_event_record);
	struct gw_event_record record;
	size_t count;

	*stack = (struct event_stack){.status = GW_STACK_UNREADABLE, .user = -1};
	if (size < sizeof(record))
		return;
	memcpy(&record, data, sizeof(record));
	count = (size - sizeof(record)) / sizeof(struct gw_frame);
	if (record.frames < count)
		count = record.frames;
	stack->status = record.stack;
	stack->frame = frames->frame;
	stack->origin = frames->origin;
	for (size_t i = 0; i < count && i < GW_MAX_FRAMES; i++) {
		struct gw_frame raw;

		memcpy(&raw, raw_frames + i * sizeof(raw), sizeof(raw));
		if (find_frame(codes, &raw, &frames->frame[stack->count], &hint.python))
			stack->count++;
	}
	origins_find(frames->frame, stack->count, &hint, frames->origin);
	stack->user = frames_find_user(stack);
}
