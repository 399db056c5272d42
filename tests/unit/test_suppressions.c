// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "model/suppressions.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static struct err err;

/* From the heap and without a NUL at the end, so that ASan sees a byte too much. */
static struct suppressions *parse_bytes(const char *text, size_t size)
{
	char *copy = malloc(size ? size : 1);
	struct suppressions *parsed;

	assert_non_null(copy);
	memcpy(copy, text, size);
	memset(&err, 0, sizeof(err));
	parsed = suppressions_parse(copy, size, &err);
	free(copy);
	return parsed;
}

static struct suppressions *parse(const char *text)
{
	struct suppressions *parsed = parse_bytes(text, strlen(text));

	if (!parsed)
		print_error("%s\n", err.text);
	assert_non_null(parsed);
	return parsed;
}

/* The index of what accepts the finding in a file of this text. */
static int match(const char *text, enum trace_kind kind, const char *file, const char *qualname)
{
	struct suppressions *parsed = parse(text);
	int index = suppressions_match(parsed, kind, file, qualname);

	suppressions_free(parsed);
	return index;
}

static void takes_lines_comments_and_blanks(void **state)
{
	struct suppressions *parsed = parse("# accepted\n"
					    "\n"
					    " \t \n"
					    "  # indented\n"
					    "one * * f\n"
					    "\ttwo\texport,make_fx   */m.py  C.forward   # why\n"
					    "\"th ree\" \"other\" \"a b\" \"\" #why\n"
					    "one#1 all * g#h");
	uint64_t count;

	(void)state;
	assert_int_equal(suppressions_names(parsed), 4);
	assert_string_equal(suppressions_name(parsed, 0, &count), "one");
	assert_string_equal(suppressions_name(parsed, 2, &count), "th ree");
	assert_string_equal(suppressions_name(parsed, 3, &count), "one#1");
	assert_null(suppressions_name(parsed, 4, &count));
	assert_int_equal(suppressions_match(parsed, TRACE_KIND_EXPORT, "x/m.py", "C.forward"), 1);
	assert_int_equal(suppressions_match(parsed, TRACE_KIND_OTHER, "a b", ""), 2);
	assert_int_equal(suppressions_match(parsed, TRACE_KIND_OTHER, "a b", "g#h"), 3);
	assert_int_equal(suppressions_line_of(parsed, 0), 5);
	assert_int_equal(suppressions_line_of(parsed, 3), 8);
	suppressions_free(parsed);
}

static void takes_a_file_without_any(void **state)
{
	static const char *const none[] = {"", "\n", "#", "# x\n\n", "   "};

	(void)state;
	for (size_t i = 0; i < COUNT(none); i++) {
		struct suppressions *parsed = parse(none[i]);

		assert_int_equal(suppressions_names(parsed), 0);
		assert_int_equal(suppressions_match(parsed, TRACE_KIND_OTHER, "", ""), -1);
		assert_int_equal(suppressions_next_unused(parsed, 0), 0);
		suppressions_free(parsed);
	}
	suppressions_free(NULL);
}

static void matches_all_of_kind_file_and_name(void **state)
{
	static const char text[] = "rotary make_fx,export */modeling_llama.py Rotary.forward\n";
	static const char file[] = "/usr/lib/modeling_llama.py";

	(void)state;
	assert_int_equal(match(text, TRACE_KIND_EXPORT, file, "Rotary.forward"), 0);
	assert_int_equal(match(text, TRACE_KIND_MAKE_FX, file, "Rotary.forward"), 0);
	assert_int_equal(match(text, TRACE_KIND_COMPILE, file, "Rotary.forward"), -1);
	assert_int_equal(match(text, TRACE_KIND_UNKNOWN, file, "Rotary.forward"), -1);
	assert_int_equal(match(text, TRACE_KIND_EXPORT, "modeling_llama.py", "Rotary.forward"), -1);
	assert_int_equal(match(text, TRACE_KIND_EXPORT, file, "Rotary.forward2"), -1);
	assert_int_equal(match(text, TRACE_KIND_EXPORT, file, "rotary.forward"), -1);
	assert_int_equal(match("a * * *\n", TRACE_KIND_UNKNOWN, "", ""), 0);
	assert_int_equal(match("a * * *\n", TRACE_KIND_MAX, "", ""), -1);
	assert_int_equal(match("a * \"\" *\n", TRACE_KIND_OTHER, "x", ""), -1);
}

