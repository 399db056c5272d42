/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A text that grows, and remembers that it could not: without memory open_memstream() loses bytes
 * in the middle and says nothing. What is taken from here is whole.
 */
#ifndef GRADWATCH_OUTPUT_BUFFER_H
#define GRADWATCH_OUTPUT_BUFFER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct buffer {
	char *bytes;
	size_t length, size;
	bool failed;
};

void buffer_put(struct buffer *buffer, const char *bytes, size_t length);

/* A stream for what is to be printed; NULL: out of memory. Closed before the text is taken. */
FILE *buffer_stream(struct buffer *buffer);

/* The text, malloc'ed and ended by NUL, and an empty buffer; -ENOMEM: it is not whole. */
int buffer_take(struct buffer *buffer, char **text, size_t *length);

#endif
