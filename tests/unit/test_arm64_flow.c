// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * user/inspect/arm64_flow.c: where AArch64 code leads, how it gets at thread-local state, and where
 * it is probed. test_inspect_code.c and test_inspect_site.c do that for x86-64.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "arm64_fixture.h"
#include "inspect/site.h"

/* --- guards -------------------------------------------------------------------------------------
 */

#define REST       "9: ldrb w0, [x19, #8]\nand w0, w0, #1\nret\n"
#define SET        "mov w8, #1\nstrb w8, [x19]\n"
#define INITIALISE SET REST
#define ELSEWHERE  REST "8: " SET "b 9b"

static const struct {
	const char *code;
	bool guard;
} guards[] = {
	{"ldrb w0, [x19]\ncbnz w0, 9f\n" INITIALISE, true},
	{"ldrb w0, [x19]\ncbnz x0, 9f\n" INITIALISE, true},
	{"ldrb w0, [x19]\ncbz w0, 8f\n" ELSEWHERE, true},
	{"ldrb w0, [x19]\ntbnz w0, #0, 9f\n" INITIALISE, true},
	{"ldrb w0, [x19]\ntbz w0, #0, 8f\n" ELSEWHERE, true},
	{"ldrb w0, [x19]\ncmp w0, #0\nb.ne 9f\n" INITIALISE, true},
	{"ldrb w0, [x19]\ncmp w0, #0\nb.eq 8f\n" ELSEWHERE, true},
	{"ldrb w0, [x19]\ncmp w0, wzr\nb.eq 8f\n" ELSEWHERE, true},
	{"ldrb w0, [x19]\ncmp w0, #0\nmov x9, x19\nadd x9, x9, #8\nldr x9, [x9]\nb.ne "
	 "9f\n" INITIALISE,
	 true},
	{"ldrsb w0, [x19]\ncbnz w0, 9f\n" INITIALISE, true},
	{"ldrb w0, [x19]\nuxtb w0, w0\ncbnz w0, 9f\n" INITIALISE, true},
	{"ldrb w0, [x19]\ncbnz w0, 9f\nmov w8, #1\nstrb w8, [x19, #8]\nstrb w8, [x19]\nstr xzr, "
	 "[x19, #16]\n" REST,
	 true},
	{"ldrb w0, [x19]\ncbnz w0, 9f\nmov x9, x19\nmov w8, #1\nsturb w8, [x9]\n" REST, true},
	{"ldrb w0, [x19]\ncbnz w0, 9f\nbl __cxa_thread_atexit\n" INITIALISE, true},
	/* the other way round; another byte; another value; behind the join */
	{"ldrb w0, [x19]\ncbz w0, 9f\n" INITIALISE, false},
	{"ldrb w0, [x19]\ntbz w0, #0, 9f\n" INITIALISE, false},
	{"ldrb w0, [x19]\ncmp w0, #0\nb.eq 9f\n" INITIALISE, false},
	{"ldrb w0, [x19]\ncbnz w0, 9f\nmov w8, #1\nstrb w8, [x19, #1]\n" REST, false},
	{"ldrb w0, [x19, #1]\ncbnz w0, 9f\n" INITIALISE, false},
	{"ldrb w0, [x19]\ncbnz w0, 9f\nmov w8, #2\nstrb w8, [x19]\n" REST, false},
	{"ldrb w0, [x19]\ncbnz w0, 9f\nstrb wzr, [x19]\n" REST, false},
	{"ldrb w0, [x19]\ncbnz w0, 9f\nstrb w10, [x19]\n" REST, false},
	{"ldrb w0, [x19]\ncbnz w0, 9f\nmov w8, #1\nmov x9, x19\nstrb w8, [x9], #0\n" REST, false},
	{"ldrb w0, [x19]\ncbnz w0, 9f\nnop\n9: mov w8, #1\nstrb w8, [x19]\nldrb w0, [x19, #8]\n"
	 "ret",
	 false},
	/* another bit, or more than the byte */
	{"ldrb w0, [x19]\ntbnz w0, #1, 9f\n" INITIALISE, false},
	{"ldrb w0, [x19]\ntbnz w0, #7, 9f\n" INITIALISE, false},
	{"ldrb w0, [x19]\nand w0, w0, #1\ncbnz w0, 9f\n" INITIALISE, false},
	{"ldrb w0, [x19]\nubfx w0, w0, #1, #1\ncbnz w0, 9f\n" INITIALISE, false},
	{"ldrh w0, [x19]\ncbnz w0, 9f\nmov w8, #1\nstrh w8, [x19]\n" REST, false},
	{"ldr w0, [x19]\ncbnz w0, 9f\n" INITIALISE, false},
	{"ldr x0, [x19]\ntbnz x0, #0, 9f\n" INITIALISE, false},
	{"ldrb w0, [x19]\ncbnz w0, 9f\nmov w8, #1\nstrh w8, [x19]\n" REST, false},
	{"ldrb w0, [x19]\ncbnz w0, 9f\nmov w8, #1\nstr w8, [x19]\n" REST, false},
	{"ldrb w0, [x19]\neor w0, w0, #1\ncbnz w0, 9f\n" INITIALISE, false},
	{"ldrb w0, [x19]\nmvn w0, w0\ntbnz w0, #0, 9f\n" INITIALISE, false},
	/* a comparison that is not with zero, or lost */
	{"ldrb w0, [x19]\ncmp w0, #2\nb.ne 9f\n" INITIALISE, false},
	{"ldrb w0, [x19]\ncmp w0, #1\nb.eq 9f\n" INITIALISE, false},
	{"ldrb w0, [x19]\ncmp w0, w9\nb.ne 9f\n" INITIALISE, false},
	{"ldrb w0, [x19]\ncmn w0, #0\nb.ne 9f\n" INITIALISE, false},
	{"ldrb w0, [x19]\ntst w0, #1\nb.ne 9f\n" INITIALISE, false},
	{"ldrb w0, [x19]\ncmp w0, #0\nb.lt 9f\n" INITIALISE, false},
	{"ldrb w0, [x19]\ncmp w0, #0\nb.gt 9f\n" INITIALISE, false},
	{"ldrb w0, [x19]\ncmp w0, #0\nb.hs 9f\n" INITIALISE, false},
	{"ldrb w0, [x19]\ncmp w0, #0\nb.mi 9f\n" INITIALISE, false},
	{"ldrb w0, [x19]\ncmp w0, #0\ncmp w0, #1\nb.ne 9f\n" INITIALISE, false},
	{"ldrb w0, [x19]\ncmp w0, #0\ncmp w9, #0\nb.ne 9f\n" INITIALISE, false},
	{"ldrb w0, [x19]\ncmp w0, #0\nadds x9, x9, #1\nb.ne 9f\n" INITIALISE, false},
	{"ldrb w0, [x19]\ncmp w0, #0\nsubs x9, x9, #1\nb.ne 9f\n" INITIALISE, false},
	{"ldrb w0, [x19]\ncmp w0, #0\nands x9, x9, #1\nb.ne 9f\n" INITIALISE, false},
	{"ldrb w0, [x19]\ncmp w0, #0\nbics x9, x9, x9\nb.ne 9f\n" INITIALISE, false},
	{"ldrb w0, [x19]\ncmp w0, #0\nadcs x9, x9, x9\nb.ne 9f\n" INITIALISE, false},
	{"ldrb w0, [x19]\ncmp w0, #0\nnegs x9, x9\nb.ne 9f\n" INITIALISE, false},
	{"ldrb w0, [x19]\ncmp w0, #0\ntst x9, #1\nb.ne 9f\n" INITIALISE, false},
	{"ldrb w0, [x19]\ncmp w0, #0\ncmn x9, #1\nb.ne 9f\n" INITIALISE, false},
	{"ldrb w0, [x19]\ncmp w0, #0\nccmp w9, #0, #0, eq\nb.ne 9f\n" INITIALISE, false},
	{"ldrb w0, [x19]\ncmp w0, #0\nccmn w9, #0, #4, ne\nb.ne 9f\n" INITIALISE, false},
	{"ldrb w0, [x19]\ncmp w0, #0\nfcmp d0, #0.0\nb.ne 9f\n" INITIALISE, false},
	{"ldrb w0, [x19]\ncmp w0, #0\nfccmp d0, d1, #4, eq\nb.ne 9f\n" INITIALISE, false},
	{"ldrb w0, [x19]\ncmp w0, #0\nmsr nzcv, x9\nb.ne 9f\n" INITIALISE, false},
	{"ldrb w0, [x19]\ncmp w0, #0\nbl keep\nb.ne 9f\n" INITIALISE, false},
	{"ldrb w0, [x19]\ncmp w0, #0\nblr x9\nb.ne 9f\n" INITIALISE, false},
	{"ldrb w0, [x19]\ncmp w0, #0\n" GET_DISTANCE "b.ne 9f\n" INITIALISE, false},
};

