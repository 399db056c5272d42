// SPDX-License-Identifier: GPL-2.0-or-later
#include "log/input.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>
#include <zstd_errors.h>

#include "log/folder.h"

#define ROOM       (256u << 10) /* bytes of the file that are held */
#define MAGIC_SIZE 4
#define PAGE       4096 /* bytes: what a disk cannot read is at least one */

/* Memory for a frame: 32 MiB. zstd --ultra and --long can ask for more, which is reported as
 * damage. */
#define WINDOW_LOG_MAX 25

static const uint8_t zstd_magic[MAGIC_SIZE] = {0x28, 0xb5, 0x2f, 0xfd};
static const uint8_t gzip_magic[MAGIC_SIZE] = {0x1f, 0x8b, 0x08};
#define GZIP_MAGIC_SIZE 3

static ssize_t read_file(const struct input *input, char *bytes, size_t size)
{
	ssize_t count;

	do
		count = read(input->fd, bytes, size);
	while (count < 0 && errno == EINTR);
	return count < 0 ? -errno : count;
}

/*
 * A read has failed. Goes on behind what cannot be read, where the bytes that are given here are.
 * Negative errno: there is nothing to be read behind it.
 */
static ssize_t skip_unreadable(struct input *input, char *bytes, size_t size)
{
	off_t start = lseek(input->fd, 0, SEEK_CUR), at = start;
	ssize_t count = -EIO;
	struct stat file;

	/* Others than those on disks have no end that is known. */
	if (fstat(input->fd, &file) || !S_ISREG(file.st_mode))
		file.st_size = 0;
	while (at >= 0 && count == -EIO) {
		at = at / PAGE * PAGE + PAGE;
		if (at >= file.st_size)
			break;
		at = lseek(input->fd, at, SEEK_SET);
		if (at >= 0)
			count = read_file(input, bytes, size);
	}
	if (count <= 0) {
		if (start >= 0)
			(void)lseek(input->fd, start, SEEK_SET);
		return count ? count : -EIO;
	}
	input->problem = strerrordesc_np(EIO);
	input->where = (uint64_t)start;
	input->missing = (uint64_t)(at - start);
	return count;
}

/*
 * Reads on behind bytes[end). -EBADMSG: a part of the file is missing before bytes[at), see
 * input->problem. Negative errno.
 */
static int fill(struct input *input)
{
	ssize_t count;

	if (input->at) {
		memmove(input->bytes, input->bytes + input->at, input->end - input->at);
		input->position += input->at;
		input->end -= input->at;
		input->at = 0;
	}
	if (input->ended || input->end == ROOM)
		return 0;
	count = read_file(input, input->bytes + input->end, ROOM - input->end);
	if (count == -EIO) {
		count = skip_unreadable(input, input->bytes, ROOM);
		if (count > 0) {
			input->position = input->where + input->missing;
			input->end = (size_t)count;
			return -EBADMSG;
		}
	}
	if (count < 0)
		return (int)count;
	input->ended = !count;
	input->end += (size_t)count;
	return 0;
}

static bool begins_with(const struct input *input, const uint8_t *magic, size_t size)
{
	return input->end - input->at >= size && !memcmp(input->bytes + input->at, magic, size);
}

static enum input_form form_of(const struct input *input, const char *name)
{
	if (name && folder_ends_with(name, ".zst"))
		return INPUT_ZSTD;
	if (name && folder_ends_with(name, ".gz"))
		return INPUT_GZIP;
	if (begins_with(input, zstd_magic, MAGIC_SIZE))
		return INPUT_ZSTD;
	return begins_with(input, gzip_magic, GZIP_MAGIC_SIZE) ? INPUT_GZIP : INPUT_PLAIN;
}

static int open_stream(struct input *input)
{
	if (input->form == INPUT_ZSTD) {
		input->stream = ZSTD_createDStream();
		if (input->stream)
			ZSTD_DCtx_setParameter(input->stream, ZSTD_d_windowLogMax, WINDOW_LOG_MAX);
	} else if (input->form == INPUT_GZIP) {
		input->stream = calloc(1, sizeof(z_stream));
		if (input->stream && inflateInit2((z_stream *)input->stream, 15 + 16) != Z_OK) {
			free(input->stream);
			input->stream = NULL;
		}
	}
	return input->form == INPUT_PLAIN || input->stream ? 0 : -ENOMEM;
}

int input_open(struct input *input, int fd, const char *name)
{
	int code = 0;

	*input = (struct input){.fd = fd, .bytes = malloc(ROOM)};
	if (!input->bytes)
		return -ENOMEM;
	/* A pipe may give less than a magic number at once. */
	while (!code && input->end < MAGIC_SIZE && !input->ended)
		code = fill(input);
	input->unreadable = code == -EBADMSG;
	/* An error of the file is found again when it is read. */
	input->form = form_of(input, name);
	code = open_stream(input);
	if (code)
		free(input->bytes);
	return code;
}

void input_close(struct input *input)
{
	if (input->form == INPUT_ZSTD)
		ZSTD_freeDStream(input->stream);
	if (input->form == INPUT_GZIP) {
		inflateEnd(input->stream);
		free(input->stream);
	}
	free(input->bytes);
}

static ssize_t read_plain(struct input *input, char *text, size_t size)
{
	size_t held = input->end - input->at;
	ssize_t count;

	if (held) {
		size_t length = held < size ? held : size;

		memcpy(text, input->bytes + input->at, length);
		input->at += length;
		return (ssize_t)length;
	}
	count = read_file(input, text, size);
	if (count != -EIO)
		return count;
	count = skip_unreadable(input, input->bytes, ROOM);
	if (count < 0)
		return count;
	input->at = 0;
	input->end = (size_t)count;
	return -EBADMSG;
}

