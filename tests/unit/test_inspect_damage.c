// SPDX-License-Identifier: GPL-2.0-or-later
/* user/inspect: files that are no libraries, other machines' libraries, cut and damaged ones. */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/clock.h"
#include "elf_fixture.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static struct library keyed, stack;

static int setup(void **state)
{
	if (fixture_setup(state) ||
	    !library_build(&keyed, "gcc", "-s -DKEYED -DGUARDED -Wl,-soname,libc10.so", LIBC10) ||
	    !library_build(&stack, "gcc", "-s -DSTACK -DGUARDED", LIBC10))
		return -1;
	return 0;
}

static int teardown(void **state)
{
	library_free(&keyed);
	library_free(&stack);
	return fixture_teardown(state);
}

/* Whatever comes out of a damaged file must hold together. */
static void check(const uint8_t *data, size_t size)
{
	struct inspect_plan plan;
	const struct gw_plan *abi = &plan.abi;
	int code = plan_of(data, size, &plan);

	if (code) {
		assert_true(code == -ENOEXEC || code == -ENOTSUP || code == -ENOENT);
		return;
	}
	assert_true(abi->site_address[GW_SITE_SET_ENABLED]);
	for (int i = 0; i < GW_SITE_MAX; i++)
		assert_true(!abi->site_address[i] || plan.site[i].file_offset < size);
	assert_int_equal(!abi->certain, plan.doubt[0] != '\0');
	if (!abi->certain)
		return;
	assert_in_range(abi->tls_span_size, 1, GW_SPAN_MAX);
	assert_true(abi->tls_grad >= abi->tls_span);
	assert_true(abi->tls_grad - abi->tls_span < abi->tls_span_size);
	assert_true(abi->module_slot && abi->grad_mask);
}

static const char *refused(const void *data, size_t size, int code)
{
	static char reason[256];
	struct inspect_plan plan;

	reason[0] = '\0';
	assert_int_equal(inspect_plan(data, size, &plan, reason, sizeof(reason)), code);
	assert_true(reason[0]);
	return reason;
}

static void test_not_elf(void **state)
{
	char text[4096];

	(void)state;
	memset(text, 'x', sizeof(text));
	refused("", 0, -ENOEXEC);
	refused(text, sizeof(text), -ENOEXEC);
	refused("#!/bin/sh\n", 10, -ENOEXEC);
	refused("\x7f"
		"ELF",
		4, -ENOEXEC);
	refused(keyed.data, sizeof(Elf64_Ehdr) - 1, -ENOEXEC);
	refused(keyed.data, sizeof(Elf64_Ehdr), -ENOEXEC);
	/* an archive is a container that libelf knows, too */
	memcpy(text, "!<arch>\n", 8);
	refused(text, sizeof(text), -ENOEXEC);
}

