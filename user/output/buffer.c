// SPDX-License-Identifier: GPL-2.0-or-later
#include "output/buffer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

#define FIRST_SIZE 1024

/* Grows the buffer to hold so many more bytes and a NUL. */
static bool grow(struct buffer *buffer, size_t more)
{
	size_t size = buffer->size ? buffer->size : FIRST_SIZE;
	char *bytes;

	if (buffer->length + more < buffer->size)
		return true;
	while (size <= buffer->length + more)
		size *= 2;
	bytes = realloc(buffer->bytes, size);
	if (!bytes)
		return false;
	buffer->bytes = bytes;
	buffer->size = size;
	return true;
}

void buffer_put(struct buffer *buffer, const char *bytes, size_t length)
{
	if (buffer->failed || !grow(buffer, length)) {
		buffer->failed = true;
		return;
	}
	memcpy(buffer->bytes + buffer->length, bytes, length);
	buffer->length += length;
	buffer->bytes[buffer->length] = '\0';
}

static ssize_t write_to(void *buffer, const char *bytes, size_t length)
{
	buffer_put(buffer, bytes, length);
	return (ssize_t)length;
}

FILE *buffer_stream(struct buffer *buffer)
{
	const cookie_io_functions_t functions = {.write = write_to};

	return fopencookie(buffer, "w", functions);
}

int buffer_take(struct buffer *buffer, char **text, size_t *length)
{
	const struct buffer taken = *buffer;

	*buffer = (struct buffer){0};
	if (taken.failed) {
		free(taken.bytes);
		return -ENOMEM;
	}
	*text = taken.bytes;
	*length = taken.length;
	return 0;
}