/* Guards: a byte compared with zero, and set to 1 where it is zero. Nothing else. */
static void test_guard(void **state)
{
	const char *codes[COUNT(guards)];
	struct code_trace trace;
	bool is_described;
	char **bodies;

	(void)state;
	for (size_t i = 0; i < COUNT(guards); i++)
		codes[i] = guards[i].code;
	bodies = assemble_each(GET_ADDRESS "mov x19, x0\n", codes, "", COUNT(guards));
	for (size_t i = 0; i < COUNT(guards); i++) {
		bool guard = false;

		walk(i, CODE_KEY_SECOND, &trace);
		if (!trace.result_loaded || offset_of(&trace.result.address, &is_described) != 72)
			fail_msg("%s: another result", guards[i].code);
		for (size_t j = 0; j < trace.count; j++)
			if (trace.access[j].kind == CODE_GUARD) {
				guard = true;
				assert_int_equal(offset_of(&trace.access[j].address, &is_described),
						 64);
			}
		if (guard != guards[i].guard || trace.unsure == guards[i].guard)
			fail_msg("%s: %d %d", guards[i].code, guard, trace.unsure);
		assert_true(trace.straight <= trace.count);
	}
	disassemble_each(bodies, COUNT(guards));
}

/* --- what is not followed -----------------------------------------------------------------------
 */

