// SPDX-License-Identifier: GPL-2.0-or-later
/* user/inspect/code: single x86-64 instructions that change a tracked value. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "elf_fixture.h"
#include "inspect/code.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static struct library library;
static struct elf_image image;

static void assemble(const char *const *bodies, size_t count)
{
	char reason[256];

	library_assemble(&library, bodies, count);
	assert_int_equal(elf_image_open(&image, library.data, library.size, reason, sizeof(reason)),
			 0);
}

static void disassemble(void)
{
	elf_image_close(&image);
	library_free(&library);
}

static void walk(size_t number, struct code_trace *trace)
{
	struct elf_function function;
	char name[16];

	snprintf(name, sizeof(name), "f%zu_", number);
	assert_int_equal(elf_image_function(&image, name, &function), 0);
	assert_int_equal(code_walk(&image, function.address, CODE_KEY_SECOND, trace), 0);
}

#define GET_ADDRESS                                                                                \
	".byte 0x66\nleaq variable@tlsgd(%rip), %rdi\n.value 0x6666\nrex64\n"                      \
	"call __tls_get_addr@PLT\n"

struct change {
	const char *code;     /* of one instruction or a few */
	const char *reg;      /* that holds the variable's address before it */
	bool known;           /* whether that is still so, moved by ... */
	int64_t displacement; /* ... this */
};

