// SPDX-License-Identifier: GPL-2.0-or-later
/* user/inspect/site: which instruction of a prologue is probed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "elf_fixture.h"
#include "inspect/site.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const struct {
	const char *code;
	int offset; /* of the probed instruction */
	bool emulated;
	unsigned int frame; /* bytes of the stack that are taken before it */
} cases[] = {
	/* what the kernel emulates */
	{"pushq %rbx\nret", 0, true, 0},
	{"pushq %r15\nret", 0, true, 0},
	{"nop\nret", 0, true, 0},
	{"jmp 1f\nnop\n1: ret", 0, true, 0},
	{"jmp f0_@PLT", 0, true, 0},
	{"call f0_@PLT\nret", 0, true, 0},
	{"jne 1f\nnop\n1: ret", 0, true, 0},
	{".byte 0x0f, 0x85, 0, 0, 0, 0\nret", 0, true, 0}, /* jne, 32 bits */
	/* and what it does not */
	{"ret", 0, false, 0},
	{"pushq $1\nret", 0, false, 0},
	{"pushq (%rdi)\nret", 0, false, 0},
	{"pushw %bx\nret", 0, false, 0},
	{".byte 0x48, 0x53\nret", 0, false, 0}, /* push %rbx with a prefix too much */
	{".byte 0xff, 0xf3\nret", 0, false, 0}, /* push %rbx, the long form */
	{".byte 0x66, 0x90\nret", 0, false, 0},
	{"nopl (%rax)\nret", 0, false, 0}, /* older kernels do not */
	{"call *%rax\nret", 0, false, 0},
	{"jmp *(%rax)", 0, false, 0},
	{".byte 0x66, 0xe8, 0, 0, 0, 0\nret", 0, false, 0},
	{"jrcxz 1f\n1: ret", 0, false, 0},
	{"subq $8, %rsp\nret", 0, false, 0},
	{".byte 0x06", 0, false, 0}, /* no instruction */
	/* behind what runs once and leaves the arguments alone */
	{"endbr64\npushq %rbx\nret", 4, true, 0},
	{"endbr64\nsubq $8, %rsp\ncall f0_@PLT\nret", 8, true, 8},
	{"subq $24, %rsp\nsubq $0x100, %rsp\nnop\nret", 11, true, 280},
	{"pxor %xmm0, %xmm0\npushq %rbp\nret", 4, true, 0},
	{"movl %edi, %eax\npushq %rbx\nret", 2, true, 0},
	{"xorl %eax, %eax\njmp f0_@PLT", 2, true, 0},
	{"endbr64\nmovq (%rdi), %rax\npushq %rbx\nret", 7, true, 0},
	/* not behind what does not */
	{"subq %rax, %rsp\npushq %rbx\nret", 0, false, 0},
	{"subq $8, %rsp\nmovq %rbp, %rsp\npushq %rbx\nret", 0, false, 0},
	{"subq $8, %rsp\nret", 0, false, 0},
	{"endbr64\nmovl %esi, %edi\npushq %rbx\nret", 0, false, 0},
	{"endbr64\nxorl %esi, %esi\npushq %rbx\nret", 0, false, 0},
	{"endbr64\nleaq 8(%rdi), %rdi\npushq %rbx\nret", 0, false, 0},
	{"endbr64\nmovq %rbx, -8(%rsp)\npushq %rbx\nret", 0, false, 0},
	{"endbr64\nret\npushq %rbx", 0, false, 0},
	{"endbr64\nsyscall\npushq %rbx\nret", 0, false, 0},
	{"endbr64\nsubq $8, %rdi\npushq %rbx\nret", 0, false, 0},
	{"endbr64\nxchgq %rdi, %rax\npushq %rbx\nret", 0, false, 0},
	/* a loop: what is in it runs more than once per call */
	{"endbr64\n1: jne 1b\nret", 0, false, 0},
	{"endbr64\n1: movq (%rdi), %rax\ncall f0_@PLT\ntestq %rax, %rax\njne 1b\nret", 0, false, 0},
	{"endbr64\n2: jmp 1f\nnop\n1: loop 2b\nret", 0, false, 0},
	{"endbr64\n1: pushq %rbx\nret\n.fill 40, 1, 0x06\njmp 1b", 0, false, 0}, /* behind data */
	{"1: pushq %rbx\npopq %rbx\njmp 1b", 0, true, 0},
	{"endbr64\npushq %rbx\n1: jne 1b\nret", 4, true, 0},
	/* so it is, it may be, in a table of jumps */
	{"endbr64\npushq %rbx\njmp *%rax", 0, false, 0},
	{"endbr64\npushq %rbx\njmp *8(%rax,%rcx,8)", 0, false, 0},
	{"endbr64\npushq %rbx\njmp *8(%rip)", 4, true, 0}, /* another function */
	/* one part of a function is elsewhere, and jumps back */
	{"endbr64\n7: pushq %rbx\nret", 0, false, 0},
	{".byte 0x0f, 0x84\n.long 7b - . - 4\nret", 0, true, 0},
	{"endbr64\npushq %rbx\n7: ret", 4, true, 0}, /* behind the place */
	{".byte 0xe9\n.long 7b - . - 4", 0, true, 0},
	{"7: endbr64\npushq %rbx\nret", 4, true, 0}, /* to the entry: as another call */
	{".byte 0xe9\n.long 7b - . - 4", 0, true, 0},
};