/* Behind these nobody knows whether the path goes on, or what happened meanwhile. */
static void test_unsure(void **state)
{
	static const char *const codes[] = {
		"b.eq 1f\n1:",
		"b.ne 1f\n1:",
		"b.ge 1f\nnop\n1:",
		"b.nv 1f\nnop\n1:",
		"cbz x8, 1f\n1:",
		"cbnz w8, 1f\n1:",
		"cbz xzr, 1f\n1:",
		"tbz w8, #0, 1f\n1:",
		"tbnz x8, #63, 1f\n1:",
		"1: cbnz x8, 1b",
		"blr x8",
		"blr x30",
		"blraaz x8",
		"bl elsewhere",
		"bl __cxa_thread_atexit",
		"adrp x8, :got:elsewhere\nldr x8, [x8, :got_lo12:elsewhere]\nblr x8",
		"svc #0",
		"hvc #0",
		"smc #0",
		"brk #0",
		"hlt #0",
		"dcps1",
		"drps",
		"eret",
		"udf #0",
		"udf #1",
		"br x8",
		"br x30",
		"braa x8, x9",
		"ret x8",
		"b elsewhere",
		".inst 0xffffffff",
		".inst 0xd4200001",
	};
	struct code_trace trace;
	char **bodies;

	(void)state;
	bodies = assemble_each(GET_ADDRESS "mov x19, x0\n", codes, "ldr x0, [x19]\nret",
			       COUNT(codes));
	for (size_t i = 0; i < COUNT(codes); i++) {
		walk(i, CODE_KEY_SECOND, &trace);
		if (trace.straight || (trace.returned && !trace.unsure))
			fail_msg("%s", codes[i]);
	}
	disassemble_each(bodies, COUNT(codes));
}

