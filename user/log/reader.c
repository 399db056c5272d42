// SPDX-License-Identifier: GPL-2.0-or-later
#include "log/reader.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "log/folder.h"
#include "log/head.h"
#include "log/input.h"

#define ROOM     (256u << 10)        /* bytes of text that are held at first: the caches have it */
#define TAIL     (LOG_TAIL_SIZE - 1) /* without the newline */
#define ROOM_MAX (2ull * LOG_LINE_MAX) /* for a line that is not too long there is always room */

/* What a file is known to be from its first line. */
enum kind { KIND_UNKNOWN, KIND_SEGMENT, KIND_PLAIN };

struct reader {
	struct input input;
	int fd;
	struct parser *parser;
	char *buffer;
	size_t room, start, end; /* [start, end): text that is not used yet */
	uint64_t offset;         /* of buffer[start] in the text */
	enum kind kind;
	bool skipping; /* the rest of a line that is too long */
	bool ended;    /* there is no more text */
	bool looked;   /* it was not there at the first look */
	bool broken;   /* the text that comes does not follow what is held */
	char *line;    /* of the record */
	size_t line_length;
	uint64_t line_offset;
	struct record record;
	struct reader_damage damage;
	struct reader_damage next; /* of the input, when what is held is used up; what NULL: none */
	struct reader_state state;
	bool finished;
	bool fast;
};

struct reader *reader_new(void)
{
	struct reader *reader = calloc(1, sizeof(*reader));

	if (!reader)
		return NULL;
	reader->fd = -1;
	reader->room = ROOM;
	reader->buffer = malloc(ROOM + PARSE_PADDING);
	reader->parser = parser_new();
	if (reader->buffer && reader->parser)
		return reader;
	reader_free(reader);
	return NULL;
}

int reader_open(struct reader *reader, int fd, const char *name)
{
	/* What it keeps from file to file. */
	struct reader opened = {.fd = fd,
				.parser = reader->parser,
				.buffer = reader->buffer,
				.room = reader->room,
				.record = reader->record,
				.fast = reader->fast};
	int code = input_open(&opened.input, fd, name);

	if (code)
		return code;
	*reader = opened;
	return 0;
}

void reader_close(struct reader *reader)
{
	if (reader->fd >= 0)
		input_close(&reader->input);
	reader->fd = -1;
}

void reader_set_fast(struct reader *reader)
{
	reader->fast = true;
}

void reader_free(struct reader *reader)
{
	if (!reader)
		return;
	reader_close(reader);
	parser_free(reader->parser);
	free(reader->buffer);
	free(reader);
}

static enum reader_item damaged(struct reader *reader, const char *what, uint64_t offset,
				uint64_t length)
{
	reader->damage = (struct reader_damage){
		.what = what,
		.offset = offset,
		.length = length,
		.in_text = reader->input.form != INPUT_PLAIN,
	};
	reader->state.damages++;
	return READER_DAMAGE;
}

/* Room behind `end`. False: the line that is held is too long, or there is no memory for it. */
static bool make_room(struct reader *reader)
{
	char *more;

	if (reader->start) {
		memmove(reader->buffer, reader->buffer + reader->start,
			reader->end - reader->start);
		reader->end -= reader->start;
		reader->start = 0;
	}
	if (reader->end < reader->room)
		return true;
	if (2 * reader->room > ROOM_MAX)
		return false;
	more = realloc(reader->buffer, 2 * reader->room + PARSE_PADDING);
	if (!more)
		return false;
	reader->buffer = more;
	reader->room *= 2;
	return true;
}

/*
 * Nothing more is there. One who has just closed the file may have written to it after it was read,
 * and before it was looked at: then it is read once more.
 */
static void note_end(struct reader *reader)
{
	reader->state.live = folder_is_written(reader->fd);
	reader->ended = reader->state.live || reader->looked;
	reader->looked = true;
}

