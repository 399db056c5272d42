/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Bytes as text (RFC 4648, section 4: with padding). */
#ifndef GRADWATCH_BASE_BASE64_H
#define GRADWATCH_BASE_BASE64_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* How many characters so many bytes become. */
static inline size_t base64_size(size_t size)
{
	return (size + 2) / 3 * 4;
}

/* Writes base64_size(size) characters, without a NUL. */
void base64_encode(char *out, const void *bytes, size_t size);

/*
 * Writes the bytes of text[0..length), at most length / 4 * 3, and returns how many. -EBADMSG: it
 * is not what base64_encode() writes.
 */
ssize_t base64_decode(uint8_t *out, const char *text, size_t length);

#endif