/* Functions of the same file, by whatever way they are called, and jumps are. */
static void test_followed(void **state)
{
	static const char *const bodies[] = {
		GET_ADDRESS "mov x8, x0\nmov x19, #1\nret",
		"mov x19, x30\nbl f0_\nldr x0, [x0, #8]\nmov x30, x19\nret",
		"adrp x8, :got:f0_\nldr x8, [x8, :got_lo12:f0_]\nblr x8\nldr x0, [x0, #8]\nret",
		"bl 1f\nldr x0, [x0, #8]\nret\n1: b f0_",
		"bl f0_\nb 1f\nbrk #0\n1: ldr x0, [x0, #8]\nret",
		"bl f0_\nb.al 1f\nbrk #0\n1: ldr x0, [x0, #8]\nret",
		GET_ADDRESS "mov x19, x0\nbl f0_\nldr x0, [x19, #8]\nret",
	};
	struct code_trace trace;
	bool is_described;

	(void)state;
	assemble(bodies, COUNT(bodies));
	walk(0, CODE_KEY_NONE, &trace);
	assert_true(trace.result_address);
	for (size_t i = 1; i < COUNT(bodies); i++) {
		walk(i, CODE_KEY_NONE, &trace);
		if (trace.unsure || !trace.result_loaded || trace.count != 1)
			fail_msg("%s", bodies[i]);
		assert_int_equal(offset_of(&trace.result.address, &is_described), 72);
	}
	disassemble();
}

/* Stubs that the linker did not make: only those of its form are taken for one. */
static void test_stubs(void **state)
{
#define SLOT         "adrp x16, :got:f0_\n"
#define LOAD         "ldr x17, [x16, :got_lo12:f0_]\n"
#define REST_OF_STUB "add x16, x16, #8\nbr x17"
	static const struct {
		const char *code;
		bool followed;
	} cases[] = {
		{SLOT LOAD REST_OF_STUB, true},
		{"bti c\n" SLOT LOAD REST_OF_STUB, true},
		{"nop\n" SLOT LOAD "add x16, x16, #8\nautia1716\nbr x17", true},
		{SLOT LOAD "br x17", true},
		{"adrp x17, .\n" LOAD "br x17", false},
		{SLOT "br x17", false},
		{SLOT LOAD "br x16", false},
		{SLOT LOAD "add x0, x0, #8\nbr x17", false},
		{SLOT "ldr x17, [x16, #8]!\nbr x17", false},
		{SLOT "ldr x17, [x16, x8]\nbr x17", false},
		{SLOT "ldr w17, [x16]\nbr x17", false},
		{SLOT "ldr x8, [x16, :got_lo12:f0_]\nbr x17", false},
		{SLOT LOAD "blr x17", false},
		{SLOT LOAD "nop\nnop\nnop\nnop\nbr x17", false},
	};
	const char *bodies[COUNT(cases) + 1] = {GET_ADDRESS "ret"};
	char text[COUNT(cases)][300];
	struct code_trace trace;

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		snprintf(text[i], sizeof(text[i]), "bl 1f\nret\n1: %s\n", cases[i].code);
		bodies[i + 1] = text[i];
	}
	assemble(bodies, COUNT(bodies));
	for (size_t i = 0; i < COUNT(cases); i++) {
		walk(i + 1, CODE_KEY_NONE, &trace);
		if (trace.result_address != cases[i].followed || trace.unsure == cases[i].followed)
			fail_msg("%s: %d %d", cases[i].code, trace.result_address, trace.unsure);
	}
	disassemble();
}

/* Loops, recursion, nothing there. */
static void test_ends(void **state)
{
	static const char *const bodies[] = {
		"1: b 1b",
		"bl f1_\nret",
		"b f2_",
		"bl 1f\n1: bl 1b\nret",
		"1: " GET_ADDRESS "ldrb w0, [x0]\ncbz w0, 1b\nb 1b",
		"1: " GET_ADDRESS "ldrb w0, [x0]\ntbnz w0, #0, 1b\nb 1b",
		"adrp x8, :got:f6_\nldr x8, [x8, :got_lo12:f6_]\nblr x8\nret",
		".inst 0",
		".byte 0x1f, 0x20",
		".balign 4\n.fill 1000, 4, 0xd503201f",
	};
	struct code_trace trace;

	(void)state;
	assemble(bodies, COUNT(bodies));
	for (size_t i = 0; i < COUNT(bodies); i++) {
		walk(i, CODE_KEY_SECOND, &trace);
		assert_false(trace.result_loaded || trace.result_address);
	}
	assert_int_equal(code_walk(&image, 1ull << 40, CODE_KEY_NONE, &trace), -ENOENT);
	assert_int_equal(code_walk(&image, UINT64_MAX, CODE_KEY_NONE, &trace), -ENOENT);
	disassemble();
}

/* --- ways to thread-local state -----------------------------------------------------------------
 */

