/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * AArch64 code as data: functions that are assembled at test time and walked, never run. It needs
 * an assembler for that processor, and not the processor.
 */
#ifndef GRADWATCH_TESTS_ARM64_FIXTURE_H
#define GRADWATCH_TESTS_ARM64_FIXTURE_H

#include "elf_fixture.h"
#include "inspect/code.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Newer instructions as well: libraries choose some of them at run time. */
#define COMPILER "aarch64-linux-gnu-gcc -march=armv8.6-a+sve2+memtag+ls64+mops+rng+crc+sha2+crypto"

static struct library library;
static struct elf_image image;

__attribute__((unused)) static void assemble(const char *const *bodies, size_t count)
{
	char reason[256];

	library_assemble_with(&library, COMPILER, bodies, count);
	assert_int_equal(elf_image_open(&image, library.data, library.size, reason, sizeof(reason)),
			 0);
}

__attribute__((unused)) static void disassemble(void)
{
	elf_image_close(&image);
	library_free(&library);
}

/* Bodies that differ in their middle. */
__attribute__((unused)) static char **assemble_each(const char *before, const char *const *codes,
						    const char *after, size_t count)
{
	char **bodies = calloc(count, sizeof(*bodies));

	assert_non_null(bodies);
	for (size_t i = 0; i < count; i++)
		assert_true(asprintf(&bodies[i], "%s%s\n%s", before, codes[i], after) > 0);
	assemble((const char *const *)bodies, count);
	return bodies;
}

__attribute__((unused)) static void disassemble_each(char **bodies, size_t count)
{
	disassemble();
	for (size_t i = 0; i < count; i++)
		free(bodies[i]);
	free(bodies);
}

__attribute__((unused)) static void find(size_t number, struct elf_function *function)
{
	char name[16];

	snprintf(name, sizeof(name), "f%zu_", number);
	assert_int_equal(elf_image_function(&image, name, function), 0);
}

__attribute__((unused)) static void walk(size_t number, enum code_key key, struct code_trace *trace)
{
	struct elf_function function;

	find(number, &function);
	assert_int_equal(code_walk(&image, function.address, key, trace), 0);
}

/* Where in the block an address is; *is_described: its GOT pair is a TLS descriptor. */
__attribute__((unused)) static uint64_t offset_of(const struct code_address *address,
						  bool *is_described)
{
	struct code_variable variable;
	uint64_t offset;

	assert_int_equal(code_block_offset(&image, address, &offset, &variable), 0);
	*is_described = variable.is_described;
	return offset;
}

/* The distance of the variable from the thread pointer, which is in x20, in x0. */
#define GET_THREAD "mrs x20, tpidr_el0\n"
#define GET_DISTANCE                                                                               \
	"adrp x0, :tlsdesc:variable\nldr x1, [x0, :tlsdesc_lo12:variable]\n"                       \
	"add x0, x0, :tlsdesc_lo12:variable\n.tlsdesccall variable\nblr x1\n"
#define GET_ADDRESS GET_THREAD GET_DISTANCE "add x0, x20, x0\n"

#endif