static void globs(void **state)
{
	static const struct {
		const char *pattern, *text;
		int index;
	} cases[] = {
		{"*", "/a/b/.c", 0}, /* neither '/' nor a leading '.' is special */
		{"/a/*/c", "/a/b/b/c", 0},
		{"?.f", "A.f", 0},
		{"?.f", "AB.f", -1},
		{"?", "\xc3\xa9", -1}, /* bytes */
		{"??", "\xc3\xa9", 0},
		{"[A-C].f", "B.f", 0},
		{"[!A-C].f", "B.f", -1},
		{"[[:alpha:]]x", "qx", 0},
		{"[*]", "*", 0},
		{"[*]", "a", -1},
		{"[[]x", "[x", 0},
		{"a]", "a]", 0},
		{"[]]", "]", 0},
		{"\"\\\\*\"", "\\x", 0}, /* \\ is a plain backslash, the '*' still one */
		{"\"\\\\*\"", "*", -1},
		{"\"[\\\\]x\"", "\\x", 0},
		{"\"a\\x2ab\"", "aXXb", 0}, /* an escape is decoded before it is a pattern */
		{"f.<locals>.<lambda>", "f.<locals>.<lambda>", 0},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		char text[128];

		snprintf(text, sizeof(text), "n * * %s\n", cases[i].pattern);
		assert_int_equal(match(text, TRACE_KIND_OTHER, "", cases[i].text), cases[i].index);
		snprintf(text, sizeof(text), "n * %s *\n", cases[i].pattern);
		assert_int_equal(match(text, TRACE_KIND_OTHER, cases[i].text, ""), cases[i].index);
	}
}

static void the_first_match_wins_and_names_add_up(void **state)
{
	struct suppressions *parsed = parse("a export * f\n"
					    "b * * f*\n"
					    "a * * g\n"
					    "\n"
					    "c * * *\n"
					    "c * * z\n");
	uint64_t count = 9;

	(void)state;
	assert_int_equal(suppressions_match(parsed, TRACE_KIND_EXPORT, "", "f"), 0);
	assert_int_equal(suppressions_match(parsed, TRACE_KIND_MAKE_FX, "", "f"), 1);
	assert_int_equal(suppressions_match(parsed, TRACE_KIND_MAKE_FX, "", "z"), 3);
	assert_int_equal(suppressions_names(parsed), 3);
	assert_string_equal(suppressions_name_of(parsed, 2), "a");

	suppressions_count(parsed, 0, 2);
	suppressions_count(parsed, 2, 1ull << 40);
	suppressions_count(parsed, 3, 1);
	suppressions_count(parsed, 1, 0);
	suppressions_count(parsed, -1, 5);
	suppressions_count(parsed, 5, 5);
	assert_string_equal(suppressions_name(parsed, 0, &count), "a");
	assert_true(count == (1ull << 40) + 2);
	assert_string_equal(suppressions_name(parsed, 1, &count), "b");
	assert_true(count == 0);
	assert_string_equal(suppressions_name(parsed, 2, &count), "c");
	assert_true(count == 1);

	/* a name that is used may have lines that are not */
	assert_int_equal(suppressions_next_unused(parsed, 0), 2);
	assert_int_equal(suppressions_next_unused(parsed, 2), 6);
	assert_int_equal(suppressions_next_unused(parsed, 6), 0);
	assert_null(suppressions_name_of(parsed, -1));
	assert_null(suppressions_name_of(parsed, 5));
	assert_int_equal(suppressions_line_of(parsed, 5), 0);
	suppressions_free(parsed);
}

