// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * user/model/lines: the line of an instruction, from the line tables of CPython 3.9 to 3.13.
 *
 * The cases were made by CPython 3.9.18, 3.10.13, 3.11.7, 3.12.1 and 3.13.0 themselves: of the code
 * object f of each source below, co_lnotab (3.9) or co_linetable, and the line of every instruction
 * as dis.findlinestarts() (3.9) or co_lines() tell it, instructions of the same line in one run.
 *
 *   scope: "def f(a):\n    with a:\n        for x in a:\n            yield g(x,\n"
 *          "                    a)\n    try:\n        return 1\n    finally:\n        a = 2\n"
 *   gaps:  "def f(a):\n    x = g(" + "\n" * 300 + "a, a)\n    return x\n"
 *   long:  "def f(a):\n    x = (" + "a, " * 150 + ")\n    for y in x: pass\n"
 */
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "model/lines.h"

#define COUNT(array)   (sizeof(array) / sizeof((array)[0]))
#define VERSION(minor) (3u << 8 | (minor))
#define HOSTILE        300 /* bytes of a made-up table */

/* Instructions of one line, up to the next run. Line 0: they have none. */
struct run {
	int start, line;
};

static const struct {
	const char *source;
	unsigned int version;
	int first_line, code_size;
	const uint8_t *table;
	size_t size;
	const struct run *runs;
	size_t run_count;
} cases[] = {
	{
		"scope",
		VERSION(9),
		1,
		80,
		(const uint8_t[]){0, 1, 6, 1, 8, 1, 4, 1, 2, 255, 38, 2, 2, 1, 2, 2, 4, 254, 4, 2},
		20,
		(const struct run[]){{0, 2},
				     {6, 3},
				     {14, 4},
				     {18, 5},
				     {20, 4},
				     {58, 6},
				     {60, 7},
				     {62, 9},
				     {66, 7},
				     {70, 9}},
		10,
	},
	{
		"gaps",
		VERSION(9),
		1,
		14,
		(const uint8_t[]){0, 1,   2, 127, 0, 127, 0, 46,  4, 128,
				  0, 128, 0, 212, 4, 127, 0, 127, 0, 47},
		20,
		(const struct run[]){{0, 2}, {2, 302}, {6, 2}, {10, 303}},
		4,
	},
	{
		"long",
		VERSION(9),
		1,
		320,
		(const uint8_t[]){0, 1, 255, 0, 49, 1},
		6,
		(const struct run[]){{0, 2}, {304, 3}},
		2,
	},
	{
		"scope",
		VERSION(10),
		1,
		78,
		(const uint8_t[]){2,   128, 6,   1,  8,   1, 4, 1, 2, 1,  8,
				  255, 2,   255, 28, 255, 2, 4, 2, 1, 14, 2},
		22,
		(const struct run[]){{0, 0},
				     {2, 2},
				     {8, 3},
				     {16, 4},
				     {20, 5},
				     {22, 4},
				     {30, 3},
				     {32, 2},
				     {60, 6},
				     {62, 7},
				     {64, 9}},
		11,
	},
	{
		"gaps",
		VERSION(10),
		1,
		14,
		(const uint8_t[]){2, 1,   0, 127, 0, 127, 4, 46,  0, 129,
				  0, 129, 4, 210, 0, 127, 0, 127, 4, 47},
		20,
		(const struct run[]){{0, 2}, {2, 302}, {6, 2}, {10, 303}},
		4,
	},
	{
		"long",
		VERSION(10),
		1,
		622,
		(const uint8_t[]){254, 1, 254, 0, 98, 0, 16, 1},
		8,
		(const struct run[]){{0, 2}, {606, 3}},
		2,
	},
	{
		"scope",
		VERSION(11),
		1,
		132,
		(const uint8_t[]){
			232, 0,   232, 0,   128, 0,   216, 9,   10,  240, 0,   3,  5,   23,  240,
			0,   3,   5,   23,  216, 17,  18,  240, 0,   2,   9,   23, 240, 0,   2,
			9,   23,  136, 65,  221, 18,  19,  144, 65,  216, 20,  21, 241, 3,   1,
			19,  23,  244, 0,   1,   19,  23,  240, 0,   1,   13,  23, 240, 0,   1,
			13,  23,  240, 0,   1,   13,  23,  240, 0,   1,   13,  23, 240, 3,   2,
			9,   23,  240, 3,   3,   5,   23,  240, 0,   3,   5,   23, 240, 0,   3,
			5,   23,  241, 0,   3,   5,   23,  244, 0,   3,   5,   23, 240, 0,   3,
			5,   23,  240, 0,   3,   5,   23,  240, 0,   3,   5,   23, 240, 0,   3,
			5,   23,  240, 0,   3,   5,   23,  240, 0,   3,   5,   23, 248, 248, 248,
			240, 0,   3,   5,   23,  240, 0,   3,   5,   23,  240, 0,  3,   5,   23,
			240, 0,   3,   5,   23,  240, 8,   3,   5,   14,  216, 15, 16,  224, 12,
			13,  136, 1,   136, 1,   136, 1,   248, 136, 65,  136, 1,  136, 5,   136,
			5,   136, 5,   136, 5},
		185,
		(const struct run[]){{0, 1},
				     {6, 2},
				     {12, 3},
				     {20, 4},
				     {34, 5},
				     {36, 4},
				     {58, 3},
				     {60, 2},
				     {92, 0},
				     {98, 2},
				     {106, 6},
				     {108, 7},
				     {110, 9},
				     {118, 0},
				     {120, 9}},
		15,
	},
	{
		"gaps",
		VERSION(11),
		1,
		38,
		(const uint8_t[]){128, 0,   221, 8,  9,   240, 88, 9, 0,   1,  2,   128,
				  49,  241, 89,  9,  108, 4,   9,  6, 244, 0,  108, 4,
				  9,   6,   128, 65, 240, 90,  9,  0, 12,  13, 128, 72},
		36,
		(const struct run[]){{0, 1}, {2, 2}, {14, 302}, {18, 2}, {34, 303}},
		5,
	},
	{
		"scope",
		VERSION(12),
		1,
		124,
		(const uint8_t[]){232, 0,   248, 128, 0,   216, 9,  10,  241, 0,   3,   5,
				  23,  216, 17,  18,  242, 0,   2,  9,   23,  136, 65,  220,
				  18,  19,  144, 65,  216, 20,  21, 243, 3,   1,   19,  23,
				  243, 0,   1,   13,  23,  241, 3,  2,   9,   23,  247, 3,
				  3,   5,   23,  240, 8,   3,   5,  14,  216, 15,  16,  224,
				  12,  13,  137, 1,   247, 15,  3,  5,   23,  240, 0,   3,
				  5,   23,  251, 240, 14,  0,   13, 14,  137, 1,   252},
		83,
		(const struct run[]){{0, 1},
				     {2, 0},
				     {4, 1},
				     {6, 2},
				     {12, 3},
				     {22, 4},
				     {34, 5},
				     {36, 4},
				     {52, 3},
				     {56, 2},
				     {72, 6},
				     {74, 7},
				     {76, 9},
				     {82, 2},
				     {100, 0},
				     {108, 9},
				     {114, 0}},
		17,
	},
	{
		"gaps",
		VERSION(12),
		1,
		30,
		(const uint8_t[]){128, 0,   220, 8, 9, 240, 88, 9,   0,  1, 2, 128, 49, 243, 89,
				  9,   108, 4,   9, 6, 128, 65, 240, 90, 9, 0, 12,  13, 128, 72},
		30,
		(const struct run[]){{0, 1}, {2, 2}, {12, 302}, {16, 2}, {26, 303}},
		5,
	},
	{
		"scope",
		VERSION(13),
		1,
		136,
		(const uint8_t[]){233, 0,   128, 0,   218, 9,   10,  219, 17,  18,  136, 65,
				  220, 18,  19,  144, 65,  216, 20,  21,  243, 3,   1,   19,
				  23,  244, 0,   1,   13,  23,  241, 3,   0,   18,  19,  247,
				  3,   0,   10,  11,  240, 8,   3,   5,   14,  216, 15,  16,
				  224, 12,  13,  137, 1,   247, 15,  0,   10,  11,  141, 17,
				  251, 240, 14,  0,   13,  14,  137, 1,   252},
		69,
		(const struct run[]){{0, 1},
				     {6, 2},
				     {12, 3},
				     {22, 4},
				     {34, 5},
				     {36, 4},
				     {54, 3},
				     {58, 2},
				     {74, 6},
				     {76, 7},
				     {78, 9},
				     {84, 2},
				     {112, 0},
				     {120, 9},
				     {126, 0}},
		15,
	},
	{
		"gaps",
		VERSION(13),
		1,
		28,
		(const uint8_t[]){128, 0, 220, 8, 9,   240, 88,  9,  0, 1, 2,  243, 89,  9,
				  108, 4, 9,   6, 128, 65,  240, 90, 9, 0, 12, 13,  128, 72},
		28,
		(const struct run[]){{0, 1}, {2, 2}, {12, 302}, {14, 2}, {24, 303}},
		5,
	},
};