#define RDI 7

/* Where the first argument may be in any register. */
static const struct {
	const char *code;
	int offset, first;
} moved[] = {
	/* as GCC 15 saves registers */
	{"endbr64\nsubq $24, %rsp\nmovq %r13, 8(%rsp)\nmovq %rdi, %r13\nleaq 8(%rip), %rdi\n"
	 "call f0_@PLT\nret",
	 23, 13},
	{"endbr64\nmovq %rbx, -8(%rsp)\nmovq %rdi, %rbx\nxorl %edi, %edi\nnop\nret", 14, 3},
	{"endbr64\nmovq %rbx, -8(%rsp)\nmovq %rdi, %rax\nmovq %rax, %rbp\nxorl %edi, %edi\n"
	 "movl $1, %eax\njne 1f\n1: ret",
	 22, 5},
	/* still where it was */
	{"endbr64\nmovq %rbx, -8(%rsp)\nmovl $1, %eax\ncall f0_@PLT\nret", 14, RDI},
	{"endbr64\npushq %rbx\nret", 4, RDI},
	/* in no register, or not all of it */
	{"endbr64\nmovq %rdi, -8(%rsp)\nxorl %edi, %edi\ncall f0_@PLT\nret", 0, RDI},
	{"endbr64\nmovq %rbx, -8(%rsp)\nmovl %edi, %ebx\nxorl %edi, %edi\nnop\nret", 0, RDI},
	{"endbr64\nmovq %rbx, -8(%rsp)\nleaq 8(%rdi), %rbx\nxorl %edi, %edi\nnop\nret", 0, RDI},
	{"endbr64\nmovq %rbx, -8(%rsp)\nmovq (%rdi), %rbx\nxorl %edi, %edi\nnop\nret", 0, RDI},
	{"endbr64\nmovq %rbx, -8(%rsp)\nmovq %rdi, %rbx\nxchgq %rdi, %rbx\nnop\nret", 0, RDI},
	{"endbr64\nmovq %rbx, -8(%rsp)\nmovq %rdi, %rax\nxorl %edi, %edi\ncpuid\nnop\nret", 0, RDI},
	/* the second is not where it was */
	{"endbr64\nmovq %rbx, -8(%rsp)\nmovq %rdi, %rbx\nmovl $1, %esi\nnop\nret", 0, RDI},
	{"endbr64\nmovq %rbx, -8(%rsp)\nmovq %rdi, %rbx\nleal 1(%rsi), %esi\nnop\nret", 0, RDI},
	/* memory may have been changed */
	{"endbr64\nmovq %rdi, %rbx\nmovq %rax, (%rdi)\nxorl %edi, %edi\nnop\nret", 0, RDI},
	{"endbr64\nmovq %rdi, %rbx\nincl (%rax)\nxorl %edi, %edi\nnop\nret", 0, RDI},
	{"endbr64\nmovq %rdi, %rbx\nmovb $0, 8(%rip)\nxorl %edi, %edi\nnop\nret", 0, RDI},
	{"endbr64\nmovq %rdi, %rbx\nrep stosq\nnop\nret", 0, RDI},
	/* it does not run once per call */
	{"endbr64\nmovq %rbx, -8(%rsp)\nmovq %rdi, %rbx\nxorl %edi, %edi\njrcxz 1f\nnop\n1: ret", 0,
	 RDI},
	{"endbr64\nmovq %rbx, -8(%rsp)\n1: movq %rdi, %rbx\nxorl %edi, %edi\nnop\njmp 1b", 0, RDI},
	{"endbr64\nmovq %rbx, -8(%rsp)\nmovq %rdi, %rbx\nxorl %edi, %edi\nnop\njmp *%rcx", 0, RDI},
	{"endbr64\nmovq %rbx, -8(%rsp)\nmovq %rdi, %rbx\n7: xorl %edi, %edi\nnop\nret", 0, RDI},
	{".byte 0xe9\n.long 7b - . - 4", 0, RDI},
	{"endbr64\nmovq %rdi, %rbx\nret", 0, RDI},
};

