// SPDX-License-Identifier: GPL-2.0-or-later
#include "log/segment.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "log/crc32c.h"

#define SEQ_SIZE 32 /* ,"seq":18446744073709551615 */

int segment_create(struct segment *segment, int folder, const char *name, uint64_t first_seq)
{
	struct flock whole = {.l_type = F_WRLCK};

	*segment = (struct segment){.first_seq = first_seq};
	segment->fd = openat(folder, name,
			     O_WRONLY | O_APPEND | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (segment->fd < 0)
		return -errno;
	/* Ours alone, as it is new. Without the lock a reader takes it for one that was cut off. */
	(void)fcntl(segment->fd, F_SETLK, &whole);
	return 0;
}

enum log_type segment_type(const char *line, size_t length)
{
	static const char start[] = LOG_HEAD;
	const size_t before = sizeof(start) - 1;

	if (length <= before || memcmp(line, start, before) != 0)
		return LOG_TYPE_MAX;
	for (int type = 0; type < LOG_TYPE_MAX; type++) {
		size_t size = strlen(log_types[type]);

		if (length > before + size && line[before + size] == '"' &&
		    !memcmp(line + before, log_types[type], size))
			return (enum log_type)type;
	}
	return LOG_TYPE_MAX;
}

/* The line with number and checksum, malloc'ed; *length: of the line before, and with them. */
static char *complete(const char *line, size_t *length, uint64_t seq)
{
	size_t body = *length - (line[*length - 1] == '\n');
	size_t room = body + SEQ_SIZE + LOG_TAIL_SIZE + 1, at;
	char *text = malloc(room);

	if (!text)
		return NULL;
	body--; /* the brace that closes the object */
	memcpy(text, line, body);
	at = body + (size_t)snprintf(text + body, room - body, ",\"%s\":%" PRIu64,
				     log_fields[FIELD_SEQ], seq);
	*length = at + (size_t)snprintf(text + at, room - at, LOG_TAIL, crc32c(text, at));
	return text;
}

/* All of it or negative errno; *written: how much. */
static int write_all(int fd, const char *data, size_t length, size_t *written)
{
	*written = 0;
	while (*written < length) {
		ssize_t count = write(fd, data + *written, length - *written);

		if (count < 0 && errno != EINTR)
			return -errno;
		if (count > 0)
			*written += (size_t)count;
	}
	return 0;
}

int segment_put(struct segment *segment, const char *line, size_t length, uint64_t seq)
{
	enum log_type type = segment_type(line, length);
	char *text = length > 2 ? complete(line, &length, seq) : NULL;
	size_t written = 0;
	int code = text ? 0 : -ENOMEM;

	if (!code && segment->torn) {
		code = write_all(segment->fd, "\n", 1, &written);
		segment->size += written;
		segment->torn = code != 0;
	}
	if (!code)
		code = write_all(segment->fd, text, length, &written);
	free(text);
	if (code) {
		if (written && ftruncate(segment->fd, (off_t)segment->size))
			segment->torn = true;
		segment->size += segment->torn ? written : 0;
		return code;
	}
	segment->size += length;
	segment->records++;
	segment->types[type]++;
	segment->dirty = true;
	return 0;
}

int segment_sync(struct segment *segment)
{
	if (!segment->dirty)
		return 0;
	if (fdatasync(segment->fd))
		return -errno;
	segment->dirty = false;
	return 0;
}

void segment_close(struct segment *segment)
{
	close(segment->fd);
	segment->fd = -1;
}
