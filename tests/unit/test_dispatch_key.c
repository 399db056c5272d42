// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * user/inspect/dispatch_key: the number of a key and its bit in a set, from code like libtorch's,
 * compiled here, and from code that is not. The truth is the library's own set, when it runs.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "elf_fixture.h"
#include "inspect/dispatch_key.h"

#define KEYS      44
#define TO_STRING "_ZN3c108toStringENS_11DispatchKeyE"

/*
 * c10::toString and tls_set_dispatch_key_included with `backends` bits before the keys'. `called`:
 * the set is made in a function that is called.
 */
static void write_source(const char *path, int backends, bool called)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	fprintf(file,
		"const char *to_string(unsigned short) __asm__(\"%s\");\n"
		"const char *to_string(unsigned short key)\n{\n\tswitch (key) {\n",
		TO_STRING);
	for (int key = 0; key < KEYS; key++) /* different lengths: no table of pointers */
		fprintf(file, "\tcase %d: __asm__ volatile(\"\"); return \"Key%d%s\";\n", key, key,
			key % 2 ? "Odd" : "");
	fprintf(file,
		"\t}\n\treturn \"UNKNOWN\";\n}\n"
		"__thread unsigned long included;\n"
		"%s unsigned long set_of(unsigned short key)\n{\n"
		"\treturn key ? 1ul << (key + %d) : 0;\n}\n"
		"void include(unsigned short, _Bool) __asm__(\"" DISPATCH_KEY_INCLUDE "\");\n"
		"void include(unsigned short key, _Bool on)\n{\n"
		"\tunsigned long set = set_of(key);\n"
		"\tincluded = on ? included | set : included & ~set;\n}\n"
		"unsigned long current(void)\n{\n\treturn included;\n}\n",
		called ? "__attribute__((noinline, visibility(\"hidden\")))"
		       : "static inline __attribute__((always_inline))",
		backends - 1);
	fclose(file);
}

static int bit_of(const struct library *library, const char *name)
{
	struct elf_image image;
	char reason[256];
	int bit;

	assert_int_equal(
		elf_image_open(&image, library->data, library->size, reason, sizeof(reason)), 0);
	bit = dispatch_key_bit(&image, name);
	elf_image_close(&image);
	return bit;
}

/* The bit that the library itself sets for a key. */
static int bit_when_run(const struct library *library, unsigned short key)
{
	void *handle = dlopen(library->path, RTLD_NOW | RTLD_LOCAL);
	void (*include)(unsigned short, bool);
	unsigned long (*current)(void);
	unsigned long set;

	assert_non_null(handle);
	*(void **)&include = dlsym(handle, DISPATCH_KEY_INCLUDE);
	*(void **)&current = dlsym(handle, "current");
	include(key, true);
	set = current();
	include(key, false);
	assert_int_equal(current(), 0);
	dlclose(handle);
	return __builtin_ctzl(set);
}

static void check(const char *flags, int backends, bool called)
{
	struct library library;
	char path[96];

	snprintf(path, sizeof(path), "%s/keys.c", fixture_directory);
	write_source(path, backends, called);
	assert_true(library_build(&library, "gcc", flags, path));
	assert_int_equal(bit_of(&library, "Key7Odd"), bit_when_run(&library, 7));
	assert_int_equal(bit_of(&library, "Key36"), bit_when_run(&library, 36));
	assert_int_equal(bit_of(&library, "Key7"), -ENOENT);  /* only the beginning of one */
	assert_int_equal(bit_of(&library, "Key99"), -ENOENT); /* no such key */
	assert_int_equal(bit_of(&library, "Key43Odd"),        /* beyond a set of 64 bits? */
			 43 + backends - 1 < 64 ? 43 + backends - 1 : -ENOENT);
	library_free(&library);
}

static void test_known_forms(void **state)
{
	(void)state;
	check("-fcf-protection=none", 15, false);
	check("-fcf-protection=full", 15, false);
	check("-fcf-protection=none", 17, true);
	check("-fcf-protection=full -mtls-dialect=gnu2", 21, true);
	check("-s", 24, false);
}

/* Other code gives no bit, whatever it looks like. */
static void test_unknown_forms(void **state)
{
	static const char *const bodies[] = {
		/* toString: no table; a table that is not there; cases that point nowhere */
		"ret",
		"cmp $40, %di\n lea 0x7000000(%rip), %rdx\n movslq (%rdx,%rdi,4), %rax\n ret",
		"cmp $40, %di\n lea 1f(%rip), %rdx\n movslq (%rdx,%rdi,4), %rax\n ret\n"
		"1: .fill 41, 4, 0x7fffffff",
	};
	static const char include[] = "lea 14(%rdi), %ecx\n mov $1, %eax\n shl %cl, %rax\n ret";

	(void)state;
	for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
		struct library library;
		char path[96];
		FILE *file;

		snprintf(path, sizeof(path), "%s/keys.s", fixture_directory);
		file = fopen(path, "w");
		assert_non_null(file);
		fprintf(file,
			".text\n.globl %1$s\n.type %1$s,@function\n%1$s: %2$s\n.size %1$s, .-%1$s\n"
			".globl %3$s\n.type %3$s,@function\n%3$s: %4$s\n.size %3$s, .-%3$s\n",
			TO_STRING, bodies[i], DISPATCH_KEY_INCLUDE, include);
		fclose(file);
		assert_true(library_build(&library, "gcc", "-nostdlib", path));
		assert_int_equal(bit_of(&library, "Key7Odd"), -ENOENT);
		library_free(&library);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_known_forms),
		cmocka_unit_test(test_unknown_forms),
	};

	return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
