// SPDX-License-Identifier: GPL-2.0-or-later
/* user/inspect/python: interpreters that describe themselves, wrongly, or not at all. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "elf_fixture.h"
#include "inspect/python.h"

#define WORDS 64

static int setup(void **state)
{
	return fixture_setup(state);
}

/* A library with a _PyRuntime of these words, and the version that is in words[1]. */
static int inspect_words(const uint64_t words[WORDS], const char *name,
			 struct inspect_python *python, char *reason)
{
	struct library library;
	char path[96];
	FILE *file;
	int code;

	snprintf(path, sizeof(path), "%s/runtime.c", fixture_directory);
	file = fopen(path, "w");
	assert_non_null(file);
	fputs("void f(void) {}\nunsigned long _PyRuntime[] = {", file);
	for (int i = 0; i < WORDS; i++)
		fprintf(file, "%#lxul,", (unsigned long)words[i]);
	fputs("};\n", file);
	if (words[1])
		fprintf(file, "const unsigned long Py_Version = %#lx;\n", (unsigned long)words[1]);
	fclose(file);
	assert_true(library_build(&library, "gcc", "-nostdlib", path));
	code = inspect_python(library.data, library.size, name, python, reason, 256);
	library_free(&library);
	return code;
}

/* What CPython 3.13 has at its beginning, as far as it is read (pycore_runtime.h). */
static void describe_313(uint64_t words[WORDS])
{
	memset(words, 0, WORDS * sizeof(*words));
	memcpy(words, "xdebugpy", 8);
	words[1] = 0x030d00f0;
	words[23] = 72;
	words[24] = 152;
	words[29] = 8;
	words[30] = 0;
	words[31] = 56;
	words[33] = 70;
	words[35] = 112;
	words[37] = 128;
	words[38] = 136;
	words[39] = 68;
	words[43] = 200;
}

static void test_debug_offsets(void **state)
{
	struct inspect_python python;
	uint64_t words[WORDS];
	char reason[256];

	(void)state;
	describe_313(words);
	assert_int_equal(inspect_words(words, "libpython3.13.so.1.0", &python, reason), 0);
	assert_int_equal(python.python.version, 0x30d);
	assert_int_equal(python.python.tstate_frame, 72);
	assert_int_equal(python.python.frame_owner, 70);
	assert_int_equal(python.python.code_name, 128);
	assert_int_equal(python.python.code_bytecode, 200);
	assert_int_equal(python.python.key, 2164);
	assert_true(python.runtime != 0);
}

/* Each is refused with a reason, and leaves no offset that BPF could use. */
static void test_lies(void **state)
{
	static const struct {
		unsigned int word;
		uint64_t value;
		const char *reason;
	} lies[] = {
		{0, 0, "CPython without debug offsets"},
		{1, 0x030f00f0, "CPython 3.15, whose stacks are not known"},
		{1, 0x020700f0, "CPython 2.7, whose stacks are not known"},
		{2, 1, "a free-threaded CPython, whose stacks are not known"},
		{23, 0xffff, "CPython with offsets out of range"}, /* GW_NO_FIELD */
		{29, 1ull << 40, "CPython with offsets out of range"},
		{30, 105, "CPython with offsets out of range"}, /* behind what BPF copies */
		{31, 200, "CPython with offsets out of range"},
		{33, 112, "CPython with offsets out of range"},
		{35, 8, "CPython with offsets out of range"}, /* before it */
		{37, 144, "CPython with offsets out of range"},
		{38, ~0ull, "CPython with offsets out of range"},
		{39, 125, "CPython with offsets out of range"},
	};
	struct inspect_python python;
	uint64_t words[WORDS];
	char reason[256];

	(void)state;
	for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		describe_313(words);
		words[lies[i].word] = lies[i].value;
		assert_int_equal(inspect_words(words, "libpython3.13.so.1.0", &python, reason),
				 -ENOTSUP);
		assert_string_equal(reason, lies[i].reason);
		assert_int_equal(python.python.tstate_frame, 0);
		assert_int_equal(python.python.frame_code, 0);
	}
}

static void test_names(void **state)
{
	static const struct {
		const char *name;
		int code;
		unsigned int version;
	} names[] = {
		{"libpython3.9.so.1.0", 0, 0x309}, {"python3.10", 0, 0x30a},
		{"python3.8", -ENOTSUP, 0x308},    {"python3.99999999999999999999", -ENOTSUP, 0},
		{"python3.", -ENOTSUP, 0},         {"myprogram", -ENOTSUP, 0},
	};
	const uint64_t words[WORDS] = {0};
	struct inspect_python python;
	char reason[256];

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		assert_int_equal(inspect_words(words, names[i].name, &python, reason),
				 names[i].code);
		assert_int_equal(python.python.version, names[i].version);
		assert_int_equal(!names[i].code, reason[0] == '\0');
	}
}

static void test_no_python(void **state)
{
	struct inspect_python python;
	struct library library;
	char reason[256];

	(void)state;
	assert_true(library_build(&library, "gcc", "-DKEYED", LIBC10));
	assert_int_equal(inspect_python(library.data, library.size, "libc10.so", &python, reason,
					sizeof(reason)),
			 -ENOENT);
	library_free(&library);
	assert_int_equal(inspect_python("no", 2, "python3.11", &python, reason, sizeof(reason)),
			 -ENOEXEC);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_debug_offsets),
		cmocka_unit_test(test_lies),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_no_python),
	};

	return cmocka_run_group_tests(tests, setup, fixture_teardown);
}
