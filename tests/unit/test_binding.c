// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * user/inspect/binding: the Python binding of the setter in libraries compiled here. What is found
 * is held against what the library's own table says when it is loaded.
 */
#include <errno.h>
#include <link.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "elf_fixture.h"
#include "inspect/binding.h"

struct method {
	const char *name;
	void *function;
	int flags;
	const char *doc;
};

/*
 * A table of methods like libtorch_python's. "late": the function is put into it by a constructor,
 * as C++ does it for a cast that is no constant.
 */
static void write_source(const char *path, const char *flags, bool late)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	fprintf(file,
		"struct method { const char *name; void *function; int flags; const char *doc; };\n"
		"static char bss[5000];\n"
		"static void *other(void *a, void *b) { return bss + ((long)a & 7); }\n"
		"static void *setter(void *a, void *b) { bss[9]++; return b; }\n"
		"const char *decoy = \"x_set_grad_enabled\";\n"
		"%s void *apply(void *a, void *b) { bss[7]--; return b; }\n"
		"static void *behind(void *a, void *b) { bss[8]--; return b; }\n"
		"static struct method methods[] = {\n"
		"\t{\"is_grad_enabled\", other, 4, 0},\n"
		"\t{\"_set_grad_enabled\", %s, %s, 0},\n"
		"\t{\"apply\", other, 1, 0}, {\"apply\", %s, 0x13, 0},\n"
		"\t{\"behind\", behind, 1, 0}, {0}};\n"
		"struct method *table(void) { return methods; }\n",
		late ? "" : "static", late ? "0" : "setter", flags, "apply");
	if (late)
		fputs("__attribute__((constructor)) static void init(void)\n"
		      "{\n\tmethods[0].function = other;\n\tmethods[1].function = setter;\n}\n",
		      file);
	fclose(file);
}

static int inspect(const struct library *library, struct inspect_binding *binding, char *reason)
{
	uint8_t *copy = malloc(library->size); /* of its very size, for ASan */
	int code;

	assert_non_null(copy);
	memcpy(copy, library->data, library->size);
	code = inspect_binding(copy, library->size, binding, reason, 256);
	free(copy);
	return code;
}

static void build(struct library *library, const char *compiler_flags, const char *flags, bool late)
{
	char path[96];

	snprintf(path, sizeof(path), "%s/binding.c", fixture_directory);
	write_source(path, flags, late);
	assert_true(library_build(library, "gcc", compiler_flags, path));
}

/* A range begins with its function, and no other function is in it. */
static void check_range(const struct gw_range *range, const struct link_map *map,
			const struct method *method, const struct method *methods)
{
	uint64_t start = map->l_addr + range->start, end = map->l_addr + range->end;

	assert_int_equal(start, (uintptr_t)method->function);
	assert_in_range(end, start + 4, start + 200);
	for (size_t i = 0; methods[i].name; i++)
		assert_true(methods[i].function == method->function ||
			    (uintptr_t)methods[i].function < start ||
			    (uintptr_t)methods[i].function >= end);
}

static void check(const char *compiler_flags, const char *flags, bool late, bool method_o)
{
	struct inspect_binding binding;
	const struct method *methods;
	const struct method *(*table)(void);
	struct library library;
	struct link_map *map;
	char reason[256];
	uint8_t *space;

	build(&library, compiler_flags, flags, late);
	assert_int_equal(inspect(&library, &binding, reason), 0);
	assert_int_equal(binding.method_o, method_o);
	map = dlopen(library.path, RTLD_NOW);
	assert_non_null(map);
	*(void **)&table = dlsym(map, "table");
	methods = table();
	assert_int_equal(map->l_addr + binding.function, (uintptr_t)methods[1].function);
	check_range(&binding.range, map, &methods[1], methods);
	check_range(&binding.apply, map, &methods[3], methods);
	/* Writing to the space harms nobody: it is mapped, and all zero. */
	assert_true(binding.space_size > 0);
	space = (uint8_t *)(map->l_addr + binding.space);
	for (uint64_t i = 0; i < binding.space_size; i++)
		assert_int_equal(space[i]++, 0);
	assert_int_equal(map->l_addr + binding.address,
			 (uintptr_t)methods[1].function +
				 (strstr(compiler_flags, "=full") ? 4 : 0));
	dlclose(map);
	library_free(&library);
}

static void test_forms(void **state)
{
	(void)state;
	check("-fcf-protection=none", "8", false, true);
	check("-fcf-protection=none", "3", false, false);
	check("-fcf-protection=full", "3", true, false);
	check("-s -fcf-protection=none", "1|2", true, false);
	check("-O0 -fcf-protection=full", "8", true, true);
}

static void test_unknown(void **state)
{
	struct inspect_binding binding;
	struct library library;
	char reason[256];

	(void)state;
	build(&library, "", "4", false); /* METH_NOARGS */
	assert_int_equal(inspect(&library, &binding, reason), -ENOENT);
	assert_string_equal(reason, "_set_grad_enabled takes its arguments in an unknown way");
	library_free(&library);
	assert_true(library_build(&library, "gcc", "-DKEYED", LIBC10));
	assert_int_equal(inspect(&library, &binding, reason), -ENOENT);
	assert_string_equal(reason, "it has no _set_grad_enabled");
	library_free(&library);
	assert_int_equal(inspect_binding("no", 2, &binding, reason, sizeof(reason)), -ENOEXEC);
}

/* Whatever comes out of a damaged file lies in the file. */
static void test_damage(void **state)
{
	struct inspect_binding binding;
	struct library library;
	char reason[256];

	(void)state;
	build(&library, "-s", "3", true);
	srand(1);
	for (int i = 0; i < 20000; i++) {
		size_t at = (size_t)rand() % library.size;
		uint8_t old = library.data[at];

		library.data[at] = (uint8_t)rand();
		if (!inspect(&library, &binding, reason))
			assert_true(binding.file_offset < library.size &&
				    binding.space_size < 4096 &&
				    binding.range.end >= binding.range.start &&
				    binding.apply.end >= binding.apply.start);
		else
			assert_true(reason[0]);
		library.data[at] = old;
	}
	for (size_t size = library.size; size > 64; size -= 97) {
		library.size = size;
		if (inspect(&library, &binding, reason))
			assert_true(reason[0]);
	}
	library_free(&library);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_forms),
		cmocka_unit_test(test_unknown),
		cmocka_unit_test(test_damage),
	};

	return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