#define PAGE "adrp x0, :tlsdesc:variable\n"
#define WORD "ldr x1, [x0, :tlsdesc_lo12:variable]\n"
#define PAIR "add x0, x0, :tlsdesc_lo12:variable\n"
#define ASK  ".tlsdesccall variable\nblr x1\n"
#define SUM  "add x0, x20, x0\n"

enum result { NOTHING, ADDRESS, LOADED };

static const struct {
	const char *code;
	enum result result;
	int offset; /* in the block, of what is returned */
	bool unsure, doubt;
} descriptors[] = {
	{GET_DISTANCE SUM, ADDRESS, 64, false, false},
	{GET_DISTANCE "add x0, x0, x20", ADDRESS, 64, false, false},
	{GET_DISTANCE "add x0, x0, #8\n" SUM, ADDRESS, 72, false, false},
	{GET_DISTANCE "sub x0, x0, #8\nadd x0, x20, x0, uxtx", ADDRESS, 56, false, false},
	{GET_DISTANCE "mov x8, x0\nmrs x9, tpidr_el0\nadd x0, x9, x8", ADDRESS, 64, false, false},
	{GET_DISTANCE "ldr x0, [x20, x0]", LOADED, 64, false, false},
	{GET_DISTANCE "add x0, x0, #8\nldrb w0, [x0, x20]", LOADED, 72, false, false},
	{PAGE "mov x8, x0\nldr x1, [x8, :tlsdesc_lo12:variable]\n" PAIR ASK SUM, ADDRESS, 64, false,
	 false},
	{PAGE PAIR "ldr x1, [x0]\n" ASK SUM, ADDRESS, 64, false, false},
	{PAGE WORD PAIR "mov x9, x1\nblr x9\n" SUM, ADDRESS, 64, false, false},
	/* the registers that are kept, and those that are not */
	{GET_DISTANCE SUM "mov x2, x0\n" GET_DISTANCE "mov x0, x2", ADDRESS, 64, false, false},
	{GET_DISTANCE SUM "mov x17, x0\n" GET_DISTANCE "mov x0, x17", ADDRESS, 64, false, false},
	{GET_DISTANCE SUM "mov x30, x0\n" GET_DISTANCE "mov x0, x30", NOTHING, 0, false, false},
	/* what was asked is not what x0 says, or not known at all */
	{PAGE WORD "mov x0, x8\n" ASK SUM, NOTHING, 0, true, true},
	{PAGE WORD PAIR "add x0, x0, #16\n" ASK SUM, NOTHING, 0, true, true},
	{PAGE WORD PAIR "mov w0, w0\nadd x0, x0, x8\n" ASK SUM, NOTHING, 0, true, true},
	{PAGE "ldr x1, [x0]\n" PAIR "add x1, x1, #0\nblr x8\n" SUM, NOTHING, 0, true, true},
	{PAGE "ldr w1, [x0, :tlsdesc_lo12:variable]\n" PAIR ASK SUM, NOTHING, 0, true, true},
	{PAGE WORD PAIR "add x1, x1, #4\n" ASK SUM, NOTHING, 0, true, true},
	{"adrp x8, :tlsdesc:end\nldr x1, [x8, :tlsdesc_lo12:end]\n" PAGE PAIR ASK SUM, NOTHING, 0,
	 true, true},
	{PAGE WORD PAIR ASK "mov w0, w0\n" SUM, NOTHING, 0, false, true},
	/* not added to the thread pointer, or more than once, or otherwise */
	{GET_DISTANCE, NOTHING, 0, false, false},
	{GET_DISTANCE "ldr x0, [x0]", NOTHING, 0, false, false},
	{GET_DISTANCE "strb wzr, [x0]", NOTHING, 0, false, false},
	{GET_DISTANCE SUM SUM, NOTHING, 0, false, true},
	{GET_DISTANCE SUM "ldr x0, [x20, x0]", NOTHING, 0, false, true},
	{GET_DISTANCE "add x0, x0, x0\n" SUM, NOTHING, 0, false, true},
	{GET_DISTANCE "add x0, x20, x0, lsl #1", NOTHING, 0, false, true},
	{GET_DISTANCE "add x0, x20, w0, uxtw", NOTHING, 0, false, true},
	{GET_DISTANCE "add w0, w20, w0", NOTHING, 0, false, false},
	{GET_DISTANCE "sub x0, x20, x0", NOTHING, 0, false, true},
	{GET_DISTANCE "sub x0, x0, x20", NOTHING, 0, false, false},
	{GET_DISTANCE "mov x8, #2\nmul x0, x0, x8\n" SUM, NOTHING, 0, false, true},
	{GET_DISTANCE SUM "sub x0, x0, x20", NOTHING, 0, false, false},
};

