// SPDX-License-Identifier: GPL-2.0-or-later
/* user/base: strings from hostile targets, clocks, messages. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/base64.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/str.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

struct string_case {
	const char *in;
	size_t length;
	const char *escaped;
	const char *utf8;
};

#define CASE(in, escaped, utf8)                                                                    \
	{                                                                                          \
		in, sizeof(in) - 1, escaped, utf8                                                  \
	}
#define FFFD "\xef\xbf\xbd"

static const struct string_case cases[] = {
	CASE("", "", ""),
	CASE("python3", "python3", "python3"),
	CASE("caf\xc3\xa9 \xe6\xbc\xa2 \xf0\x9f\x98\x80",
	     "caf\xc3\xa9 \xe6\xbc\xa2 \xf0\x9f\x98\x80",
	     "caf\xc3\xa9 \xe6\xbc\xa2 \xf0\x9f\x98\x80"),
	/* terminal control: C0, DEL, C1 */
	CASE("a\x1b[2Jb\n\t\r", "a\\x1b[2Jb\\x0a\\x09\\x0d", "a\x1b[2Jb\n\t\r"),
	CASE("\0x\x7f", "\\x00x\\x7f", "\0x\x7f"),
	CASE("\xc2\x80\xc2\x9b"
	     "31m\xc2\x9f\xc2\xa0",
	     "\\xc2\\x80\\xc2\\x9b31m\\xc2\\x9f\xc2\xa0",
	     "\xc2\x80\xc2\x9b"
	     "31m\xc2\x9f\xc2\xa0"),
	/* reading direction: U+200E, U+200F, U+202A - U+202E, U+2066 - U+2069, U+061C */
	CASE("\xe2\x80\x8d\xe2\x80\x8e\xe2\x80\x8f\xe2\x80\x90",
	     "\xe2\x80\x8d\\xe2\\x80\\x8e\\xe2\\x80\\x8f\xe2\x80\x90",
	     "\xe2\x80\x8d\xe2\x80\x8e\xe2\x80\x8f\xe2\x80\x90"),
	CASE("\xe2\x80\xa9\xe2\x80\xaa\xe2\x80\xae\xe2\x80\xaf",
	     "\xe2\x80\xa9\\xe2\\x80\\xaa\\xe2\\x80\\xae\xe2\x80\xaf",
	     "\xe2\x80\xa9\xe2\x80\xaa\xe2\x80\xae\xe2\x80\xaf"),
	CASE("\xe2\x81\xa5\xe2\x81\xa6\xe2\x81\xa9\xe2\x81\xaa",
	     "\xe2\x81\xa5\\xe2\\x81\\xa6\\xe2\\x81\\xa9\xe2\x81\xaa",
	     "\xe2\x81\xa5\xe2\x81\xa6\xe2\x81\xa9\xe2\x81\xaa"),
	CASE("\xd8\x9c", "\\xd8\\x9c", "\xd8\x9c"),
	/* no UTF-8: stray, cut short, broken off */
	CASE("\x80\xff\xfe", "\\x80\\xff\\xfe", FFFD FFFD FFFD),
	CASE("a\xc3", "a\\xc3", "a" FFFD),
	CASE("\xe6\xbc", "\\xe6\\xbc", FFFD FFFD),
	CASE("\xc3(\xf0\x9f\x98!", "\\xc3(\\xf0\\x9f\\x98!", FFFD "(" FFFD FFFD FFFD "!"),
	/* overlong NUL, slash, U+07FF, U+FFFF */
	CASE("\xc0\x80\xc1\xbf", "\\xc0\\x80\\xc1\\xbf", FFFD FFFD FFFD FFFD),
	CASE("\xe0\x9f\xbf", "\\xe0\\x9f\\xbf", FFFD FFFD FFFD),
	CASE("\xf0\x8f\xbf\xbf", "\\xf0\\x8f\\xbf\\xbf", FFFD FFFD FFFD FFFD),
	/* the edges: surrogates, U+10FFFF, beyond it */
	CASE("\xed\x9f\xbf\xed\xa0\x80\xed\xbf\xbf\xee\x80\x80",
	     "\xed\x9f\xbf\\xed\\xa0\\x80\\xed\\xbf\\xbf\xee\x80\x80",
	     "\xed\x9f\xbf" FFFD FFFD FFFD FFFD FFFD FFFD "\xee\x80\x80"),
	CASE("\xf4\x8f\xbf\xbf\xf4\x90\x80\x80", "\xf4\x8f\xbf\xbf\\xf4\\x90\\x80\\x80",
	     "\xf4\x8f\xbf\xbf" FFFD FFFD FFFD FFFD),
	CASE("\xf8\x88\x80\x80\x80", "\\xf8\\x88\\x80\\x80\\x80", FFFD FFFD FFFD FFFD FFFD),
};