static const struct change changes[] = {
	/* what is understood */
	{"nop", "%rax", true, 0},
	{"endbr64", "%rcx", true, 0},
	{"addq $5, %rbx", "%rbx", true, 5},
	{"subq $5, %r12", "%r12", true, -5},
	{"movl $7, %r8d\naddq %r8, %rcx", "%rcx", true, 7},
	{"movl $-1, %r8d\naddq %r8, %rcx", "%rcx", true, 0xffffffffll},
	{"movq $-1, %r8\naddq %r8, %rcx", "%rcx", true, -1},
	{"movl $0x180, %r8d\nmovsbq %r8b, %r8\naddq %r8, %rcx", "%rcx", true, -128},
	{"movl $0x180, %r8d\nmovzbl %r8b, %r8d\naddq %r8, %rcx", "%rcx", true, 128},
	{"movl $-2, %r8d\nmovslq %r8d, %r8\naddq %r8, %rcx", "%rcx", true, -2},
	{"movl $3, %r8d\nshlq $3, %r8\naddq %r8, %rcx", "%rcx", true, 24},
	{"movl $3, %r8d\nimulq $24, %r8, %r8\naddq %r8, %rcx", "%rcx", true, 72},
	{"movl $0x40000000, %r8d\nshll $2, %r8d\naddq %r8, %rcx", "%rcx", true, 0},
	{"movl $2, %r8d\nleaq 8(%rdx,%r8,4), %rdx", "%rdx", true, 16},
	{"pushq %rbx", "%rbx", true, 0},
	{"testq %rbx, %rbx", "%rbx", true, 0},
	{"cmpq $0, %rbx", "%rbx", true, 0},
	{"xorl %r8d, %r8d", "%rbx", true, 0},
	/* parts of a register */
	{"movb $0, %al", "%rax", false, 0},
	{"movb $0, %ah", "%rax", false, 0},
	{"movw $0, %bx", "%rbx", false, 0},
	{"movl %ebx, %ebx", "%rbx", false, 0},
	{"movl %ebx, %ecx", "%rcx", false, 0},
	{"addl $4, %ebx", "%rbx", false, 0},
	{"addb $4, %bh", "%rbx", false, 0},
	{"leal 4(%rbx), %ebx", "%rbx", false, 0},
	{"leaq 4(%ebx), %rbx", "%rbx", false, 0},
	{"movslq %ebx, %rbx", "%rbx", false, 0},
	{"movzbl %bl, %ebx", "%rbx", false, 0},
	{"cltq", "%rax", false, 0},
	{"cwtl", "%rax", false, 0},
	{"movl $3, %r8d\nmovb $9, %r8b\naddq %r8, %rbx", "%rbx", false, 0},
	/* arithmetic */
	{"andq $-16, %rbx", "%rbx", false, 0},
	{"andl $1, %ebx", "%rbx", false, 0},
	{"orq $8, %rbx", "%rbx", false, 0},
	{"xorq $8, %rbx", "%rbx", false, 0},
	{"xorl %ebx, %ebx", "%rbx", false, 0},
	{"notq %rbx", "%rbx", false, 0},
	{"negq %rbx", "%rbx", false, 0},
	{"incq %rbx", "%rbx", false, 0},
	{"decq %rbx", "%rbx", false, 0},
	{"adcq $0, %rbx", "%rbx", false, 0},
	{"sbbq $0, %rbx", "%rbx", false, 0},
	{"shlq %rbx", "%rbx", false, 0},
	{"shlq $1, %rbx", "%rbx", false, 0},
	{"shlq %cl, %rbx", "%rbx", false, 0},
	{"shrq $4, %rbx", "%rbx", false, 0},
	{"sarq $4, %rbx", "%rbx", false, 0},
	{"rolq $4, %rbx", "%rbx", false, 0},
	{"shldq $4, %rcx, %rbx", "%rbx", false, 0},
	{"imulq %rcx, %rbx", "%rbx", false, 0},
	{"imulq $2, %rbx, %rbx", "%rbx", false, 0},
	{"imulq %rcx", "%rax", false, 0},
	{"mulq %rcx", "%rdx", false, 0},
	{"divq %rcx", "%rdx", false, 0},
	{"divq %rcx", "%rax", false, 0},
	{"cqto", "%rdx", false, 0},
	{"cltd", "%rdx", false, 0},
	{"bswapq %rbx", "%rbx", false, 0},
	{"btsq $3, %rbx", "%rbx", false, 0},
	{"bsfq %rcx, %rbx", "%rbx", false, 0},
	{"popcntq %rcx, %rbx", "%rbx", false, 0},
	{"tzcntq %rcx, %rbx", "%rbx", false, 0},
	{"andnq %rcx, %rdx, %rbx", "%rbx", false, 0},
	{"shlxq %rcx, %rdx, %rbx", "%rbx", false, 0},
	{"bextrq %rcx, %rdx, %rbx", "%rbx", false, 0},
	{"blsrq %rcx, %rbx", "%rbx", false, 0},
	{"rorxq $3, %rcx, %rbx", "%rbx", false, 0},
	{"mulxq %rcx, %r8, %rbx", "%rbx", false, 0},
	{"mulxq %rcx, %rbx, %r8", "%rbx", false, 0},
	{"pdepq %rcx, %rdx, %rbx", "%rbx", false, 0},
	{"adcxq %rcx, %rbx", "%rbx", false, 0},
	/* exchange, conditions, implicit results */
	{"xchgq %rbx, %r8", "%rbx", false, 0},
	{"xchgq %r8, %rbx", "%rbx", false, 0},
	{"xchgq %rax, %r8", "%rax", false, 0},
	{"xchgq (%rsp), %rbx", "%rbx", false, 0},
	{"xaddq %rbx, %r8", "%rbx", false, 0},
	{"xaddq %r8, %rbx", "%rbx", false, 0},
	{"lock xaddq %rbx, (%rsp)", "%rbx", false, 0},
	{"cmpxchgq %r8, %r9", "%rax", false, 0},
	{"cmpxchgq %r8, %rbx", "%rbx", false, 0},
	{"lock cmpxchgq %r8, (%rsp)", "%rax", false, 0},
	{"lock cmpxchg16b (%rsp)", "%rax", false, 0},
	{"lock cmpxchg16b (%rsp)", "%rdx", false, 0},
	{"cmoveq %r8, %rbx", "%rbx", false, 0},
	{"cmovel %ebx, %ebx", "%rbx", false, 0},
	{"sete %bl", "%rbx", false, 0},
	{"setne %ah", "%rax", false, 0},
	{"lahf", "%rax", false, 0},
	{"cpuid", "%rbx", false, 0},
	{"cpuid", "%rcx", false, 0},
	{"rdtsc", "%rdx", false, 0},
	{"rdtscp", "%rcx", false, 0},
	{"xgetbv", "%rdx", false, 0},
	{"rdrand %rbx", "%rbx", false, 0},
	{"rdfsbase %rbx", "%rbx", false, 0},
	{"movq %fs:0, %rbx", "%rbx", false, 0},
	{"addq %fs:0, %rbx", "%rbx", false, 0},
	{"movl %fs, %ebx", "%rbx", false, 0},
	/* the stack */
	{"popq %rbx", "%rbx", false, 0},
	{"pushq %r8\npopq %rbx", "%rbx", false, 0},
	{"movq %r8, (%rsp)\nmovq (%rsp), %rbx", "%rbx", false, 0},
	{"leave", "%rbp", false, 0},
	{"enter $16, $0", "%rbp", false, 0},
	/* strings */
	{"lodsb", "%rax", false, 0},
	{"lodsq", "%rsi", false, 0},
	{"movsq", "%rsi", false, 0},
	{"rep movsq", "%rdi", false, 0},
	{"rep movsq", "%rcx", false, 0},
	{"rep stosq", "%rdi", false, 0},
	{"rep stosb", "%rcx", false, 0},
	{"repne scasb", "%rdi", false, 0},
	{"repne scasb", "%rcx", false, 0},
	{"repe cmpsb", "%rsi", false, 0},
	{"repe cmpsb", "%rcx", false, 0},
	{"xlatb", "%rax", false, 0},
	/* vectors */
	{"movd %xmm0, %ebx", "%rbx", false, 0},
	{"movq %xmm0, %rbx", "%rbx", false, 0},
	{"vmovq %xmm0, %rbx", "%rbx", false, 0},
	{"pextrq $0, %xmm0, %rbx", "%rbx", false, 0},
	{"pmovmskb %xmm0, %ebx", "%rbx", false, 0},
	{"cvttsd2si %xmm0, %rbx", "%rbx", false, 0},
	{"pcmpestri $0, %xmm0, %xmm1", "%rcx", false, 0},
	{"pcmpistri $0, %xmm0, %xmm1", "%rcx", false, 0},
	{"vpcmpistri $0, %xmm0, %xmm1", "%rcx", false, 0},
	{"rdpkru", "%rax", false, 0},
	{"rdpmc", "%rdx", false, 0},
	{"xbegin 1f\n1:", "%rax", false, 0},
	{"lar %cx, %rbx", "%rbx", false, 0},
	{"crc32q %r8, %rbx", "%rbx", false, 0},
	/* jumps and calls */
	{"1: loop 1b", "%rcx", false, 0},
	{"call *%r8", "%rcx", false, 0},
	{"call keep@PLT", "%rdx", false, 0},
	{"syscall", "%rcx", false, 0},
	{"ud2", "%rbx", false, 0},
	{"int3", "%rbx", false, 0},
	{"hlt", "%rbx", false, 0},
	{"lretq", "%rbx", false, 0},
	{"jmp *%r8", "%rbx", false, 0},
};