/* TLS descriptors: a distance, which is of use only behind the thread pointer. */
static void test_descriptors(void **state)
{
	const char *codes[COUNT(descriptors)];
	struct code_trace trace;
	bool is_described;
	char **bodies;

	(void)state;
	for (size_t i = 0; i < COUNT(descriptors); i++)
		codes[i] = descriptors[i].code;
	bodies = assemble_each(GET_THREAD, codes, "ret", COUNT(descriptors));
	for (size_t i = 0; i < COUNT(descriptors); i++) {
		enum result result;

		walk(i, CODE_KEY_NONE, &trace);
		result = trace.result_address ? ADDRESS : trace.result_loaded ? LOADED : NOTHING;
		if (result != descriptors[i].result || trace.unsure != descriptors[i].unsure ||
		    !trace.returned || trace.count != (result == LOADED))
			fail_msg("%s: %d, %d", codes[i], result, trace.unsure);
		if (!strstr(trace.doubt, "thread pointer") == descriptors[i].doubt)
			fail_msg("%s: \"%s\"", codes[i], trace.doubt);
		if (!result)
			continue;
		if (offset_of(&trace.result.address, &is_described) !=
		    (uint64_t)descriptors[i].offset)
			fail_msg("%s: another offset", codes[i]);
		assert_true(is_described);
	}
	disassemble_each(bodies, COUNT(descriptors));
}

/* Initial-exec and local-exec: the distance is a number, and nobody says of what. */
static void test_thread_pointer(void **state)
{
	static const char *const codes[] = {
		"adrp x0, :gottprel:variable\nldr x0, [x0, :gottprel_lo12:variable]\n" SUM
		"ldr x0, [x0]",
		"adrp x0, :gottprel:variable\nldr x0, [x0, :gottprel_lo12:variable]\n"
		"ldr x0, [x20, x0]",
		"add x0, x20, #0, lsl #12\nadd x0, x0, #16",
		"sub x0, x20, #16",
		"ldr x0, [x20, #16]",
		"strb wzr, [x20, #16]",
		"mov x8, #16\nmov x9, #2\nmadd x0, x8, x9, x20",
	};
	struct code_trace trace;
	char **bodies;

	(void)state;
	bodies = assemble_each(GET_THREAD, codes, "ret", COUNT(codes));
	for (size_t i = 0; i < COUNT(codes); i++) {
		walk(i, CODE_KEY_NONE, &trace);
		assert_true(trace.returned && !trace.unsure && !trace.count);
		if (trace.result_address || trace.result_loaded ||
		    !strstr(trace.doubt, "thread pointer"))
			fail_msg("%s: \"%s\"", codes[i], trace.doubt);
	}
	disassemble_each(bodies, COUNT(codes));
}

/* The traditional dialect: __tls_get_addr returns the address. */
static void test_traditional(void **state)
{
#define GET "adrp x0, :tlsgd:variable\nadd x0, x0, :tlsgd_lo12:variable\nbl __tls_get_addr\nnop\n"
	static const char *const bodies[] = {
		GET "ret",
		"mov x19, #8\n" GET "add x0, x0, x19\nsub x0, x0, #8\nret",
		"mov x2, #0\n" GET "add x0, x0, x2\nret",
		"adrp x0, :tlsgd:variable\nadd x0, x0, x8\nbl __tls_get_addr\nret",
	};
	struct code_trace trace;
	bool is_described;

	(void)state;
	assemble(bodies, COUNT(bodies));
	for (size_t i = 0; i < COUNT(bodies); i++) {
		walk(i, CODE_KEY_NONE, &trace);
		assert_true(trace.returned && !trace.unsure);
		if (trace.result_address != (i < 2))
			fail_msg("%s", bodies[i]);
		if (i > 1)
			continue;
		assert_int_equal(offset_of(&trace.result.address, &is_described), 64);
		assert_false(is_described);
	}
	disassemble();
}