static void test_escape(void **state)
{
	char out[256];

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		size_t length = str_escape(out, sizeof(out), cases[i].in, cases[i].length);

		assert_string_equal(out, cases[i].escaped);
		assert_int_equal(length, strlen(cases[i].escaped));
	}
}

static void test_to_utf8(void **state)
{
	char out[256];

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		size_t length = str_to_utf8(out, sizeof(out), cases[i].in, cases[i].length);

		assert_string_equal(out, cases[i].utf8);
		/* a NUL inside is a character like any other */
		assert_true(length >= strlen(cases[i].utf8));
	}
	assert_int_equal(str_to_utf8(out, sizeof(out), "a\0b", 3), 3);
	assert_memory_equal(out, "a\0b", 4);
}

/* Whatever the room: ended, within it, a prefix, and cut at a whole character. */
static void test_cut(void **state)
{
	static const char in[] = "a\xc3\xa9\x01\xf0\x9f\x98\x80\xe2\x80\xae\xff";
	char whole[64], *out;

	(void)state;
	for (size_t size = 1; size < 48; size++) {
		/* from the heap, so that ASan sees a byte too much */
		out = malloc(size);
		assert_non_null(out);

		str_escape(whole, sizeof(whole), in, sizeof(in) - 1);
		size_t length = str_escape(out, size, in, sizeof(in) - 1);
		assert_true(length < size && out[length] == '\0');
		assert_memory_equal(out, whole, length);
		assert_true((whole[length] & 0xc0) != 0x80);

		str_to_utf8(whole, sizeof(whole), in, sizeof(in) - 1);
		length = str_to_utf8(out, size, in, sizeof(in) - 1);
		assert_true(length < size && out[length] == '\0');
		assert_memory_equal(out, whole, length);
		assert_true((whole[length] & 0xc0) != 0x80);
		free(out);
	}
	assert_int_equal(str_escape(NULL, 0, "a", 1), 0);
	assert_int_equal(str_to_utf8(NULL, 0, "a", 1), 0);
}

/* Every sequence of two bytes: what comes out is printable, and valid UTF-8 by its own rules. */
static void test_all_pairs(void **state)
{
	(void)state;
	for (unsigned int pair = 0; pair < 0x10000; pair++) {
		char in[] = {(char)(pair >> 8), (char)pair};
		char out[32], again[64];
		size_t length = str_escape(out, sizeof(out), in, sizeof(in));

		for (size_t i = 0; i < length; i++)
			assert_true((unsigned char)out[i] >= 0x20 && out[i] != 0x7f);
		assert_int_equal(str_escape(again, sizeof(again), out, length), length);

		length = str_to_utf8(out, sizeof(out), in, sizeof(in));
		assert_int_equal(str_to_utf8(again, sizeof(again), out, length), length);
		assert_memory_equal(out, again, length);
	}
}

static void test_format(void **state)
{
	char out[8];

	(void)state;
	assert_int_equal(str_format(out, sizeof(out), "%d", 1234567), 0);
	assert_string_equal(out, "1234567");
	assert_int_equal(str_format(out, sizeof(out), "%d", 12345678), -ENAMETOOLONG);
	assert_string_equal(out, "1234567");
	assert_int_equal(str_format(out, 0, "%s", ""), -ENAMETOOLONG);
}

static void test_err(void **state)
{
	static char longest[2000];
	struct err err;

	(void)state;
	assert_int_equal(err_set(&err, -ENOENT, "no process %d", 7), -ENOENT);
	assert_int_equal(err.code, -ENOENT);
	assert_string_equal(err.text, "no process 7");
	memset(longest, 'x', sizeof(longest) - 1);
	assert_int_equal(err_set(&err, -EINVAL, "%s", longest), -EINVAL);
	assert_int_equal(strlen(err.text), sizeof(err.text) - 1);
}

static void test_to_u64(void **state)
{
	static const char *const wrong[] = {
		"",        " 1", "1 ", "+1", "-1", "0x10", "1.0", "12a", "99999999999999999999x",
		"\xd9\xa1"};
	uint64_t value = 7;

	(void)state;
	for (size_t i = 0; i < COUNT(wrong); i++)
		assert_int_equal(str_to_u64(wrong[i], 0, UINT64_MAX, &value), -EINVAL);
	assert_int_equal(str_to_u64("18446744073709551616", 0, UINT64_MAX, &value), -ERANGE);
	assert_int_equal(str_to_u64("99999999999999999999999", 0, UINT64_MAX, &value), -ERANGE);
	assert_int_equal(str_to_u64("0", 1, 10, &value), -ERANGE);
	assert_int_equal(str_to_u64("11", 1, 10, &value), -ERANGE);
	assert_int_equal(value, 7);

	assert_int_equal(str_to_u64("18446744073709551615", 0, UINT64_MAX, &value), 0);
	assert_true(value == UINT64_MAX);
	assert_int_equal(str_to_u64("0010", 1, 10, &value), 0);
	assert_int_equal(value, 10);
}