/* The address of the variable, changed by some instruction, is returned. */
static void test_address(void **state)
{
	static const char *bodies[COUNT(changes)];
	struct code_trace trace;

	(void)state;
	for (size_t i = 0; i < COUNT(changes); i++) {
		char *body;

		assert_true(asprintf(&body, "%smovq %%rax, %s\n%s\nmovq %s, %%rax\nret",
				     GET_ADDRESS, changes[i].reg, changes[i].code,
				     changes[i].reg) > 0);
		bodies[i] = body;
	}
	assemble(bodies, COUNT(changes));
	for (size_t i = 0; i < COUNT(changes); i++) {
		struct code_variable variable;
		uint64_t offset;

		walk(i, &trace);
		if (trace.result_address != changes[i].known || trace.result_loaded)
			fail_msg("%s, %s: %d", changes[i].code, changes[i].reg,
				 trace.result_address);
		if (!changes[i].known)
			continue;
		assert_int_equal(
			code_block_offset(&image, &trace.result.address, &offset, &variable), 0);
		if (offset != (uint64_t)(64 + changes[i].displacement))
			fail_msg("%s: %lld", changes[i].code, (long long)offset);
	}
	disassemble();
	for (size_t i = 0; i < COUNT(changes); i++)
		free((char *)bodies[i]);
}

