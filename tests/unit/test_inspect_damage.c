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
	assert_true(abi->tls_pair && abi->grad_mask);
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

/* Makes *library longer by size bytes, and returns where they begin. */
static uint64_t lengthen(struct library *library, size_t size)
{
	uint64_t start = (library->size + 15) & ~15ull;
	uint8_t *data = calloc(1, start + size);

	assert_non_null(data);
	memcpy(data, library->data, library->size);
	free(library->data);
	library->data = data;
	library->size = start + size;
	return start;
}

/*
 * Thousands of sections of one kind over the same megabytes, at an odd address: what is done for
 * each would take minutes, and gigabytes where libelf makes a copy to align it.
 */
static void check_sections(uint32_t kind, const void *filler, size_t filler_size)
{
	enum { SECTIONS = 20000, BYTES = 8 << 20 };
	struct library library;
	struct inspect_plan plan;
	uint64_t bytes, table, start;
	Elf64_Ehdr *header;
	Elf64_Shdr *section;
	int kept;

	library_read(&library, keyed.path);
	bytes = lengthen(&library, BYTES);
	for (size_t at = 1; at + filler_size < BYTES; at += filler_size)
		memcpy(library.data + bytes + at, filler, filler_size);
	kept = ((const Elf64_Ehdr *)library.data)->e_shnum;
	table = lengthen(&library, (size_t)(kept + SECTIONS) * sizeof(*section));
	header = (Elf64_Ehdr *)library.data;
	section = (Elf64_Shdr *)(library.data + table);
	memcpy(section, library.data + header->e_shoff, (size_t)kept * sizeof(*section));
	for (int i = 0; i < SECTIONS; i++)
		section[kept + i] = (Elf64_Shdr){
			.sh_type = kind,
			.sh_offset = bytes + 1,
			.sh_size = BYTES - 1,
			.sh_addralign = 8,
			.sh_entsize = filler_size,
		};
	header->e_shoff = table;
	header->e_shnum = (uint16_t)(kept + SECTIONS);
	start = clock_monotonic();
	assert_int_equal(plan_of(library.data, library.size, &plan), 0);
	assert_true(plan.abi.certain);
	assert_string_equal(plan.soname, "libc10.so");
	assert_true(clock_monotonic() - start < 5ull * 1000000000);
	library_free(&library);
}

static void test_many_sections(void **state)
{
	static const Elf64_Rela rela = {.r_offset = 1};
	static const Elf64_Dyn dyn = {.d_tag = 0x70000000};
	static const Elf64_Nhdr note = {.n_type = 99};

	(void)state;
	check_sections(SHT_RELA, &rela, sizeof(rela));
	check_sections(SHT_DYNAMIC, &dyn, sizeof(dyn));
	check_sections(SHT_NOTE, &note, sizeof(note));
}

/* Section 0 can tell of four billion sections; libelf would make room for as many. */
static void test_extended_numbering(void **state)
{
	uint8_t *copy = malloc(keyed.size);

	(void)state;
	assert_non_null(copy);
	memcpy(copy, keyed.data, keyed.size);
	((Elf64_Ehdr *)copy)->e_shnum = 0;
	assert_non_null(strstr(refused(copy, keyed.size, -ENOEXEC), "too many sections"));
	free(copy);
}

/* The program header of this type. */
static Elf64_Phdr *segment(uint8_t *image, uint32_t type)
{
	const Elf64_Ehdr *header = (const Elf64_Ehdr *)image;
	Elf64_Phdr *segments = (Elf64_Phdr *)(image + header->e_phoff);

	for (int i = 0; i < header->e_phnum; i++)
		if (segments[i].p_type == type)
			return &segments[i];
	fail_msg("no segment of type %u", type);
	return NULL;
}

/* The dynamic section tells wrong: every entry at its extremes, or there is none. */
static void test_dynamic(void **state)
{
	static const uint64_t extremes[] = {0, 1, 0x1000, INT64_MAX, UINT64_MAX - 7, UINT64_MAX};
	uint8_t *copy = malloc(keyed.size);
	struct inspect_plan plan;
	Elf64_Phdr *dynamic;

	(void)state;
	assert_non_null(copy);
	memcpy(copy, keyed.data, keyed.size);
	dynamic = segment(copy, PT_DYNAMIC);
	for (uint64_t i = 0; i < dynamic->p_filesz / sizeof(Elf64_Dyn); i++)
		for (size_t e = 0; e < COUNT(extremes); e++) {
			Elf64_Dyn *entries = (Elf64_Dyn *)(copy + dynamic->p_offset);
			uint64_t right = entries[i].d_un.d_val;

			entries[i].d_un.d_val = extremes[e];
			check(copy, keyed.size);
			entries[i].d_un.d_val = right;
		}
	dynamic->p_type = PT_NULL;
	assert_int_equal(plan_of(copy, keyed.size, &plan), 0);
	assert_true(!plan.abi.certain && !plan.soname[0]);
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
	assert_int_equal(truncate(path, (64ll << 20) + 1), 0);
	check_fd(open(path, O_RDONLY | O_CLOEXEC), -EFBIG, "64 MiB");

	struct inspect_plan plan;
	char reason[256] = "";
	assert_int_equal(inspect_plan_fd(-1, &plan, reason, sizeof(reason)), -EBADF);
	assert_true(reason[0]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_not_elf),       cmocka_unit_test(test_machine),
		cmocka_unit_test(test_truncated),     cmocka_unit_test(test_flipped),
		cmocka_unit_test(test_header_words),  cmocka_unit_test(test_open_strings),
		cmocka_unit_test(test_many_sections), cmocka_unit_test(test_extended_numbering),
		cmocka_unit_test(test_dynamic),       cmocka_unit_test(test_descriptors),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
