// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Three encodings. CPython 3.9: Objects/lnotab_notes.txt, pairs of (address step, signed line
 * step). 3.10: the same file, pairs of (length, signed line step), -128 for "no line". 3.11 and
 * later: Objects/locations.md, entries that start with the only byte that has its top bit set.
 */
#include "model/lines.h"

#include <limits.h>
#include <stdbool.h>

#define VERSION(minor) (3 << 8 | (minor))
#define NO_LINE        0

/* Any bytes may come: a sum of steps stays in 64 bits, what is no line number is none. */
static int line_of(int64_t line)
{
	return line > 0 && line <= INT_MAX ? (int)line : NO_LINE;
}

/* The last entry goes up to the end of the code, unless there are more behind what is known. */
static int find_3_9(const uint8_t *table, size_t size, bool whole, int64_t line, int position)
{
	int64_t address = 0;

	for (size_t i = 0; i + 1 < size; i += 2) {
		address += table[i];
		if (address > position)
			return line_of(line);
		line += (int8_t)table[i + 1];
	}
	return whole ? line_of(line) : NO_LINE;
}

static int find_3_10(const uint8_t *table, size_t size, int64_t line, int position)
{
	int64_t end = 0;

	for (size_t i = 0; i + 1 < size; i += 2) {
		int step = (int8_t)table[i + 1];

		end += table[i];
		if (step != -128)
			line += step;
		if (position < end)
			return step == -128 ? NO_LINE : line_of(line);
	}
	return NO_LINE;
}

/* A number in groups of six bits, least first, with the sign in its lowest bit; false: cut. */
static bool read_signed(const uint8_t *table, size_t size, size_t *at, int *number)
{
	unsigned int value = 0, shift = 0;
	uint8_t byte;

	do {
		if (*at >= size)
			return false;
		byte = table[(*at)++];
		if (shift < 30)
			value |= (unsigned int)(byte & 63) << shift;
		shift += 6;
	} while (byte & 64);
	*number = value & 1 ? -(int)(value >> 1) : (int)(value >> 1);
	return true;
}

static int find_3_11(const uint8_t *table, size_t size, int64_t line, int position)
{
	int64_t end = 0;
	size_t at = 0;

	while (at < size) {
		uint8_t first = table[at++];
		unsigned int kind = first >> 3 & 15;
		int step = kind >= 10 && kind <= 12 ? (int)kind - 10 : 0;

		end += 2 * ((first & 7) + 1);
		if ((kind == 13 || kind == 14) && !read_signed(table, size, &at, &step))
			return NO_LINE;
		line += step;
		if (position < end)
			return kind == 15 ? NO_LINE : line_of(line);
		while (at < size && !(table[at] & 128)) /* columns */
			at++;
	}
	return NO_LINE;
}

int lines_find(unsigned int version, const uint8_t *table, size_t size, size_t total,
	       int first_line, int position)
{
	if (position < 0)
		return NO_LINE;
	if (version <= VERSION(9))
		return find_3_9(table, size, size >= total, first_line, position);
	if (version == VERSION(10))
		return find_3_10(table, size, first_line, position);
	return find_3_11(table, size, first_line, position);
}