/* What comes out of a byte that was loaded: its bits, and only where they are. */
static void test_bits(void **state)
{
	static const struct {
		const char *code;
		int mask; /* 0: none is known */
	} cases[] = {
		{"movzbl (%rax), %eax\nandl $1, %eax", 1},
		{"movb (%rax), %al\nandb $4, %al", 4},
		{"movzbl (%rax), %ecx\nmovl %ecx, %eax\nandl $2, %eax", 2},
		{"movzbl (%rax), %eax\nandl $3, %eax\nandl $1, %eax", 1},
		{"movzbl (%rax), %eax\nandl $6, %eax\nandl $3, %eax", 2},
		{"movzbl (%rax), %eax\nandl $1, %eax\nandl $2, %eax", 0},
		{"movzbl (%rax), %eax", 0},
		{"movzbl (%rax), %eax\nshrl %eax\nandl $1, %eax", 0},
		{"movzbl (%rax), %eax\nshrb $2, %al\nandl $1, %eax", 0},
		{"movzbl (%rax), %eax\nandl $1, %eax\nxorl $1, %eax", 0},
		{"movzbl (%rax), %eax\nnotl %eax\nandl $1, %eax", 0},
		{"movzbl (%rax), %eax\nandl $1, %eax\nshll $1, %eax", 0},
		{"movzbl (%rax), %eax\naddl $1, %eax\nandl $1, %eax", 0},
		{"movzbl (%rax), %eax\norl $1, %eax\nandl $1, %eax", 0},
		{"testb $1, (%rax)\nsetne %al", 0},
		{"cmpb $0, (%rax)\nsete %al\nandl $1, %eax", 0},
		{"movzbl (%rax), %eax\nandb $1, %ah", 0},
		{"movzbl (%rax), %eax\nmovb %ah, %al\nandl $1, %eax", 0},
		{"movzbl %fs:(%rax), %eax\nandl $1, %eax", 0},
		{"movzbl %gs:(%rax), %eax\nandl $1, %eax", 0},
		{"movzbl (%eax), %eax\nandl $1, %eax", 0},
		{"movzbl (%rax,%rax), %eax\nandl $1, %eax", 0},
		{"movzbl (%rax,%r8), %eax\nandl $1, %eax", 0},
		{"movq (%rax), %rax\nmovzbl (%rax), %eax\nandl $1, %eax", 0},
	};
	const char *bodies[COUNT(cases)];
	char text[COUNT(cases)][400];
	struct code_trace trace;

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		snprintf(text[i], sizeof(text[i]), "%s%s\nret", GET_ADDRESS, cases[i].code);
		bodies[i] = text[i];
	}
	assemble(bodies, COUNT(cases));
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct code_variable variable;
		uint64_t offset;

		walk(i, &trace);
		if ((trace.result_loaded ? trace.result.mask : 0) != cases[i].mask)
			fail_msg("%s: %d", cases[i].code, trace.result.mask);
		if (!cases[i].mask)
			continue;
		assert_int_equal(trace.result.size, 1);
		assert_int_equal(
			code_block_offset(&image, &trace.result.address, &offset, &variable), 0);
		assert_int_equal(offset, 64);
	}
	disassemble();
}