static const unsigned int versions[] = {VERSION(8),  VERSION(9),  VERSION(10), VERSION(11),
					VERSION(12), VERSION(13), VERSION(14)};

/* What the interpreter says. */
static int expected(size_t number, int position)
{
	int line = 0;

	for (size_t i = 0; i < cases[number].run_count; i++)
		if (cases[number].runs[i].start <= position)
			line = cases[number].runs[i].line;
	return line;
}

/* The line, from a copy of the table whose bytes behind `size` ASan watches. */
static int find(size_t number, size_t size, int position)
{
	uint8_t *table = malloc(size ? size : 1);
	int line;

	assert_non_null(table);
	memcpy(table, cases[number].table, size);
	line = lines_find(cases[number].version, size ? table : NULL, size, cases[number].size,
			  cases[number].first_line, position);
	free(table);
	return line;
}

static void test_lines_are_those_of_the_interpreter(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		for (int at = 0; at < cases[i].code_size; at += 2) {
			int line = find(i, cases[i].size, at);

			if (line != expected(i, at))
				fail_msg("%s of 3.%u at %d: line %d, not %d", cases[i].source,
					 cases[i].version & 0xff, at, line, expected(i, at));
		}
	}
}

/* A table that is cut tells the true line or none, and the more of it there is the more it tells.
 */