/* --- probing ------------------------------------------------------------------------------------
 */

static const struct {
	const char *code;
	int offset; /* of the probed instruction */
	bool emulated;
} sites[] = {
	/* what the kernel emulates */
	{"adrp x0, .\nret", 0, true},
	{"adr x1, .\nret", 0, true},
	{"b 1f\nnop\n1: ret", 0, true},
	{"b f0_", 0, true},
	{"bl f0_\nret", 0, true},
	{"cbz x0, 1f\nnop\n1: ret", 0, true},
	{"cbnz w0, 1f\nnop\n1: ret", 0, true},
	{"tbz w0, #3, 1f\nnop\n1: ret", 0, true},
	{"tbnz x0, #40, 1f\nnop\n1: ret", 0, true},
	{"b.ne 1f\nnop\n1: ret", 0, true},
	{"b.lt 1f\nnop\n1: ret", 0, true},
	/* and what it does not */
	{"ret", 0, false},
	{"nop\nret", 0, false},
	{"br x8", 0, false},
	{"blr x8\nret", 0, false},
	{"sub sp, sp, #16\nret", 0, false},
	{"stp x29, x30, [sp, #-16]!\nldp x29, x30, [sp], #16\nret", 0, false},
	{"add x0, x0, #8\nret", 0, false},
	{".inst 0", 0, false}, /* no instruction */
	/* behind what runs once and leaves the arguments alone */
	{"paciasp\nstp x29, x30, [sp, #-32]!\nmov x29, sp\nadrp x0, .\nret", 12, true},
	{"bti c\nb f0_", 4, true},
	{"bti c\nadr x0, .\nret", 4, true},
	{"hint #0\nyield\nbl f0_\nret", 8, true},
	{"sub sp, sp, #32\nstr x19, [sp]\nstp x29, x30, [sp, #16]\nbl f0_\nret", 12, true},
	{"str x30, [sp, #-16]!\ncbz x0, 1f\n1: ret", 4, true},
	{"stp d8, d9, [sp, #-16]!\ntbz w1, #0, 1f\n1: ret", 4, true},
	{"str q8, [sp, #-16]!\nb.eq 1f\n1: ret", 4, true},
	{"stp x0, x1, [sp]\nbl f0_\nret", 4, true},
	{"str x8, [x0]\nadrp x8, .\nret", 4, true},
	{"str x8, [x1, #8]\nadrp x8, .\nret", 4, true},
	{"mov x19, x0\nmov w20, w1\nadrp x0, .\nret", 8, true},
	{"mov x2, #0\nmov w8, #-1\nadrp x0, .\nret", 8, true},
	{"mrs x19, tpidr_el0\nadrp x0, .\nret", 4, true},
	{"sxtb w19, w1\nadrp x0, .\nret", 4, true},
	{"sxtw x2, w1\nadrp x0, .\nret", 4, true},
	{"uxtb w2, w1\nadrp x0, .\nret", 4, true},
	{"and w19, w1, #0xff\nadrp x0, .\nret", 4, true},
	{"nop\nnop\nnop\nnop\nnop\nnop\nnop\nb f0_", 28, true},
	{"nop\nnop\nnop\nnop\nnop\nnop\nnop\nnop\nb f0_", 0, false},
	/* not behind what does not */
	{"mov x0, x19\nadrp x8, .\nret", 0, false},
	{"mov w0, w0\nadrp x8, .\nret", 0, false},
	{"mov w1, #1\nadrp x8, .\nret", 0, false},
	{"mov x1, v0.d[0]\nadrp x8, .\nret", 0, false},
	{"movk x1, #1\nadrp x8, .\nret", 0, false},
	{"movn x0, #0\nadrp x8, .\nret", 0, false},
	{"sub x0, x0, #8\nadrp x8, .\nret", 0, false},
	{"sub w1, w1, w2\nadrp x8, .\nret", 0, false},
	{"add x1, x1, #8\nadrp x8, .\nret", 0, false},
	{"sxtb w1, w1\nadrp x8, .\nret", 0, false},
	{"sxtw x1, w1\nadrp x8, .\nret", 0, false},
	{"uxtb w1, w1\nadrp x8, .\nret", 0, false},
	{"and w1, w1, #0xff\nadrp x8, .\nret", 0, false},
	{"and x0, x0, #-16\nadrp x8, .\nret", 0, false},
	{"mrs x0, tpidr_el0\nadrp x8, .\nret", 0, false},
	{"mrs x1, nzcv\nadrp x8, .\nret", 0, false},
	{"str x8, [x0], #8\nadrp x8, .\nret", 0, false},
	{"str x8, [x1, #8]!\nadrp x8, .\nret", 0, false},
	{"str q0, [x0], #16\nadrp x8, .\nret", 0, false},
	{"stp x8, x9, [x0], #16\nadrp x8, .\nret", 0, false},
	{"stp x8, x9, [x1, #-16]!\nadrp x8, .\nret", 0, false},
	{"strb w8, [x0], #1\nadrp x8, .\nret", 0, false},
	{"stxr w1, x8, [x9]\nadrp x8, .\nret", 0, false},
	{"st1 {v0.16b}, [x0], #16\nadrp x8, .\nret", 0, false},
	{"swp x8, x0, [x9]\nadrp x8, .\nret", 0, false},
	{"ldr x0, [x0]\nadrp x8, .\nret", 0, false},
	{"ldr x8, [x0]\nadrp x8, .\nret", 0, false},
	{"ldp x0, x1, [sp]\nadrp x8, .\nret", 0, false},
	{"orr x0, x0, #1\nadrp x8, .\nret", 0, false},
	{"csel x0, x0, x1, eq\nadrp x8, .\nret", 0, false},
	{"fmov x0, d0\nadrp x8, .\nret", 0, false},
	{"svc #0\nadrp x8, .\nret", 0, false},
	{"brk #0\nadrp x8, .\nret", 0, false},
	{"blr x8\nadrp x8, .\nret", 0, false},
	{"nop\nret\nadrp x8, .", 0, false},
	/* a loop: what is in it runs more than once per call */
	{"nop\n1: b.ne 1b\nret", 0, false},
	{"nop\n1: mov x19, x0\nbl f0_\ncbnz x0, 1b\nret", 0, false},
	{"nop\n1: bl f0_\nadrp x8, .\ntbz x0, #5, 1b\nret", 0, false},
	{"nop\n2: b 1f\nnop\n1: cbz x8, 2b\nret", 0, false},
	{"nop\nadrp x8, .\n1: nop\nbl 1b\nb .-12\nret", 0, false},
	{"1: b 1b", 0, true},
	{"nop\nadrp x8, .\n1: b.ne 1b\nret", 4, true},
	{"nop\nb 1f\n1: tbnz x8, #1, 1b\nret", 4, true},
};