/* Ways to find a slot of 24 bytes by the key, which is in %esi. */
static void test_key(void **state)
{
	static const struct {
		const char *code;
		int coefficient; /* 0: no access by key is seen */
		int64_t constant;
	} cases[] = {
		{"movsbq %bl, %rcx\nleaq (%rcx,%rcx,2), %rcx\ncmpb $0, 16(%rax,%rcx,8)", 24, 16},
		{"movzbl %bl, %ecx\nleaq (%rcx,%rcx,2), %rcx\ncmpb $0, 16(%rax,%rcx,8)", 24, 16},
		{"movsbl %bl, %ecx\nleal 3(%rcx,%rcx,2), %ecx\nmovslq %ecx, %rcx\n"
		 "cmpb $0, 16(%rax,%rcx,8)",
		 24, 40},
		{"movsbq %bl, %rcx\nimulq $24, %rcx, %rcx\naddq %rcx, %rax\nmovb $0, 16(%rax)", 24,
		 16},
		{"movsbq %bl, %rcx\nleaq 3(%rcx,%rcx,2), %rcx\nshlq $3, %rcx\nleaq 8(%rax), %rdx\n"
		 "addq %rdx, %rcx\nmovzbl 16(%rcx), %edx",
		 24, 48},
		{"movsbq %bl, %rcx\nsubq $1, %rcx\nleal (%rcx,%rcx,2), %ecx\ncmpb $0, "
		 "(%rax,%rcx,8)",
		 0, 0},
		{"movsbq %bl, %rcx\nnegl %ecx\ncmpb $0, (%rax,%rcx,8)", 0, 0},
		{"movsbq %bl, %rcx\nandl $3, %ecx\ncmpb $0, (%rax,%rcx,8)", 0, 0},
		{"movsbq %bl, %rcx\nleaq (%rcx,%rcx,2), %rcx\nmovzbl %cl, %ecx\n"
		 "cmpb $0, (%rax,%rcx,8)",
		 0, 0},
		{"movsbl %bh, %ecx\ncmpb $0, (%rax,%rcx,8)", 0, 0},
	};
	const char *bodies[COUNT(cases)];
	char text[COUNT(cases)][500];
	struct code_trace trace;

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		snprintf(text[i], sizeof(text[i]),
			 "pushq %%rbx\nmovl %%esi, %%ebx\n%s%s\npopq %%rbx\nret", GET_ADDRESS,
			 cases[i].code);
		bodies[i] = text[i];
	}
	assemble(bodies, COUNT(cases));
	for (size_t i = 0; i < COUNT(cases); i++) {
		const struct code_access *found = NULL;

		walk(i, &trace);
		assert_true(trace.returned);
		for (size_t j = 0; j < trace.count && !found; j++)
			if (trace.access[j].address.coefficient)
				found = &trace.access[j];
		if ((found ? found->address.coefficient : 0) != cases[i].coefficient ||
		    (found ? found->address.constant : 0) != cases[i].constant)
			fail_msg("%s", cases[i].code);
	}
	disassemble();
}