/* More text behind what is held. */
static void read_more(struct reader *reader)
{
	size_t size = reader->room - reader->end < ROOM ? reader->room - reader->end : ROOM;
	ssize_t count = input_read(&reader->input, reader->buffer + reader->end, size);
	off_t place;

	if (count > 0) {
		reader->end += (size_t)count;
		reader->state.bytes += (uint64_t)count;
		return;
	}
	if (!count) {
		note_end(reader);
		return;
	}
	/* What is held cannot be gone on with. */
	reader->broken = true;
	if (count == -EBADMSG) {
		reader->next = (struct reader_damage){.what = reader->input.problem,
						      .offset = reader->input.where,
						      .length = reader->input.missing};
		return;
	}
	reader->ended = true;
	place = lseek(reader->fd, 0, SEEK_CUR);
	reader->next = (struct reader_damage){
		.what = strerrordesc_np((int)-count),
		.offset = place < 0 ? reader->state.bytes : (uint64_t)place,
	};
}

/*
 * The first line decides. One that has no checksum is of a file without them, if it is a record,
 * and no header: a single damage cannot make one of the other.
 */
static void decide_kind(struct reader *reader, bool is_record, bool checked)
{
	bool plain = is_record && !checked && reader->record.type != LOG_TYPE_HEADER &&
		     !reader->record.field[FIELD_CRC].kind;

	if (reader->kind == KIND_UNKNOWN)
		reader->kind = plain ? KIND_PLAIN : KIND_SEGMENT;
	reader->state.checked = reader->kind == KIND_SEGMENT;
}

static enum reader_item take_line(struct reader *reader, char *line, size_t length, uint64_t offset)
{
	bool checked = log_has_checksum(line, length);
	const char *wrong;

	/* In a segment the checksum comes first: most of what is damaged is found by it. */
	if (!checked && reader->kind == KIND_SEGMENT)
		return damaged(reader, "a record whose checksum is wrong", offset, length);
	if (reader->fast && checked && reader->kind == KIND_SEGMENT &&
	    head_parse(reader->parser, line, length, &reader->record))
		wrong = NULL;
	else
		wrong = parser_parse(reader->parser, line, length, &reader->record);
	decide_kind(reader, !wrong, checked);
	if (wrong)
		return damaged(reader, wrong, offset, length);
	if (!checked && (reader->kind == KIND_SEGMENT || reader->record.field[FIELD_CRC].kind))
		return damaged(reader, "a record whose checksum is wrong", offset, length);
	reader->line = line;
	reader->line_length = length;
	reader->line_offset = offset;
	reader->state.records++;
	reader->state.newer += reader->record.newer;
	reader->state.unknown += reader->record.type == LOG_TYPE_MAX;
	reader->state.closed = reader->record.type ==
			       (reader->kind == KIND_SEGMENT ? LOG_TYPE_CLOSE : LOG_TYPE_END);
	return READER_RECORD;
}

/* Uses `length` bytes of what is held, and the newline. */
static void use(struct reader *reader, size_t length)
{
	reader->start += length;
	reader->offset += length;
}

bool reader_complete(struct reader *reader)
{
	const char *wrong = parser_parse(reader->parser, reader->line, reader->line_length,
					 &reader->record);

	if (!wrong)
		return true;
	reader->state.records--;
	damaged(reader, wrong, reader->line_offset, reader->line_length);
	return false;
}

/* The damage that was put aside until its turn. */
static enum reader_item take_next(struct reader *reader)
{
	reader->damage = reader->next;
	reader->next.what = NULL;
	reader->state.damages++;
	return READER_DAMAGE;
}

/* The input's damage, behind all text before it. */
static enum reader_item take_break(struct reader *reader)
{
	size_t held = reader->end - reader->start;
	bool was_skipping = reader->skipping;
	uint64_t offset = reader->offset;

	use(reader, held);
	reader->skipping = false;
	if (held && !was_skipping)
		return damaged(reader, "a line that is cut off", offset, held);
	reader->broken = false;
	/* Of a plain file the text goes on behind what cannot be read. */
	if (reader->input.form == INPUT_PLAIN)
		reader->offset += reader->next.length;
	return take_next(reader);
}