/* Which instruction of a prologue is probed. */
static void test_sites(void **state)
{
	const char *bodies[COUNT(sites)];

	(void)state;
	for (size_t i = 0; i < COUNT(sites); i++)
		bodies[i] = sites[i].code;
	assemble(bodies, COUNT(sites));
	for (size_t i = 0; i < COUNT(sites); i++) {
		struct inspect_site site = {0};
		struct elf_function function;
		uint64_t offset;

		find(i, &function);
		assert_int_equal(site_choose(&image, &function, true, &site), 0);
		if (site.address - site.function != (uint64_t)sites[i].offset ||
		    (site.kind == INSPECT_INSN_EMULATED) != sites[i].emulated)
			fail_msg("%s: +%d, %s", sites[i].code, (int)(site.address - site.function),
				 site.kind == INSPECT_INSN_EMULATED ? "emulated" : "stepped");
		assert_string_equal(site.symbol, function.name);
		assert_int_equal(elf_image_offset(&image, site.address, &offset), 0);
		assert_true(site.file_offset == offset);
	}
	disassemble();
}
int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_guard),          cmocka_unit_test(test_unsure),
		cmocka_unit_test(test_followed),       cmocka_unit_test(test_stubs),
		cmocka_unit_test(test_ends),           cmocka_unit_test(test_descriptors),
		cmocka_unit_test(test_thread_pointer), cmocka_unit_test(test_traditional),
		cmocka_unit_test(test_sites),
	};

	return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