/* Guards: a byte compared with zero, and set to 1 where it is zero. Nothing else. */
static void test_guard(void **state)
{
#define REST "9: movzbl 8(%rbx), %eax\nandl $1, %eax\nret\n"
	static const struct {
		const char *code;
		bool guard;
	} cases[] = {
		{"cmpb $0, (%rbx)\njne 9f\nmovb $1, (%rbx)\nmovb $1, 8(%rbx)\n" REST, true},
		{"cmpb $0, (%rbx)\nje 8f\n" REST "8: movb $1, (%rbx)\njmp 9b", true},
		{"movzbl (%rbx), %eax\ntestb %al, %al\njne 9f\nmovb $1, (%rbx)\n" REST, true},
		/* the other way round; another byte; another value; behind the join */
		{"cmpb $0, (%rbx)\nje 9f\nmovb $1, (%rbx)\n" REST, false},
		{"cmpb $0, (%rbx)\njne 9f\nmovb $1, 1(%rbx)\n" REST, false},
		{"cmpb $0, (%rbx)\njne 9f\nmovb $2, (%rbx)\n" REST, false},
		{"cmpb $0, (%rbx)\njne 9f\nnop\n9: movb $1, (%rbx)\n" REST, false},
		/* a comparison that is not with zero, of a part, or lost */
		{"cmpb $2, (%rbx)\njne 9f\nmovb $1, (%rbx)\n" REST, false},
		{"testb $1, (%rbx)\njne 9f\nmovb $1, (%rbx)\n" REST, false},
		{"movzbl (%rbx), %eax\nandl $1, %eax\ntestb %al, %al\njne 9f\nmovb $1, "
		 "(%rbx)\n" REST,
		 false},
		{"cmpb $0, (%rbx)\naddq $1, %r8\njne 9f\nmovb $1, (%rbx)\n" REST, false},
		{"cmpb $0, (%rbx)\ncall keep@PLT\njne 9f\nmovb $1, (%rbx)\n" REST, false},
		{"call 7f\njne 9f\nmovb $1, (%rbx)\n" REST "7: cmpb $0, (%rbx)\nret", false},
		{"cmpb $0, (%rbx)\njl 9f\nmovb $1, (%rbx)\n" REST, false},
		{"cmpw $0, (%rbx)\njne 9f\nmovw $1, (%rbx)\n" REST, false},
	};
	const char *bodies[COUNT(cases)];
	char text[COUNT(cases)][500];
	struct code_trace trace;

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		snprintf(text[i], sizeof(text[i]), "%smovq %%rax, %%rbx\n%s", GET_ADDRESS,
			 cases[i].code);
		bodies[i] = text[i];
	}
	assemble(bodies, COUNT(cases));
	for (size_t i = 0; i < COUNT(cases); i++) {
		bool guard = false;

		walk(i, &trace);
		assert_true(trace.result_loaded);
		for (size_t j = 0; j < trace.count; j++)
			guard |= trace.access[j].kind == CODE_GUARD;
		if (guard != cases[i].guard || trace.unsure == cases[i].guard)
			fail_msg("%s: %d %d", cases[i].code, guard, trace.unsure);
		assert_true(trace.straight <= trace.count);
	}
	disassemble();
}

/* Behind these nobody knows whether the path goes on, or what happened meanwhile. */
static void test_unsure(void **state)
{
	static const char *const codes[] = {"je 1f\n1:",
					    "1: loop 1b",
					    "1: loopne 1b",
					    "1: jrcxz 1b",
					    "xbegin 1f\n1:",
					    "call *%r8",
					    "call elsewhere@PLT",
					    "syscall",
					    "ud2",
					    ".byte 0x0f, 0xb9, 0xc0",
					    "int3",
					    "hlt",
					    "jmp *%r8"};
	const char *bodies[COUNT(codes)];
	char text[COUNT(codes)][300];
	struct code_trace trace;

	(void)state;
	for (size_t i = 0; i < COUNT(codes); i++) {
		snprintf(text[i], sizeof(text[i]),
			 "%smovq %%rax, %%rbx\n%s\nmovq (%%rbx), %%rax\nret", GET_ADDRESS,
			 codes[i]);
		bodies[i] = text[i];
	}
	assemble(bodies, COUNT(codes));
	for (size_t i = 0; i < COUNT(codes); i++) {
		walk(i, &trace);
		if (trace.straight || (trace.returned && !trace.unsure))
			fail_msg("%s", codes[i]);
	}
	disassemble();
}

/* Loops, recursion, nothing there. */
static void test_ends(void **state)
{
	static const char *const bodies[] = {
		"1: jmp 1b",
		"call f1_@PLT\nret",
		"call 1f\n1: call 1b\nret",
		"1: " GET_ADDRESS "cmpb $0, (%rax)\nje 1b\njmp 1b",
		".byte 0x06",
		".fill 4000, 1, 0x90",
	};
	struct code_trace trace;

	(void)state;
	assemble(bodies, COUNT(bodies));
	for (size_t i = 0; i < COUNT(bodies); i++) {
		walk(i, &trace);
		assert_false(trace.result_loaded || trace.result_address);
	}
	assert_int_equal(code_walk(&image, 0, CODE_KEY_NONE, &trace), -ENOENT);
	assert_int_equal(code_walk(&image, UINT64_MAX, CODE_KEY_NONE, &trace), -ENOENT);
	disassemble();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_address), cmocka_unit_test(test_bits),
		cmocka_unit_test(test_key),     cmocka_unit_test(test_guard),
		cmocka_unit_test(test_unsure),  cmocka_unit_test(test_ends),
	};

	return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