static void test_a_cut_table_tells_no_wrong_line(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		int told = 0;

		for (size_t size = 0; size < cases[i].size; size++) {
			int told_now = 0;

			for (int at = 0; at < cases[i].code_size; at += 2) {
				int line = find(i, size, at);

				if (line && line != expected(i, at))
					fail_msg("%s of 3.%u, %zu bytes, at %d: line %d, not %d",
						 cases[i].source, cases[i].version & 0xff, size, at,
						 line, expected(i, at));
				told_now += line != 0;
			}
			assert_true(told_now >= told);
			told = told_now;
		}
		assert_true(told > 0);
	}
}

static void test_an_instruction_outside_of_the_code_has_no_line(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		assert_int_equal(find(i, cases[i].size, -1), 0);
		assert_int_equal(find(i, cases[i].size, INT_MIN), 0);
		/* A table of 3.9 does not say where the code ends. */
		if (cases[i].version == VERSION(9))
			continue;
		assert_int_equal(find(i, cases[i].size, cases[i].code_size), 0);
		assert_int_equal(find(i, cases[i].size, INT_MAX), 0);
	}
}

/* In 3.9 the code of `lambda: 0` has an empty table; an unknown one is as empty. */
static void test_an_empty_table(void **state)
{
	(void)state;
	assert_int_equal(lines_find(VERSION(9), NULL, 0, 0, 7, 0), 7);
	assert_int_equal(lines_find(VERSION(9), NULL, 0, 0, 7, 100), 7);
	assert_int_equal(lines_find(VERSION(9), NULL, 0, 2, 7, 0), 0);
	for (size_t i = 2; i < COUNT(versions); i++)
		assert_int_equal(lines_find(versions[i], NULL, 0, 0, 7, 0), 0);
}

/* Steps in every form of an entry of 3.11, the longest included. */
static void test_entries_of_3_11(void **state)
{
	static const uint8_t table[] = {
		0x80, /* short form: the same line */
		0x80 | 11 << 3 | 1,
		5,
		9, /* one line further, two units */
		0x80 | 12 << 3,
		5,
		9, /* two */
		0x80 | 13 << 3,
		64,
		2, /* 64 further, no columns: groups 0 and 2 */
		0x80 | 14 << 3,
		67,
		2,
		0,
		1,
		1,              /* 65 back, with columns */
		0x80 | 15 << 3, /* no line */
		0x80 | 10 << 3,
		5,
		9,
	};
	static const int lines[] = {100, 101, 101, 103, 167, 102, 0, 102, 0};

	(void)state;
	for (size_t i = 0; i < COUNT(lines); i++)
		assert_int_equal(lines_find(VERSION(11), table, sizeof(table), sizeof(table), 100,
					    2 * (int)i),
				 lines[i]);
}