/* Uses what is held of the file. 0: go on; 1: a frame has ended; -EBADMSG: input->problem. */
static int step_zstd(struct input *input, char *text, size_t size, size_t *made)
{
	ZSTD_inBuffer in = {input->bytes, input->end, input->at};
	ZSTD_outBuffer out = {text, size, 0};
	size_t result = ZSTD_decompressStream(input->stream, &out, &in);

	input->at = in.pos;
	*made = out.pos;
	if (ZSTD_isError(result)) {
		input->problem = ZSTD_getErrorName(result);
		return -EBADMSG;
	}
	return !result;
}

static int step_gzip(struct input *input, char *text, size_t size, size_t *made)
{
	z_stream *stream = input->stream;
	int result;

	stream->next_in = (unsigned char *)input->bytes + input->at;
	stream->avail_in = (unsigned int)(input->end - input->at);
	stream->next_out = (unsigned char *)text;
	stream->avail_out = (unsigned int)size;
	result = inflate(stream, Z_NO_FLUSH);
	input->at = input->end - stream->avail_in;
	*made = size - stream->avail_out;
	if (result == Z_STREAM_END)
		return 1;
	if (result == Z_OK || result == Z_BUF_ERROR)
		return 0;
	input->problem = stream->msg ? stream->msg : "no gzip";
	return -EBADMSG;
}

static void reset_stream(struct input *input)
{
	if (input->form == INPUT_ZSTD)
		ZSTD_DCtx_reset(input->stream, ZSTD_reset_session_only);
	else
		inflateReset(input->stream);
	input->in_frame = false;
	input->text = 0;
}

/* Goes back to just behind the start of the damaged frame, if that can be done. */
static void go_back(struct input *input)
{
	uint64_t from = input->frame + 1;

	reset_stream(input);
	input->searching = true;
	if (from >= input->position) {
		input->at = (size_t)(from - input->position);
		return;
	}
	if (lseek(input->fd, (off_t)from, SEEK_SET) < 0)
		return; /* a pipe: on from here */
	input->position = from;
	input->at = input->end = 0;
	input->ended = false;
}

/* Whether there is a frame; then it begins at bytes[at]. Negative errno. */
static int search(struct input *input)
{
	const uint8_t *magic = input->form == INPUT_ZSTD ? zstd_magic : gzip_magic;
	size_t size = input->form == INPUT_ZSTD ? MAGIC_SIZE : GZIP_MAGIC_SIZE;

	for (;;) {
		const char *found = memmem(input->bytes + input->at, input->end - input->at, magic,
					   size);
		int code;

		if (found) {
			input->at = (size_t)(found - input->bytes);
			return 1;
		}
		if (input->ended) {
			input->at = input->end;
			return 0;
		}
		if (input->end - input->at >= size)
			input->at = input->end - (size - 1);
		code = fill(input);
		if (code)
			return code;
	}
}

/* A frame that is not the first one tried of damaged ones, and gives nothing, is no frame. */
static ssize_t damaged_frame(struct input *input)
{
	bool reported = input->searching && !input->text;

	input->where = input->frame;
	go_back(input);
	return reported ? 0 : -EBADMSG;
}

/* The file's bytes are used up: what the decompressor still holds, then 0. */
static ssize_t end_of_file(struct input *input, char *text, size_t size)
{
	size_t made = 0;
	int code;

	code = input->form == INPUT_ZSTD ? step_zstd(input, text, size, &made)
					 : step_gzip(input, text, size, &made);
	if (code == 1)
		reset_stream(input);
	if (made || code == 1)
		return (ssize_t)made;
	/* Or a damaged size has made it longer than it is: there may be frames behind it. */
	input->problem = "the file ends in the middle of a compressed frame";
	return damaged_frame(input);
}

/* A piece of the frame, 0 for none yet, or -EBADMSG. */
static ssize_t read_frame(struct input *input, char *text, size_t size)
{
	size_t made = 0;
	int code;

	if (!input->in_frame)
		input->frame = input->position + input->at;
	input->in_frame = true;
	code = input->form == INPUT_ZSTD ? step_zstd(input, text, size, &made)
					 : step_gzip(input, text, size, &made);
	input->text += made;
	if (code == 1)
		reset_stream(input);
	if (made)
		input->searching = false;
	/* The text first: the damage is behind it. */
	if (code < 0 && made)
		input->failed = true;
	else if (code < 0)
		return damaged_frame(input);
	return (ssize_t)made;
}

static ssize_t read_compressed(struct input *input, char *text, size_t size)
{
	ssize_t count = 0;

	if (input->failed) {
		input->failed = false;
		return damaged_frame(input);
	}
	while (!count) {
		int code = 0;

		if (input->searching && !input->in_frame) {
			code = search(input);
			if (!code)
				return 0;
		} else if (input->at == input->end) {
			code = fill(input);
		}
		if (code == -EBADMSG) {
			reset_stream(input);
			input->searching = true;
		}
		if (code < 0)
			return code;
		if (input->at == input->end && input->ended && !input->in_frame)
			return 0;
		count = input->at == input->end && input->ended ? end_of_file(input, text, size)
								: read_frame(input, text, size);
	}
	return count;
}

ssize_t input_read(struct input *input, char *text, size_t size)
{
	if (input->unreadable) {
		input->unreadable = false;
		input->searching = input->form != INPUT_PLAIN;
		return -EBADMSG;
	}
	input->missing = 0;
	return input->form == INPUT_PLAIN ? read_plain(input, text, size)
					  : read_compressed(input, text, size);
}