static void test_sites(void **state)
{
	static const char *bodies[COUNT(cases)];
	struct library library;
	struct elf_image image;
	char reason[256];

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++)
		bodies[i] = cases[i].code;
	library_assemble(&library, bodies, COUNT(cases));
	assert_int_equal(elf_image_open(&image, library.data, library.size, reason, sizeof(reason)),
			 0);
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct inspect_site site = {0};
		struct elf_function function;
		uint64_t offset;
		char name[16];

		snprintf(name, sizeof(name), "f%zu_", i);
		assert_int_equal(elf_image_function(&image, name, &function), 0);
		assert_int_equal(site_choose(&image, &function, false, &site), 0);
		if (site.address - site.function != (uint64_t)cases[i].offset ||
		    (site.kind == INSPECT_INSN_EMULATED) != cases[i].emulated)
			fail_msg("%s: +%d, %s", cases[i].code, (int)(site.address - site.function),
				 site.kind == INSPECT_INSN_EMULATED ? "emulated" : "stepped");
		assert_int_equal(site.frame, cases[i].frame);
		assert_string_equal(site.symbol, name);
		assert_int_equal(elf_image_offset(&image, site.address, &offset), 0);
		assert_true(site.file_offset == offset);
	}
	elf_image_close(&image);
	library_free(&library);
}

static void test_moved(void **state)
{
	static const char *bodies[COUNT(moved)];
	struct library library;
	struct elf_image image;
	char reason[256];

	(void)state;
	for (size_t i = 0; i < COUNT(moved); i++)
		bodies[i] = moved[i].code;
	library_assemble(&library, bodies, COUNT(moved));
	assert_int_equal(elf_image_open(&image, library.data, library.size, reason, sizeof(reason)),
			 0);
	for (size_t i = 0; i < COUNT(moved); i++) {
		struct inspect_site site = {0};
		struct elf_function function;
		char name[16];

		snprintf(name, sizeof(name), "f%zu_", i);
		assert_int_equal(elf_image_function(&image, name, &function), 0);
		assert_int_equal(site_choose(&image, &function, true, &site), 0);
		if (site.address - site.function != (uint64_t)moved[i].offset ||
		    site.first != moved[i].first)
			fail_msg("%s: +%d, in register %d", moved[i].code,
				 (int)(site.address - site.function), site.first);
	}
	elf_image_close(&image);
	library_free(&library);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sites),
		cmocka_unit_test(test_moved),
	};

	return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