struct bad {
	const char *text;
	const char *place; /* how the error begins */
	const char *fix;   /* and what is in it */
};

static void refuses_bad_lines_with_place_and_fix(void **state)
{
	static const struct bad bad[] = {
		{"a * * *\nname\n", "line 2, column 5, kind: ", "NAME KIND FILE"},
		{"a *", "line 1, column 4, file: ", "missing"},
		{"a * *  # c", "line 1, column 8, qualified name: ", "missing"},
		{"a * * * x", "line 1, column 9, fifth field: ", "double quotes"},
		{"\"\" * * *", "line 1, column 1, name: ", "empty"},
		{"\n\na exprot * *", "line 3, column 3, kind: 'exprot'", "pre_dispatch"},
		{"a export,,make_fx * *", "line 1, column 3, kind: ''", "commas"},
		{"a export, make_fx * *", "line 1, column 3, kind: ''", "without blanks"},
		{"a *,export * *", "line 1, column 3, kind: '*'", "* for any"},
		{"a \"\" * *", "line 1, column 3, kind: ''", "commas"},
		{"a * \"x *", "line 1, column 5, file: ", "not closed"},
		{"a * \"x\n\" *", "line 1, column 5, file: ", "not closed"},
		{"a * \"x\\\" *", "line 1, column 5, file: ", "not closed"},
		{"a * \"x\\", "line 1, column 7, file: ", "after '\\'"},
		{"a * \"x\"y *", "line 1, column 8, file: ", "\\\""},
		{"a * \"x\"# *", "line 1, column 8, file: ", "blank"},
		{"a * x\"y\" *", "line 1, column 6, file: ", "double quotes"},
		{"a * * f\\*", "line 1, column 8, qualified name: ", "[*]"},
		{"a * * \"\\*\"", "line 1, column 8, qualified name: ", "[*]"},
		{"a * * \"\\n\"", "line 1, column 8, qualified name: ", "xNN"},
		{"a * * \"\\x4\"", "line 1, column 8, qualified name: ", "xNN"},
		{"a * * \"\\x4", "line 1, column 8, qualified name: ", "xNN"},
		{"a * * \"\\xg0\"", "line 1, column 8, qualified name: ", "xNN"},
		{"a * * \"\\x00\"", "line 1, column 8, qualified name: ", "ends a string"},
		{"a * * f[", "line 1, column 7, qualified name: ", "[[]"},
		{"a * [] *", "line 1, column 5, file: ", "[[]"},
		{"a * [!] *", "line 1, column 5, file: ", "[[]"},
		{"a * [a][^ *", "line 1, column 5, file: ", "[[]"},
		{"a * * *\r\n", "line 1, column 8, text: ", "Unix line endings"},
		{"a * *\r *", "line 1, column 6, text: byte 0x0d", "\\x0d"},
		{"# \x1b[2J", "line 1, column 3, text: byte 0x1b", "remove"},
		{"a * * \x7f", "line 1, column 7, text: byte 0x7f", "\\x7f"},
		{"a * * \"\xff\"", "line 1, column 8, text: byte 0xff", "UTF-8"},
		{"a * * caf\xc3", "line 1, column 10, text: byte 0xc3", "UTF-8"},
		{"a * * \xc2\x9b", "line 1, column 7, text: byte 0xc2", "control"},
		{"a * * \xe2\x80\xae", "line 1, column 7, text: byte 0xe2", "\\xe2"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++) {
		assert_null(parse_bytes(bad[i].text, strlen(bad[i].text)));
		assert_int_equal(err.code, -EINVAL);
		if (strncmp(err.text, bad[i].place, strlen(bad[i].place)) ||
		    !strstr(err.text, bad[i].fix))
			fail_msg("case %zu: %s", i, err.text);
	}
	assert_null(parse_bytes("a * *\0 *\n", 9));
	assert_int_equal(err.code, -EINVAL);
	assert_non_null(strstr(err.text, "line 1, column 6, text: a NUL byte"));
	/* what is printable is taken: UTF-8, and any byte when escaped */
	assert_int_equal(match("caf\xc3\xa9 * * \"\\xC3\\xa9\\x0a\\xff\"", TRACE_KIND_OTHER, "",
			       "\xc3\xa9\n\xff"),
			 0);
}

/* `lines` lines, each of `length` bytes. */
static struct suppressions *parse_many(size_t lines, size_t length, const char *first)
{
	size_t size = lines * (length + 1);
	char *text = malloc(size);
	struct suppressions *parsed;

	assert_non_null(text);
	memset(text, 'x', size);
	for (size_t i = 0; i < lines; i++) {
		memcpy(text + i * (length + 1), first, strlen(first));
		text[(i + 1) * (length + 1) - 1] = '\n';
	}
	parsed = parse_bytes(text, size);
	free(text);
	return parsed;
}

static void has_limits(void **state)
{
	struct suppressions *parsed;
	char *text;

	(void)state;
	parsed = parse_many(SUPPRESSIONS_MAX_LINES, 100, "a * * ");
	assert_non_null(parsed);
	suppressions_free(parsed);
	assert_null(parse_many(SUPPRESSIONS_MAX_LINES + 1, 100, "a * * "));
	assert_int_equal(err.code, -EFBIG);
	assert_non_null(strstr(err.text, "line 4097: "));

	parsed = parse_many(2, SUPPRESSIONS_MAX_LINE_LENGTH, "a * * ");
	assert_non_null(parsed);
	suppressions_free(parsed);
	assert_null(parse_many(2, SUPPRESSIONS_MAX_LINE_LENGTH + 1, "# "));
	assert_int_equal(err.code, -EINVAL);
	assert_non_null(strstr(err.text, "line 1: longer than 4096"));

	text = malloc(SUPPRESSIONS_MAX_SIZE + 1);
	assert_non_null(text);
	for (size_t i = 0; i <= SUPPRESSIONS_MAX_SIZE; i++)
		text[i] = i % 1024 ? '#' : '\n';
	parsed = parse_bytes(text, SUPPRESSIONS_MAX_SIZE);
	assert_non_null(parsed);
	suppressions_free(parsed);
	assert_null(parse_bytes(text, SUPPRESSIONS_MAX_SIZE + 1));
	assert_int_equal(err.code, -EFBIG);
	free(text);
}

static void loads_files(void **state)
{
	char path[] = "/tmp/gradwatch-suppressions-XXXXXX";
	int fd = mkstemp(path);
	struct suppressions *parsed;

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(write(fd, "a * * f\n", 8), 8);
	parsed = suppressions_load(path, &err);
	assert_non_null(parsed);
	assert_int_equal(suppressions_match(parsed, TRACE_KIND_OTHER, "", "f"), 0);
	suppressions_free(parsed);

	assert_int_equal(write(fd, "b\n", 2), 2);
	assert_null(suppressions_load(path, &err));
	assert_int_equal(err.code, -EINVAL);
	assert_memory_equal(err.text, path, strlen(path));
	assert_non_null(strstr(err.text, ": line 2, column 2, kind: is missing"));

	assert_int_equal(ftruncate(fd, SUPPRESSIONS_MAX_SIZE + 1), 0);
	assert_null(suppressions_load(path, &err));
	assert_int_equal(err.code, -EFBIG);
	assert_int_equal(ftruncate(fd, 0), 0);
	parsed = suppressions_load(path, &err);
	assert_non_null(parsed);
	suppressions_free(parsed);
	close(fd);
	unlink(path);

	assert_null(suppressions_load(path, &err));
	assert_int_equal(err.code, -ENOENT);
	assert_memory_equal(err.text, path, strlen(path));
	assert_non_null(strstr(err.text, "No such file"));
	assert_null(suppressions_load("/", &err));
	assert_int_equal(err.code, -EISDIR);
	assert_null(suppressions_load("/dev/zero", &err));
	assert_int_equal(err.code, -EFBIG);
}

/* --- written lines are read back ----------------------------------------------------------------
 */

static const char *const hostile[] = {
	"",
	"f",
	"/a/b c/m.py",
	"#",
	"#x",
	"x#y",
	" ",
	"\t",
	"a\nb",
	"a\n",
	"\r",
	"\"",
	"a\"b",
	"\"\"",
	"\\",
	"\\\\",
	"\\\"",
	"a\\",
	"\\x41",
	"A",
	"\\*",
	"*",
	"**",
	"?",
	"x",
	"[",
	"[*]",
	"[!a]",
	"[^a]",
	"b",
	"[]",
	"[]]",
	"]",
	"[[:alpha:]]",
	"[:alpha:]",
	"[.a.]",
	"[=a=]",
	"[a-z]",
	"[\\]",
	"-",
	"!",
	"\xff",
	"\xc3",
	"\xc3\xa9",
	"caf\xc3\xa9*\xc3",
	"\xc2\x9b",
	"\xe2\x80\xae",
	"\x1b[2J",
	"\x01\x7f\x80",
	"all",
	"f.<locals>.<lambda>",
	"<string>",
	"a * * *",
	"a * * *\nb * * *",
	"--",
};

/* The line as text, which the caller frees, or NULL with the error. */
static char *written(const char *name, enum trace_kind kind, const char *file, const char *qualname,
		     int *code)
{
	char *text = NULL;
	size_t size = 0;
	FILE *stream = open_memstream(&text, &size);

	assert_non_null(stream);
	*code = suppressions_write_line(stream, name, kind, file, qualname);
	fclose(stream);
	if (*code) {
		assert_int_equal(size, 0);
		free(text);
		return NULL;
	}
	return text;
}

/* Accepts file and qualname of this pair, and of no other pair of hostile strings. */
static void accepts_only(const char *line, const char *file, const char *qualname)
{
	struct suppressions *parsed = parse(line);

	assert_non_null(strchr(line, '\n'));
	assert_null(strchr(line, '\n')[1]);
	assert_int_equal(suppressions_next_unused(parsed, 0), 1);
	assert_int_equal(suppressions_next_unused(parsed, 1), 0);
	for (size_t i = 0; i < COUNT(hostile); i++)
		for (size_t j = 0; j < COUNT(hostile); j++) {
			bool same = !strcmp(hostile[i], file) && !strcmp(hostile[j], qualname);

			assert_int_equal(suppressions_match(parsed, TRACE_KIND_EXPORT, hostile[i],
							    hostile[j]),
					 same ? 0 : -1);
		}
	suppressions_free(parsed);
}

static void written_lines_accept_that_finding_only(void **state)
{
	int code;

	(void)state;
	for (size_t i = 0; i < COUNT(hostile); i++)
		for (size_t j = 0; j < COUNT(hostile); j += 1 + (i + j) % 5) {
			char *line = written("n", TRACE_KIND_EXPORT, hostile[i], hostile[j], &code);

			assert_int_equal(code, 0);
			accepts_only(line, hostile[i], hostile[j]);
			free(line);
		}
}

static void written_names_and_kinds_come_back(void **state)
{
	uint64_t count;
	int code;

	(void)state;
	for (size_t i = 1; i < COUNT(hostile); i++)
		for (int kind = 0; kind < TRACE_KIND_MAX; kind++) {
			char *line = written(hostile[i], kind, "f", "q", &code);
			struct suppressions *parsed = parse(line);

			assert_string_equal(suppressions_name(parsed, 0, &count), hostile[i]);
			for (int other = 0; other < TRACE_KIND_MAX; other++)
				assert_int_equal(suppressions_match(parsed, other, "f", "q"),
						 other == kind ? 0 : -1);
			suppressions_free(parsed);
			free(line);
		}
}

/* Every byte, alone and between others. */
static void written_bytes_come_back(void **state)
{
	int code;

	(void)state;
	for (int byte = 1; byte < 256; byte++) {
		const char one[] = {(char)byte, '\0'};
		const char among[] = {'a', (char)byte, '1', (char)byte, (char)byte, '\0'};
		char *line = written(among, TRACE_KIND_OTHER, one, among, &code);
		struct suppressions *parsed = parse(line);

		assert_string_equal(suppressions_name_of(parsed, 0), among);
		for (int other = 1; other < 256; other++) {
			const char text[] = {(char)other, '\0'};

			assert_int_equal(suppressions_match(parsed, TRACE_KIND_OTHER, text, among),
					 other == byte ? 0 : -1);
		}
		suppressions_free(parsed);
		free(line);
	}
}

static void written_lines_are_readable(void **state)
{
	char *line;
	int code;

	(void)state;
	line = written("rotary", TRACE_KIND_MAKE_FX, "/a/m.py", "C.f.<locals>.g", &code);
	assert_string_equal(line, "rotary make_fx /a/m.py C.f.<locals>.g\n");
	free(line);
	line = written("a b", TRACE_KIND_UNKNOWN, "", "caf\xc3\xa9\n\"\\*", &code);
	assert_string_equal(line, "\"a b\" unknown \"\" \"caf\xc3\xa9\\x0a\\\"\\\\[*]\"\n");
	free(line);
}

static void writes_nothing_that_cannot_be_read(void **state)
{
	static char file[2 * SUPPRESSIONS_MAX_LINE_LENGTH];
	size_t room = SUPPRESSIONS_MAX_LINE_LENGTH - strlen("n other  q");
	FILE *full;
	int code;
	char *line;

	(void)state;
	assert_null(written("", TRACE_KIND_OTHER, "f", "q", &code));
	assert_int_equal(code, -EINVAL);
	assert_null(written("n", TRACE_KIND_MAX, "f", "q", &code));
	assert_int_equal(code, -EINVAL);

	memset(file, 'x', room);
	line = written("n", TRACE_KIND_OTHER, file, "q", &code);
	assert_int_equal(code, 0);
	suppressions_free(parse(line));
	free(line);
	file[room] = 'x';
	assert_null(written("n", TRACE_KIND_OTHER, file, "q", &code));
	assert_int_equal(code, -EMSGSIZE);
	/* as long as a line can grow: nothing is left out, nothing overflows */
	memset(file, '\xff', SUPPRESSIONS_MAX_LINE_LENGTH);
	assert_null(written(file, TRACE_KIND_OTHER, file, file, &code));
	assert_int_equal(code, -EMSGSIZE);
	memset(file, '*', sizeof(file) - 1);
	assert_null(written("n", TRACE_KIND_OTHER, file, "q", &code));
	assert_int_equal(code, -EMSGSIZE);

	full = fopen("/dev/full", "w");
	assert_non_null(full);
	setvbuf(full, NULL, _IONBF, 0);
	assert_int_equal(suppressions_write_line(full, "n", TRACE_KIND_OTHER, "f", "q"), -ENOSPC);
	fclose(full);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes_lines_comments_and_blanks),
		cmocka_unit_test(takes_a_file_without_any),
		cmocka_unit_test(matches_all_of_kind_file_and_name),
		cmocka_unit_test(globs),
		cmocka_unit_test(the_first_match_wins_and_names_add_up),
		cmocka_unit_test(refuses_bad_lines_with_place_and_fix),
		cmocka_unit_test(has_limits),
		cmocka_unit_test(loads_files),
		cmocka_unit_test(written_lines_accept_that_finding_only),
		cmocka_unit_test(written_names_and_kinds_come_back),
		cmocka_unit_test(written_bytes_come_back),
		cmocka_unit_test(written_lines_are_readable),
		cmocka_unit_test(writes_nothing_that_cannot_be_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