static void test_rfc3339(void **state)
{
	char out[CLOCK_RFC3339_SIZE];

	(void)state;
	clock_rfc3339(out, 0);
	assert_string_equal(out, "1970-01-01T00:00:00.000000000Z");
	clock_rfc3339(out, 1767323045000000006ull);
	assert_string_equal(out, "2026-01-02T03:04:05.000000006Z");
	clock_rfc3339(out, 951782399999999999ull);
	assert_string_equal(out, "2000-02-28T23:59:59.999999999Z");
	clock_rfc3339(out, UINT64_MAX);
	assert_string_equal(out, "2554-07-21T23:34:33.709551615Z");
}

static void test_clocks(void **state)
{
	uint64_t before = clock_monotonic();
	int64_t offset = clock_utc_offset();
	uint64_t after = clock_monotonic();

	(void)state;
	assert_true(before && after >= before);
	/* after this was written */
	assert_true((int64_t)before + offset > 1750000000000000000ll);
}

/* Runs with stderr in a file, returns what came. */
static const char *logged(enum log_level level, const char *text)
{
	static char output[20000];
	FILE *file = tmpfile();
	int saved = dup(STDERR_FILENO);
	size_t length;

	assert_non_null(file);
	assert_true(dup2(fileno(file), STDERR_FILENO) >= 0);
	errno = ENOENT;
	log_message(level, "%s: %m", text);
	assert_int_equal(errno, ENOENT);
	assert_true(dup2(saved, STDERR_FILENO) >= 0);
	close(saved);
	rewind(file);
	length = fread(output, 1, sizeof(output) - 1, file);
	output[length] = '\0';
	fclose(file);
	return output;
}

static void test_log(void **state)
{
	static char longest[5000];
	const char *line;

	(void)state;
	assert_string_equal(logged(LOG_ERROR, "x"),
			    "gradwatch: error: x: No such file or directory\n");
	assert_string_equal(logged(LOG_WARN, "x"),
			    "gradwatch: warning: x: No such file or directory\n");
	assert_string_equal(logged(LOG_INFO, "a\nb\x1b[0m"),
			    "gradwatch: a\\x0ab\\x1b[0m: No such file or directory\n");
	assert_string_equal(logged(LOG_DEBUG, "x"), "");
	log_set_level(LOG_DEBUG);
	assert_string_equal(logged(LOG_DEBUG, "x"), "gradwatch: x: No such file or directory\n");
	log_set_level(LOG_ERROR);
	assert_string_equal(logged(LOG_WARN, "x"), "");

	/* cut, but still a line */
	memset(longest, '\x01', sizeof(longest) - 1);
	line = logged(LOG_ERROR, longest);
	assert_true(strlen(line) > 16000 && line[strlen(line) - 1] == '\n');
	log_set_level(LOG_INFO);
}

static void test_copy(void **state)
{
	char out[4];

	(void)state;
	str_copy(out, sizeof(out), "abc");
	assert_string_equal(out, "abc");
	str_copy(out, sizeof(out), "");
	assert_string_equal(out, "");
	str_copy(out, sizeof(out), "abcd");
	assert_string_equal(out, "abc");
}

static void check_base64(const char *bytes_in, size_t size, const char *text)
{
	char out[16];
	uint8_t back[16];

	assert_int_equal(base64_size(size), strlen(text));
	base64_encode(out, bytes_in, size);
	assert_memory_equal(out, text, strlen(text));
	assert_int_equal(base64_decode(back, text, strlen(text)), size);
	assert_memory_equal(back, bytes_in, size);
}

static void test_base64(void **state)
{
	static const char *const wrong[] = {
		"Z",    "Zg",   "Zg=",  "Zh==",     "Zm9=",  "====", "Zg=!",
		"=AAA", "Z===", "A=AA", "Zg==Zg==", "Zm9\n", "Zm 9"};
	uint8_t back[16];

	(void)state;
	check_base64("", 0, "");
	check_base64("f", 1, "Zg==");
	check_base64("fo", 2, "Zm8=");
	check_base64("foo", 3, "Zm9v");
	check_base64("foob", 4, "Zm9vYg==");
	check_base64("\xff\xef\xbe\0\x01\xfa", 6, "/+++AAH6");
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++)
		assert_int_equal(base64_decode(back, wrong[i], strlen(wrong[i])), -EBADMSG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_escape), cmocka_unit_test(test_to_utf8),
		cmocka_unit_test(test_cut),    cmocka_unit_test(test_all_pairs),
		cmocka_unit_test(test_format), cmocka_unit_test(test_err),
		cmocka_unit_test(test_to_u64), cmocka_unit_test(test_rfc3339),
		cmocka_unit_test(test_clocks), cmocka_unit_test(test_log),
		cmocka_unit_test(test_base64), cmocka_unit_test(test_copy),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