/* The byte behind a cut number is not there: its entry says nothing. */
static void test_a_number_that_is_cut_tells_nothing(void **state)
{
	static const uint8_t table[] = {0x80 | 13 << 3, 64 | 2, 64 | 1, 1};

	(void)state;
	for (size_t size = 1; size < sizeof(table); size++)
		assert_int_equal(lines_find(VERSION(11), table, size, sizeof(table), 10, 0), 0);
	assert_int_equal(lines_find(VERSION(11), table, 4, 4, 10, 0), 10 + (2 + 64 + 4096) / 2);
}

static void fill(uint8_t *table, const char *pattern, size_t length)
{
	for (size_t i = 0; i < HOSTILE; i++)
		table[i] = (uint8_t)pattern[i % length];
}

/* Sums that leave the range of an int are no line, and no undefined behaviour (UBSan). */
static void test_sums_that_overflow_are_no_line(void **state)
{
	uint8_t table[HOSTILE];

	(void)state;
	fill(table, "\xf0\x7e\x7f\x7f\x7f\x3f", 6); /* +2^29 each, kind 14 */
	assert_int_equal(lines_find(VERSION(11), table, HOSTILE, HOSTILE, 1, 90), 0);
	fill(table, "\xf0\x7f\x7f\x7f\x7f\x3f", 6); /* and -2^29 */
	assert_int_equal(lines_find(VERSION(11), table, HOSTILE, HOSTILE, 1, 90), 0);
	fill(table, "\x01\x7f", 2);
	assert_int_equal(lines_find(VERSION(9), table, HOSTILE, HOSTILE, INT_MAX, 20), 0);
	assert_int_equal(lines_find(VERSION(10), table, HOSTILE, HOSTILE, INT_MAX, 20), 0);
	fill(table, "\x01\x81", 2);
	assert_int_equal(lines_find(VERSION(9), table, HOSTILE, HOSTILE, INT_MIN, 20), 0);
	assert_int_equal(lines_find(VERSION(10), table, HOSTILE, HOSTILE, INT_MIN, 20), 0);
	assert_int_equal(lines_find(VERSION(10), table, HOSTILE, HOSTILE, 100, 20), 0);
	/* a number of more groups than an int has bits */
	fill(table, "\xe8\x7f\x7f\x7f\x7f\x7f\x7f\x7f\x7f\x7f\x7f\x7f", 12);
	assert_int_equal(lines_find(VERSION(11), table, HOSTILE, HOSTILE, 1, 2), 0);
}

/* Any bytes, at any size: nothing behind the table is read, and a line is a line. */
static void test_any_table_is_safe(void **state)
{
	unsigned int seed = 1;

	(void)state;
	for (int round = 0; round < 3000; round++) {
		size_t size = (size_t)rand_r(&seed) % HOSTILE + 1;
		uint8_t *table = malloc(size);

		assert_non_null(table);
		for (size_t i = 0; i < size; i++)
			table[i] = (uint8_t)rand_r(&seed);
		for (size_t i = 0; i < COUNT(versions); i++) {
			int first_line = (int)((unsigned int)rand_r(&seed) * 2u);
			int position = rand_r(&seed) % 2000;

			assert_true(lines_find(versions[i], table, size, size, first_line,
					       position) >= 0);
			assert_true(lines_find(versions[i], table, size, size + 1, first_line,
					       INT_MAX) == 0);
		}
		free(table);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines_are_those_of_the_interpreter),
		cmocka_unit_test(test_a_cut_table_tells_no_wrong_line),
		cmocka_unit_test(test_an_instruction_outside_of_the_code_has_no_line),
		cmocka_unit_test(test_an_empty_table),
		cmocka_unit_test(test_entries_of_3_11),
		cmocka_unit_test(test_a_number_that_is_cut_tells_nothing),
		cmocka_unit_test(test_sums_that_overflow_are_no_line),
		cmocka_unit_test(test_any_table_is_safe),
	};

	return cmocka_run_group_tests_name("lines", tests, NULL, NULL);
}
