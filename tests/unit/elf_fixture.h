/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Libraries compiled at test time, shaped like libc10.so, and what their code does when it runs:
 * the truth that a plan is held against.
 */
#ifndef GRADWATCH_TESTS_ELF_FIXTURE_H
#define GRADWATCH_TESTS_ELF_FIXTURE_H

#include <dlfcn.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "inspect/plan.h"

struct library {
	char path[512];
	uint8_t *data;
	size_t size;
};

static char fixture_directory[64];

__attribute__((unused)) static int fixture_setup(void **state)
{
	(void)state;
	strcpy(fixture_directory, "/tmp/gradwatch-inspect-XXXXXX");
	return mkdtemp(fixture_directory) ? 0 : -1;
}

__attribute__((unused)) static int fixture_teardown(void **state)
{
	char command[128];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf '%s'", fixture_directory);
	return system(command);
}

static void library_read(struct library *library, const char *path)
{
	FILE *file = fopen(path, "rb");

	assert_non_null(file);
	snprintf(library->path, sizeof(library->path), "%s", path);
	assert_int_equal(fseek(file, 0, SEEK_END), 0);
	library->size = (size_t)ftell(file);
	rewind(file);
	library->data = malloc(library->size);
	assert_non_null(library->data);
	assert_int_equal(fread(library->data, 1, library->size, file), library->size);
	fclose(file);
}

#define LIBC10 "tests/fuzz/libc10.c"

/* False when the compiler does not know the flags. */
static bool library_build(struct library *library, const char *compiler, const char *flags,
			  const char *source)
{
	static int number;
	char path[96], command[1024];

	snprintf(path, sizeof(path), "%s/%d.so", fixture_directory, ++number);
	snprintf(command, sizeof(command), "%s -shared -fPIC -O2 %s %s -o %s 2>%s/log", compiler,
		 flags, source, path, fixture_directory);
	if (system(command)) {
		snprintf(command, sizeof(command), "test -z \"$V\" || cat %s/log",
			 fixture_directory);
		return system(command) && false;
	}
	library_read(library, path);
	return true;
}

/*
 * Assembles bodies into functions f0_, f1_, ... of one library, with a thread-local `variable` 64
 * bytes into the block.
 */
__attribute__((unused)) static void library_assemble_with(struct library *library,
							  const char *compiler,
							  const char *const *bodies, size_t count)
{
	char path[96];
	FILE *file;

	snprintf(path, sizeof(path), "%s/code.s", fixture_directory);
	file = fopen(path, "w");
	assert_non_null(file);
	fputs(".section .tbss,\"awT\"\n.zero 64\nvariable: .zero 64\n"
	      "end: .zero 64\n.text\n",
	      file);
	for (size_t i = 0; i < count; i++)
		fprintf(file,
			".globl f%zu_\n.type f%zu_,@function\nf%zu_:\n%s\n.size f%zu_, .-f%zu_\n",
			i, i, i, bodies[i], i, i);
	fclose(file);
	if (!library_build(library, compiler, "-nostdlib", path))
		fail_msg("assembler: see the log");
}

/* The same in this machine's language. */
__attribute__((unused)) static void library_assemble(struct library *library,
						     const char *const *bodies, size_t count)
{
	library_assemble_with(library, "gcc", bodies, count);
}

static void library_free(struct library *library)
{
	free(library->data);
	library->data = NULL;
}

/* inspect_plan on a copy of just the right size, so that ASan sees a byte too much. */
__attribute__((unused)) static int plan_of(const uint8_t *data, size_t size,
					   struct inspect_plan *plan)
{
	uint8_t *copy = malloc(size ? size : 1);
	char reason[256] = "";
	int code;

	assert_non_null(copy);
	memcpy(copy, data, size);
	code = inspect_plan(copy, size, plan, reason, sizeof(reason));
	free(copy);
	assert_true(code <= 0);
	assert_true(!code || reason[0]);
	return code;
}

#endif