static void test_machine(void **state)
{
	static const struct {
		uint8_t class, order;
		uint16_t machine, type;
		int code;
		const char *reason;
	} cases[] = {
		{ELFCLASS64, ELFDATA2LSB, EM_AARCH64, ET_DYN, -ENOTSUP, "aarch64"},
		{ELFCLASS64, ELFDATA2LSB, EM_RISCV, ET_DYN, -ENOTSUP, "riscv"},
		{ELFCLASS64, ELFDATA2LSB, EM_PPC64, ET_DYN, -ENOTSUP, "ppc64"},
		{ELFCLASS64, ELFDATA2LSB, 9999, ET_DYN, -ENOTSUP, "another architecture"},
		{ELFCLASS64, ELFDATA2LSB, EM_386, ET_DYN, -ENOTSUP, "i386"},
		{ELFCLASS32, ELFDATA2LSB, EM_386, ET_DYN, -ENOTSUP, "32-bit"},
		{ELFCLASS64, ELFDATA2MSB, EM_S390, ET_DYN, -ENOTSUP, "big-endian"},
		{9, ELFDATA2LSB, EM_X86_64, ET_DYN, -ENOTSUP, ""},
		{ELFCLASS64, ELFDATA2LSB, EM_X86_64, ET_REL, -ENOEXEC, "shared object"},
		{ELFCLASS64, ELFDATA2LSB, EM_X86_64, ET_CORE, -ENOEXEC, "shared object"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		uint8_t *copy = malloc(keyed.size);
		Elf64_Ehdr *header = (Elf64_Ehdr *)copy;
		const char *reason;

		assert_non_null(copy);
		memcpy(copy, keyed.data, keyed.size);
		header->e_ident[EI_CLASS] = cases[i].class;
		header->e_ident[EI_DATA] = cases[i].order;
		header->e_machine = cases[i].machine;
		header->e_type = cases[i].type;
		reason = refused(copy, keyed.size, cases[i].code);
		if (!strstr(reason, cases[i].reason))
			fail_msg("%s", reason);
		free(copy);
	}
}

/* All lengths up to 1024, then every 97 bytes. */
static void test_truncated(void **state)
{
	(void)state;
	for (size_t size = 0; size < keyed.size; size += size < 1024 ? 1 : 97) {
		check(keyed.data, size);
		check(stack.data, size < stack.size ? size : stack.size);
	}
}

static uint32_t random_state;

static uint32_t random_below(uint32_t limit)
{
	random_state = random_state * 1664525 + 1013904223;
	return (uint32_t)((uint64_t)random_state * limit >> 32);
}

/* One to eight random bytes at random places, half of them in the headers and tables. */
static void test_flipped(void **state)
{
	uint64_t start = clock_monotonic();

	(void)state;
	random_state = 20261124;
	for (int i = 0; i < 4000; i++) {
		const struct library *library = i & 1 ? &keyed : &stack;
		uint8_t *copy = malloc(library->size);

		assert_non_null(copy);
		memcpy(copy, library->data, library->size);
		for (uint32_t n = 1 + random_below(8); n; n--) {
			uint32_t limit = (uint32_t)library->size;

			if (i & 2)
				limit = 4096;
			copy[random_below(limit)] = (uint8_t)random_below(256);
		}
		check(copy, library->size);
		free(copy);
	}
	assert_true(clock_monotonic() - start < 120ull * 1000000000);
}

/* Every word of the section and program headers at its extremes. */
static void test_header_words(void **state)
{
	static const uint64_t extremes[] = {0, 1, 0x7fffffff, UINT32_MAX, INT64_MAX, UINT64_MAX};
	const Elf64_Ehdr *header = (const Elf64_Ehdr *)keyed.data;
	const struct {
		uint64_t start, size;
	} tables[] = {
		{0, sizeof(*header)},
		{header->e_phoff, header->e_phnum * sizeof(Elf64_Phdr)},
		{header->e_shoff, header->e_shnum * sizeof(Elf64_Shdr)},
	};
	uint8_t *copy = malloc(keyed.size);

	(void)state;
	assert_non_null(copy);
	for (size_t t = 0; t < COUNT(tables); t++)
		for (uint64_t at = tables[t].start; at + 8 <= tables[t].start + tables[t].size;
		     at += 8)
			for (size_t e = 0; e < COUNT(extremes); e++)
				for (size_t width = 4; width <= 8; width += 4) {
					memcpy(copy, keyed.data, keyed.size);
					memcpy(copy + at, &extremes[e], width);
					check(copy, keyed.size);
				}
	free(copy);
}

/* A string table without an end must not be read beyond, nor searched to its end for each name. */
static void test_open_strings(void **state)
{
	uint8_t *copy = malloc(keyed.size);
	const Elf64_Ehdr *header = (const Elf64_Ehdr *)copy;

	(void)state;
	assert_non_null(copy);
	memcpy(copy, keyed.data, keyed.size);
	for (int i = 0; i < header->e_shnum; i++) {
		const Elf64_Shdr *section = (const Elf64_Shdr *)(copy + header->e_shoff) + i;

		if (section->sh_type == SHT_STRTAB)
			copy[section->sh_offset + section->sh_size - 1] = 'x';
	}
	refused(copy, keyed.size, -ENOEXEC);
	free(copy);
}

static void check_fd(int fd, int code, const char *word)
{
	struct inspect_plan plan;
	char reason[256] = "";

	assert_true(fd >= 0);
	assert_int_equal(inspect_plan_fd(fd, &plan, reason, sizeof(reason)), code);
	if (!strstr(reason, word) || (code && !reason[0]))
		fail_msg("%s", reason);
	close(fd);
}

static void test_descriptors(void **state)
{
	char path[128];
	int ends[2];

	(void)state;
	check_fd(open(keyed.path, O_RDONLY | O_CLOEXEC), 0, "");
	check_fd(open("/", O_RDONLY | O_CLOEXEC), -ENOEXEC, "regular");
	check_fd(open("/dev/null", O_RDONLY | O_CLOEXEC), -ENOEXEC, "regular");
	assert_int_equal(pipe(ends), 0);
	check_fd(ends[0], -ENOEXEC, "regular");
	close(ends[1]);
	check_fd(open(keyed.path, O_WRONLY | O_CLOEXEC), -EBADF, "cannot be read");

	snprintf(path, sizeof(path), "%s/file", fixture_directory);
	check_fd(open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600), -ENOEXEC, "ELF");
	assert_int_equal(truncate(path, (256ll << 20) + 1), 0);
	check_fd(open(path, O_RDONLY | O_CLOEXEC), -EFBIG, "256 MiB");

	struct inspect_plan plan;
	char reason[256] = "";
	assert_int_equal(inspect_plan_fd(-1, &plan, reason, sizeof(reason)), -EBADF);
	assert_true(reason[0]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_not_elf),      cmocka_unit_test(test_machine),
		cmocka_unit_test(test_truncated),    cmocka_unit_test(test_flipped),
		cmocka_unit_test(test_header_words), cmocka_unit_test(test_open_strings),
		cmocka_unit_test(test_descriptors),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
