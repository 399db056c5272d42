// SPDX-License-Identifier: GPL-2.0-or-later
#include "base/base64.h"

#include <errno.h>

static const char digit[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void base64_encode(char *out, const void *bytes, size_t size)
{
	const uint8_t *in = bytes;

	for (; size >= 3; size -= 3, in += 3) {
		uint32_t three = (uint32_t)in[0] << 16 | (uint32_t)in[1] << 8 | in[2];

		*out++ = digit[three >> 18];
		*out++ = digit[three >> 12 & 63];
		*out++ = digit[three >> 6 & 63];
		*out++ = digit[three & 63];
	}
	if (!size)
		return;
	*out++ = digit[in[0] >> 2];
	*out++ = digit[(in[0] & 3) << 4 | (size > 1 ? in[1] >> 4 : 0)];
	*out++ = size > 1 ? digit[(in[1] & 15) << 2] : '=';
	*out++ = '=';
}

/* What a character stands for; -1: it is none of base64. */
static int value_of(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

ssize_t base64_decode(uint8_t *out, const char *text, size_t length)
{
	size_t padding = 0, used = 0;

	if (length % 4)
		return -EBADMSG;
	while (padding < 2 && length > padding && text[length - 1 - padding] == '=')
		padding++;
	for (size_t i = 0; i < length; i += 4) {
		size_t digits = i + 4 == length ? 4 - padding : 4;
		uint32_t four = 0;

		for (size_t j = 0; j < 4; j++) {
			int value = j < digits ? value_of(text[i + j]) : 0;

			if (value < 0)
				return -EBADMSG;
			four = four << 6 | (uint32_t)value;
		}
		for (size_t j = 0; j < digits - 1; j++)
			out[used++] = (uint8_t)(four >> (16 - 8 * j));
		/* Bits that no byte has are zeros. */
		if (digits < 4 && four & (digits == 3 ? 0xffu : 0xffffu))
			return -EBADMSG;
	}
	return (ssize_t)used;
}