static enum reader_item take_end(struct reader *reader)
{
	if (reader->next.what)
		return take_next(reader);
	if (reader->finished)
		return READER_END;
	reader->finished = true;
	if (reader->state.closed || reader->state.live)
		return READER_END;
	if (!reader->state.records && reader->state.damages)
		return READER_END; /* it may be anything */
	if (!reader->state.records)
		return damaged(reader, "there is nothing in it", 0, 0);
	return damaged(reader,
		       reader->kind == KIND_SEGMENT
			       ? "it ends without its closing record: gradwatch was killed, or the "
				 "end is lost"
			       : "it ends without an \"end\" event: gradwatch was killed, or the "
				 "end is lost",
		       reader->offset, 0);
}

/* The last line, which has no newline. */
static enum reader_item take_tail(struct reader *reader)
{
	size_t held = reader->end - reader->start;
	char *line = reader->buffer + reader->start;
	bool whole = log_has_checksum(line, held);
	uint64_t offset = reader->offset;

	use(reader, held);
	if (reader->skipping || (reader->state.live && !whole))
		return take_end(reader); /* it is being written, or was reported */
	if (!whole && reader->kind == KIND_SEGMENT)
		return damaged(reader, "a line that is cut off", offset, held);
	if (take_line(reader, line, held, offset) == READER_DAMAGE) {
		reader->damage.what = "a line that is cut off";
		return READER_DAMAGE;
	}
	if (reader->kind == KIND_SEGMENT && !reader->state.live)
		reader->next = (struct reader_damage){.what = "the last record lacks its newline",
						      .offset = offset + held,
						      .in_text = reader->input.form != INPUT_PLAIN};
	return READER_RECORD;
}

/* What is held is the begin of a line that does not fit, or more of it. */
static enum reader_item take_giant(struct reader *reader)
{
	uint64_t offset = reader->offset;

	use(reader, reader->end - reader->start);
	reader->skipping = true;
	return damaged(reader, "a line that is longer than " LOG_LINE_MAX_TEXT, offset, 0);
}

/* A line with its newline; READER_END: nothing is to be said of it. */
static enum reader_item take_whole(struct reader *reader, char *line, size_t length)
{
	uint64_t offset = reader->offset;
	bool skipped = reader->skipping;

	use(reader, length + 1);
	reader->skipping = false;
	/* Empty ones are between lines that others have written to the same pipe. */
	if (!length || skipped)
		return READER_END;
	if (length > LOG_LINE_MAX)
		return damaged(reader, "a line that is longer than " LOG_LINE_MAX_TEXT, offset,
			       length);
	return take_line(reader, line, length, offset);
}

enum reader_item reader_next(struct reader *reader)
{
	size_t seen = 0; /* of what is held, without a newline */

	for (;;) {
		char *line = reader->buffer + reader->start;
		const char *newline = memchr(line + seen, '\n', reader->end - reader->start - seen);
		enum reader_item item;

		if (newline) {
			item = take_whole(reader, line, (size_t)(newline - line));
			if (item != READER_END)
				return item;
			seen = 0;
			continue;
		}
		seen = reader->end - reader->start;
		if (reader->broken)
			return take_break(reader);
		if (reader->ended)
			return seen ? take_tail(reader) : take_end(reader);
		if (reader->skipping) {
			use(reader, seen);
			seen = 0;
		}
		if (seen > LOG_LINE_MAX || !make_room(reader))
			return take_giant(reader);
		read_more(reader);
	}
}

const struct record *reader_record(const struct reader *reader)
{
	return &reader->record;
}

const char *reader_line(const struct reader *reader, size_t *length)
{
	*length = reader->line_length;
	return reader->line;
}

const struct reader_damage *reader_damage(const struct reader *reader)
{
	return &reader->damage;
}

const struct reader_state *reader_state(const struct reader *reader)
{
	return &reader->state;
}
