// SPDX-License-Identifier: GPL-2.0-or-later
#include "base/str.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int str_format(char *out, size_t size, const char *format, ...)
{
	va_list args;
	int length;

	va_start(args, format);
	length = vsnprintf(out, size, format, args);
	va_end(args);

	if (length < 0) {
		if (size)
			out[0] = '\0';
		return -EINVAL;
	}
	return (size_t)length < size ? 0 : -ENAMETOOLONG;
}

void str_copy(char *out, size_t size, const char *text)
{
	size_t length = strnlen(text, size - 1);

	memcpy(out, text, length);
	out[length] = '\0';
}

/*
 * Decodes the character at the start of in[0..length). Returns its bytes, 0 when there is no valid
 * one: stray or missing continuation bytes, overlong forms, surrogates, beyond U+10FFFF.
 */
static size_t decode_utf8(const unsigned char *in, size_t length, uint32_t *character)
{
	static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
	uint32_t value;
	size_t bytes;

	if (in[0] < 0x80) {
		*character = in[0];
		return 1;
	}
	if ((in[0] & 0xe0) == 0xc0) {
		bytes = 2;
		value = in[0] & 0x1f;
	} else if ((in[0] & 0xf0) == 0xe0) {
		bytes = 3;
		value = in[0] & 0x0f;
	} else if ((in[0] & 0xf8) == 0xf0) {
		bytes = 4;
		value = in[0] & 0x07;
	} else {
		return 0;
	}
	if (bytes > length)
		return 0;
	for (size_t i = 1; i < bytes; i++) {
		if ((in[i] & 0xc0) != 0x80)
			return 0;
		value = value << 6 | (in[i] & 0x3f);
	}
	if (value < smallest[bytes] || value > 0x10ffff || (value >= 0xd800 && value <= 0xdfff))
		return 0;
	*character = value;
	return bytes;
}

/* Characters that move the cursor or the reading direction and so could forge a line. */
static bool is_unprintable(uint32_t character)
{
	return character < 0x20 || (character >= 0x7f && character <= 0x9f) ||
	       character == 0x061c || character == 0x200e || character == 0x200f ||
	       (character >= 0x202a && character <= 0x202e) ||
	       (character >= 0x2066 && character <= 0x2069);
}

/* Writes one byte as \xNN; the caller has checked that they fit. */
static void put_hex(char *out, unsigned char byte)
{
	static const char digits[] = "0123456789abcdef";

	out[0] = '\\';
	out[1] = 'x';
	out[2] = digits[byte >> 4];
	out[3] = digits[byte & 0xf];
}

size_t str_escape(char *out, size_t size, const char *in, size_t length)
{
	const unsigned char *bytes = (const unsigned char *)in;
	size_t used = 0;

	if (!size)
		return 0;
	for (size_t at = 0; at < length;) {
		uint32_t character = 0;
		size_t count = decode_utf8(bytes + at, length - at, &character);
		bool plain = count && !is_unprintable(character);
		size_t need;

		if (!count)
			count = 1;
		need = plain ? count : 4 * count;
		if (need >= size - used)
			break;
		if (plain) {
			memcpy(out + used, bytes + at, count);
		} else {
			for (size_t i = 0; i < count; i++)
				put_hex(out + used + 4 * i, bytes[at + i]);
		}
		used += need;
		at += count;
	}
	out[used] = '\0';
	return used;
}

size_t str_to_utf8(char *out, size_t size, const char *in, size_t length)
{
	static const char replacement[] = "\xef\xbf\xbd"; /* U+FFFD */
	const unsigned char *bytes = (const unsigned char *)in;
	size_t used = 0;

	if (!size)
		return 0;
	for (size_t at = 0; at < length;) {
		uint32_t character = 0;
		size_t count = decode_utf8(bytes + at, length - at, &character);
		const void *from = count ? (const void *)(bytes + at) : replacement;
		size_t need = count ? count : sizeof(replacement) - 1;

		if (need >= size - used)
			break;
		memcpy(out + used, from, need);
		used += need;
		at += count ? count : 1;
	}
	out[used] = '\0';
	return used;
}

const char *str_base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

int str_to_u64(const char *text, uint64_t min, uint64_t max, uint64_t *out)
{
	uint64_t value = 0;
	bool overflow = false;

	if (!*text)
		return -EINVAL;
	for (; *text; text++) {
		if (*text < '0' || *text > '9')
			return -EINVAL;
		/* Read on after an overflow: "99999999999999999999x" is no number at all. */
		if (__builtin_mul_overflow(value, 10, &value) ||
		    __builtin_add_overflow(value, (uint64_t)(*text - '0'), &value))
			overflow = true;
	}
	if (overflow || value < min || value > max)
		return -ERANGE;
	*out = value;
	return 0;
}
