// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * user/inspect/arm64_*.c: AArch64 code as data, which needs an assembler for it but no processor.
 * What test_inspect_code.c and test_inspect_site.c do for x86-64.
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

#include "elf_fixture.h"
#include "inspect/code.h"
#include "inspect/site.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Newer instructions as well: libraries choose some of them at run time. */
#define COMPILER "aarch64-linux-gnu-gcc -march=armv8.6-a+sve2+memtag+ls64+mops+rng+crc+sha2+crypto"

static struct library library;
static struct elf_image image;

static void assemble(const char *const *bodies, size_t count)
{
	char reason[256];

	library_assemble_with(&library, COMPILER, bodies, count);
	assert_int_equal(elf_image_open(&image, library.data, library.size, reason, sizeof(reason)),
			 0);
}

static void disassemble(void)
{
	elf_image_close(&image);
	library_free(&library);
}

/* Bodies that differ in their middle. */
static char **assemble_each(const char *before, const char *const *codes, const char *after,
			    size_t count)
{
	char **bodies = calloc(count, sizeof(*bodies));

	assert_non_null(bodies);
	for (size_t i = 0; i < count; i++)
		assert_true(asprintf(&bodies[i], "%s%s\n%s", before, codes[i], after) > 0);
	assemble((const char *const *)bodies, count);
	return bodies;
}

static void disassemble_each(char **bodies, size_t count)
{
	disassemble();
	for (size_t i = 0; i < count; i++)
		free(bodies[i]);
	free(bodies);
}

static void find(size_t number, struct elf_function *function)
{
	char name[16];

	snprintf(name, sizeof(name), "f%zu_", number);
	assert_int_equal(elf_image_function(&image, name, function), 0);
}

static void walk(size_t number, enum code_key key, struct code_trace *trace)
{
	struct elf_function function;

	find(number, &function);
	assert_int_equal(code_walk(&image, function.address, key, trace), 0);
}

/* Where in the block an address is; *is_described: its GOT pair is a TLS descriptor. */
static uint64_t offset_of(const struct code_address *address, bool *is_described)
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

struct change {
	const char *code;     /* of one instruction or a few */
	const char *reg;      /* that holds the variable's address before it */
	bool known;           /* whether that is still so, moved by ... */
	int64_t displacement; /* ... this */
};

static const struct change changes[] = {
	/* what is understood: nothing happens */
	{"nop", "x0", true, 0},
	{"hint #20", "x19", true, 0},
	{"bti c", "x19", true, 0},
	{"paciasp", "x19", true, 0},
	{"autiasp", "x0", true, 0},
	{"yield", "x18", true, 0},
	{"mov x8, x19", "x19", true, 0},
	{"mov x19, x19", "x19", true, 0},
	{"mov x8, x19\nmov x19, #0\nmov x19, x8", "x19", true, 0},
	{"mov xzr, x8", "x19", true, 0},
	{"add x19, x19, xzr", "x19", true, 0},
	{"cmp x19, #0", "x19", true, 0},
	{"cmp x8, x19", "x19", true, 0},
	{"add sp, sp, #16", "x19", true, 0},
	{"sub sp, sp, #16", "x19", true, 0},
	{"movi v0.2d, #0", "x0", true, 0},
	{"mov v0.d[0], x8", "x0", true, 0},
	{"dmb ish", "x19", true, 0},
	/* memory, and the others alone */
	{"str x19, [sp, #8]", "x19", true, 0},
	{"str x19, [sp, #-16]!", "x19", true, 0},
	{"stp x19, x8, [sp, #-16]!", "x19", true, 0},
	{"stp x29, x30, [sp, #-16]!", "x29", true, 0},
	{"stp xzr, xzr, [x19]", "x19", true, 0},
	{"stp q0, q1, [x19, #32]", "x19", true, 0},
	{"str x8, [x19, x9]", "x19", true, 0},
	{"strb wzr, [x19]", "x19", true, 0},
	{"stur q0, [x19, #3]", "x19", true, 0},
	{"ldr x8, [x19, #8]", "x19", true, 0},
	{"ldr x8, [sp], #16", "x19", true, 0},
	{"ldr q19, [x19]", "x19", true, 0},
	{"ldr d19, [sp]", "x19", true, 0},
	{"ldrb w8, [x19, w9, uxtw]", "x19", true, 0},
	{"ldp x8, x9, [x19, #16]", "x19", true, 0},
	{"ldp x29, x30, [sp], #16", "x19", true, 0},
	{"ldp d8, d9, [sp], #16", "x8", true, 0},
	/* a known distance */
	{"add x19, x19, #5", "x19", true, 5},
	{"sub x19, x19, #5", "x19", true, -5},
	{"add x19, x19, #1, lsl #12", "x19", true, 4096},
	{"sub x19, x19, #3, lsl #12", "x19", true, -12288},
	{"add x8, x19, #8\nadd x19, x8, #8", "x19", true, 16},
	{"mov w8, #7\nadd x19, x19, x8", "x19", true, 7},
	{"mov w8, #7\nadd x19, x8, x19", "x19", true, 7},
	{"mov w8, #7\nsub x19, x19, x8", "x19", true, -7},
	{"mov w8, #-1\nadd x19, x19, x8", "x19", true, 0xffffffffll},
	{"mov x8, #-1\nadd x19, x19, x8", "x19", true, -1},
	{"mov x8, #0x30000\nadd x19, x19, x8", "x19", true, 0x30000},
	{"mov x8, #3\nadd x19, x19, x8, lsl #3", "x19", true, 24},
	{"mov x8, #3\nsub x19, x19, x8, lsl #3", "x19", true, -24},
	{"mov w8, #0x180\nadd x19, x19, w8, uxtb", "x19", true, 128},
	{"mov w8, #0x180\nadd x19, x19, w8, sxtb", "x19", true, -128},
	{"mov w8, #0x180\nadd x19, x19, w8, sxtb #2", "x19", true, -512},
	{"mov w8, #-2\nadd x19, x19, w8, uxth", "x19", true, 0xfffe},
	{"mov w8, #-2\nadd x19, x19, w8, sxth #1", "x19", true, -4},
	{"mov w8, #-2\nadd x19, x19, w8, uxtw", "x19", true, 0xfffffffell},
	{"mov w8, #-2\nadd x19, x19, w8, sxtw #3", "x19", true, -16},
	{"mov x8, #-2\nadd x19, x19, x8, sxtx #4", "x19", true, -32},
	{"mov w8, #0x180\nsxtb x8, w8\nadd x19, x19, x8", "x19", true, -128},
	{"mov w8, #0x180\nsxtb w8, w8\nadd x19, x19, x8", "x19", true, 0xffffff80ll},
	{"mov w8, #0x180\nuxtb w8, w8\nadd x19, x19, x8", "x19", true, 128},
	{"mov w8, #0x180\nand x8, x8, #0xff\nadd x19, x19, x8", "x19", true, 128},
	{"mov w8, #0x8000\nsxth x8, w8\nadd x19, x19, x8", "x19", true, -32768},
	{"mov w8, #-2\nsxtw x8, w8\nadd x19, x19, x8", "x19", true, -2},
	{"mov x8, #3\nlsl x8, x8, #3\nadd x19, x19, x8", "x19", true, 24},
	{"mov w8, #0x40000000\nlsl w8, w8, #2\nadd x19, x19, x8", "x19", true, 0},
	{"mov w8, #0x40000000\nadd w8, w8, w8, lsl #2\nadd x19, x19, x8", "x19", true, 0x40000000},
	{"mov w8, #5\nmov w9, #24\nmul x8, x8, x9\nadd x19, x19, x8", "x19", true, 120},
	{"mov w8, #5\nmov w9, #24\nmadd x19, x8, x9, x19", "x19", true, 120},
	{"mov w8, #-1\nmov w9, #8\nsmaddl x19, w8, w9, x19", "x19", true, -8},
	{"mov w8, #8\nmov w9, #-1\nsmaddl x19, w8, w9, x19", "x19", true, -8},
	{"mov w8, #-1\nmov w9, #8\numaddl x19, w8, w9, x19", "x19", true, 8 * 0xffffffffll},
	{"mov w8, #-1\nsmull x8, w8, w8\nadd x19, x19, x8", "x19", true, 1},
	{"mov w8, #-1\nmov w9, #2\numull x8, w8, w9\nadd x19, x19, x8", "x19", true, 0x1fffffffell},
	{"mov w8, #0x80\nsbfiz x8, x8, #3, #8\nadd x19, x19, x8", "x19", true, -1024},
	{"mov w8, #0x80\nubfiz x8, x8, #3, #8\nadd x19, x19, x8", "x19", true, 1024},
	{"mov w8, #0x80\nsbfiz w8, w8, #3, #8\nadd x19, x19, x8", "x19", true, 0xfffffc00ll},
	{"mov x8, #-1\nubfiz x8, x8, #3, #20\nadd x19, x19, x8", "x19", true, 0x7ffff8},
	{"mov x8, #-1\nubfiz x8, x8, #3, #2\nadd x19, x19, x8", "x19", true, 24},
	{"mov x8, #-1\nsbfiz x8, x8, #3, #40\nadd x19, x19, x8", "x19", true, -8},
	{"mov w8, #0x1230\nubfx x8, x8, #4, #8\nadd x19, x19, x8", "x19", true, 0x23},
	{"add x19, x19, x1, lsl #1\nsub x19, x19, x1, lsl #1", "x19", false, 0}, /* x1: called */
	/* the half of a register */
	{"mov w19, w19", "x19", false, 0},
	{"mov w19, w8", "x19", false, 0},
	{"mov w19, wsp", "x19", false, 0},
	{"add w19, w19, #4", "x19", false, 0},
	{"sub w19, w19, #4", "x19", false, 0},
	{"add w19, w19, wzr", "x19", false, 0},
	{"add x19, x8, w19, uxtw", "x19", false, 0},
	{"mov x8, #0\nadd x19, x8, w19, sxtw", "x19", false, 0},
	{"sxtw x19, w19", "x19", false, 0},
	{"uxtw x19, w19", "x19", false, 0},
	{"sxtb x19, w19", "x19", false, 0},
	{"sxth x19, w19", "x19", false, 0},
	{"uxtb w19, w19", "x19", false, 0},
	{"uxth w19, w19", "x19", false, 0},
	{"lsl w19, w19, #0", "x19", false, 0},
	{"ubfx x19, x19, #0, #32", "x19", false, 0},
	{"ubfx x19, x19, #0, #48", "x19", false, 0},
	{"sbfx x19, x19, #0, #48", "x19", false, 0},
	/* constants */
	{"mov x19, #5", "x19", false, 0},
	{"mov x19, #0", "x19", false, 0},
	{"mov w19, #-1", "x19", false, 0},
	{"movk x19, #0", "x19", false, 0},
	{"movk x19, #1, lsl #48", "x19", false, 0},
	{"movk w19, #1", "x19", false, 0},
	{"movn x19, #0, lsl #16", "x19", false, 0},
	{"movn w19, #0, lsl #16", "x19", false, 0},
	{"adr x19, .", "x19", false, 0},
	{"adrp x19, .", "x19", false, 0},
	{"mov x19, xzr", "x19", false, 0},
	{"mov x19, sp", "x19", false, 0},
	{"add x19, sp, #16", "x19", false, 0},
	{"mov x8, #3\nmovk x8, #1, lsl #16\nadd x19, x19, x8", "x19", false, 0},
	/* arithmetic */
	{"add x19, x19, x19", "x19", false, 0},
	{"add x19, x19, x8", "x19", false, 0},
	{"sub x19, x19, x8", "x19", false, 0},
	{"sub x19, x8, x19", "x19", false, 0},
	{"sub x19, x19, x19", "x19", false, 0},
	{"mov x8, #2\nsub x19, x8, x19", "x19", false, 0},
	{"mov x8, #2\nadd x19, x19, x8, lsr #1", "x19", false, 0},
	{"mov x8, #2\nadd x19, x19, x8, asr #1", "x19", false, 0},
	{"mov x8, #2\nadd x19, x19, x8, lsl #40", "x19", false, 0},
	{"mov x8, #2\nadd x19, x8, x19, lsl #1", "x19", false, 0},
	{"adds x19, x19, #8", "x19", false, 0},
	{"subs x19, x19, #8", "x19", false, 0},
	{"subs x19, x19, x8", "x19", false, 0},
	{"adc x19, x19, xzr", "x19", false, 0},
	{"adcs x19, x19, xzr", "x19", false, 0},
	{"sbc x19, x19, xzr", "x19", false, 0},
	{"ngc x19, x19", "x19", false, 0},
	{"neg x19, x19", "x19", false, 0},
	{"negs x19, x19", "x19", false, 0},
	{"mul x19, x19, x8", "x19", false, 0},
	{"mov x8, #2\nmul x19, x19, x8", "x19", false, 0},
	{"mneg x19, x19, x8", "x19", false, 0},
	{"madd x19, x8, x9, x19", "x19", false, 0},
	{"madd x19, x19, x8, xzr", "x19", false, 0},
	{"msub x19, x8, x9, x19", "x19", false, 0},
	{"mov w8, #2\nmov w9, #3\nmsub x19, x8, x9, x19", "x19", false, 0},
	{"smaddl x19, w8, w9, x19", "x19", false, 0},
	{"smsubl x19, w8, w9, x19", "x19", false, 0},
	{"umsubl x19, w8, w9, x19", "x19", false, 0},
	{"smull x19, w19, w8", "x19", false, 0},
	{"umulh x19, x19, x8", "x19", false, 0},
	{"smulh x19, x8, x9", "x19", false, 0},
	{"sdiv x19, x19, x8", "x19", false, 0},
	{"udiv x19, x8, x9", "x19", false, 0},
	{"crc32x w19, w8, x9", "x19", false, 0},
	/* bits */
	{"and x19, x19, #-16", "x19", false, 0},
	{"and x19, x19, #0xff", "x19", false, 0},
	{"and x19, x19, x8", "x19", false, 0},
	{"ands x19, x19, x8", "x19", false, 0},
	{"bic x19, x19, x8", "x19", false, 0},
	{"bics x19, x19, x8", "x19", false, 0},
	{"orr x19, x19, #8", "x19", false, 0},
	{"orr x19, x19, x8", "x19", false, 0},
	{"orr x19, xzr, x8, lsl #3", "x19", false, 0},
	{"orr x19, xzr, x19, lsl #3", "x19", false, 0},
	{"orn x19, x19, x8", "x19", false, 0},
	{"eor x19, x19, #1", "x19", false, 0},
	{"eon x19, x19, x8", "x19", false, 0},
	{"mvn x19, x19", "x19", false, 0},
	{"lsl x19, x19, #1", "x19", false, 0},
	{"lsl x19, x19, x8", "x19", false, 0},
	{"lsr x19, x19, #4", "x19", false, 0},
	{"lsr x19, x19, x8", "x19", false, 0},
	{"asr x19, x19, #4", "x19", false, 0},
	{"ror x19, x19, #4", "x19", false, 0},
	{"ror x19, x19, x8", "x19", false, 0},
	{"extr x19, x8, x9, #8", "x19", false, 0},
	{"extr x19, x19, x8, #8", "x19", false, 0},
	{"bfi x19, x8, #0, #4", "x19", false, 0},
	{"bfi x19, x8, #48, #16", "x19", false, 0},
	{"bfxil x19, x8, #4, #4", "x19", false, 0},
	{"bfc x19, #0, #4", "x19", false, 0},
	{"ubfx x19, x19, #4, #8", "x19", false, 0},
	{"sbfx x19, x8, #4, #8", "x19", false, 0},
	{"ubfiz x19, x19, #3, #32", "x19", false, 0},
	{"sbfiz x19, x19, #0, #32", "x19", false, 0},
	{"sbfiz x19, x8, #3, #8", "x19", false, 0},
	{"clz x19, x8", "x19", false, 0},
	{"cls x19, x19", "x19", false, 0},
	{"rbit x19, x19", "x19", false, 0},
	{"rev x19, x19", "x19", false, 0},
	{"rev16 x19, x19", "x19", false, 0},
	{"rev32 x19, x19", "x19", false, 0},
	/* conditions, system registers, pointers with signatures and tags */
	{"csel x19, x19, x8, eq", "x19", false, 0},
	{"csel x19, x8, x19, eq", "x19", false, 0},
	{"csel x19, x19, x19, eq", "x19", false, 0},
	{"csinc x19, x8, x9, ne", "x19", false, 0},
	{"csinv x19, x19, x8, ne", "x19", false, 0},
	{"csneg x19, x8, x19, ne", "x19", false, 0},
	{"cset x19, eq", "x19", false, 0},
	{"cset w19, eq", "x19", false, 0},
	{"csetm x19, eq", "x19", false, 0},
	{"cinc x19, x19, eq", "x19", false, 0},
	{"cinv x19, x19, eq", "x19", false, 0},
	{"cneg x19, x19, eq", "x19", false, 0},
	{"mrs x19, tpidr_el0", "x19", false, 0},
	{"mrs x19, nzcv", "x19", false, 0},
	{"mrs x19, ctr_el0", "x19", false, 0},
	{"mrs x19, rndr", "x19", false, 0},
	{"sysl x19, #3, c7, c5, #1", "x19", false, 0},
	{"pacia x19, x8", "x19", false, 0},
	{"pacdza x19", "x19", false, 0},
	{"pacga x19, x8, x9", "x19", false, 0},
	{"autda x19, x8", "x19", false, 0},
	{"xpaci x19", "x19", false, 0},
	{"pacia1716", "x17", false, 0},
	{"autib1716", "x17", false, 0},
	{"paciasp", "x30", false, 0},
	{"autiasp", "x30", false, 0},
	{"pacibz", "x30", false, 0},
	{"xpaclri", "x30", false, 0},
	{"hint #40", "x16", false, 0}, /* chkfeat */
	{"irg x19, x8", "x19", false, 0},
	{"addg x19, x19, #16, #1", "x19", false, 0},
	{"subp x19, x8, x9", "x19", false, 0},
	{"gmi x19, x8, x19", "x19", false, 0},
	/* loads into it */
	{"ldr x19, [x8]", "x19", false, 0},
	{"ldr x19, [x19]\nldr x19, [x19]", "x19", false, 0},
	{"ldr w19, [x8]", "x19", false, 0},
	{"ldr x19, .", "x19", false, 0},
	{"ldrsw x19, .", "x19", false, 0},
	{"str x8, [sp, #8]\nldr x19, [sp, #8]", "x19", false, 0},
	{"ldr x19, [sp], #16", "x19", false, 0},
	{"ldr x19, [sp, #16]!", "x19", false, 0},
	{"ldrb w19, [x8]", "x19", false, 0},
	{"ldrsb x19, [x8]", "x19", false, 0},
	{"ldrh w19, [x8]", "x19", false, 0},
	{"ldrsh w19, [x8]", "x19", false, 0},
	{"ldrsw x19, [x8]", "x19", false, 0},
	{"ldur x19, [x8, #-8]", "x19", false, 0},
	{"ldtr x19, [x8]", "x19", false, 0},
	{"ldtrsw x19, [x8]", "x19", false, 0},
	{"ldp x19, x8, [x9]", "x19", false, 0},
	{"ldp x8, x19, [x9]", "x19", false, 0},
	{"ldp x19, x30, [sp], #16", "x19", false, 0},
	{"ldp w8, w19, [x9]", "x19", false, 0},
	{"ldpsw x8, x19, [x9]", "x19", false, 0},
	{"ldnp x8, x19, [x9]", "x19", false, 0},
	{"ldar x19, [x8]", "x19", false, 0},
	{"ldarb w19, [x8]", "x19", false, 0},
	{"ldapr x19, [x8]", "x19", false, 0},
	{"ldapur x19, [x8, #8]", "x19", false, 0},
	{"ldlar x19, [x8]", "x19", false, 0},
	{"ldxr x19, [x8]", "x19", false, 0},
	{"ldaxr x19, [x8]", "x19", false, 0},
	{"ldxp x8, x19, [x9]", "x19", false, 0},
	{"ldaxp x19, x8, [x9]", "x19", false, 0},
	{"stxr w19, x8, [x9]", "x19", false, 0},
	{"stlxrb w19, w8, [x9]", "x19", false, 0},
	{"stxp w19, x8, x9, [x10]", "x19", false, 0},
	{"swp x8, x19, [x9]", "x19", false, 0},
	{"swpalb w8, w19, [x9]", "x19", false, 0},
	{"ldadd x8, x19, [x9]", "x19", false, 0},
	{"ldclral x8, x19, [x9]", "x19", false, 0},
	{"ldset x8, x19, [x9]", "x19", false, 0},
	{"ldeor w8, w19, [x9]", "x19", false, 0},
	{"ldsmax x8, x19, [x9]", "x19", false, 0},
	{"cas x19, x8, [x9]", "x19", false, 0},
	{"casal w19, w8, [x9]", "x19", false, 0},
	{"casp x18, x19, x8, x9, [x10]", "x19", false, 0},
	{"ldg x19, [x8]", "x19", false, 0},
	{"ldraa x19, [x8]", "x19", false, 0},
	{"ld64b x14, [x8]", "x19", false, 0},
	{"st64bv x19, x8, [x9]", "x19", false, 0},
	/* the base moves */
	{"ldr x8, [x19], #8", "x19", false, 0},
	{"ldr x8, [x19, #8]!", "x19", false, 0},
	{"ldr w8, [x19], #0", "x19", false, 0},
	{"ldrb w8, [x19], #1", "x19", false, 0},
	{"ldrsb w8, [x19, #-1]!", "x19", false, 0},
	{"ldrh w8, [x19], #2", "x19", false, 0},
	{"ldrsw x8, [x19], #4", "x19", false, 0},
	{"ldr q0, [x19], #16", "x19", false, 0},
	{"ldr d0, [x19, #8]!", "x19", false, 0},
	{"ldr b0, [x19], #1", "x19", false, 0},
	{"str x8, [x19], #8", "x19", false, 0},
	{"str x8, [x19, #-8]!", "x19", false, 0},
	{"strb wzr, [x19], #1", "x19", false, 0},
	{"strh w8, [x19, #2]!", "x19", false, 0},
	{"str q0, [x19], #16", "x19", false, 0},
	{"ldp x8, x9, [x19], #16", "x19", false, 0},
	{"ldp x8, x9, [x19, #16]!", "x19", false, 0},
	{"ldpsw x8, x9, [x19], #8", "x19", false, 0},
	{"stp x8, x9, [x19, #-16]!", "x19", false, 0},
	{"stp q0, q1, [x19], #32", "x19", false, 0},
	{"ld1 {v0.16b}, [x19], #16", "x19", false, 0},
	{"ld1 {v0.16b}, [x19], x8", "x19", false, 0},
	{"ld1r {v0.2d}, [x19], #8", "x19", false, 0},
	{"ld4 {v0.b, v1.b, v2.b, v3.b}[3], [x19], #4", "x19", false, 0},
	{"st1 {v0.d}[1], [x19], #8", "x19", false, 0},
	{"st2 {v0.4s, v1.4s}, [x19], x8", "x19", false, 0},
	{"ldraa x8, [x19, #8]!", "x19", false, 0},
	{"stg x8, [x19], #16", "x19", false, 0},
	{"st2g x8, [x19, #32]!", "x19", false, 0},
	{"stgp x8, x9, [x19], #16", "x19", false, 0},
	{"cpyfp [x19]!, [x8]!, x9!", "x19", false, 0},
	{"cpyfp [x8]!, [x19]!, x9!", "x19", false, 0},
	{"cpym [x8]!, [x9]!, x19!", "x19", false, 0},
	{"setp [x19]!, x8!, x9", "x19", false, 0},
	/* vectors */
	{"fmov x19, d0", "x19", false, 0},
	{"fmov w19, s0", "x19", false, 0},
	{"fmov x19, v0.d[1]", "x19", false, 0},
	{"umov w19, v0.b[3]", "x19", false, 0},
	{"mov x19, v0.d[0]", "x19", false, 0},
	{"mov w19, v0.s[1]", "x19", false, 0},
	{"smov x19, v0.h[2]", "x19", false, 0},
	{"fcvtzs x19, d0", "x19", false, 0},
	{"fcvtzu w19, s0, #4", "x19", false, 0},
	{"fcvtas x19, d0", "x19", false, 0},
	{"fjcvtzs w19, d0", "x19", false, 0},
	{"cntb x19", "x19", false, 0},
	{"incd x19", "x19", false, 0},
	{"uqdecw w19", "x19", false, 0},
	{"rdvl x19, #1", "x19", false, 0},
	{"addvl x19, x19, #1", "x19", false, 0},
	{"addpl x19, x8, #1", "x19", false, 0},
	{"cntp x19, p0, p1.b", "x19", false, 0},
	{"incp x19, p0.d", "x19", false, 0},
	{"lastb x19, p0, z0.d", "x19", false, 0},
	{"clasta w19, p0, w19, z0.s", "x19", false, 0},
	/* jumps and calls */
	{"bl keep", "x19", true, 0},
	{"bl keep", "x28", true, 0},
	{"bl keep", "x0", false, 0},
	{"bl keep", "x1", false, 0},
	{"bl keep", "x8", false, 0},
	{"bl keep", "x17", false, 0},
	{"bl keep", "x18", false, 0},
	{"bl keep", "x30", false, 0},
	{"blr x8", "x9", false, 0},
	{"blr x19", "x19", true, 0},
	{"bl 1f\n1:", "x30", false, 0},
	{"svc #0", "x19", false, 0},
	{"brk #1", "x19", false, 0},
	{"hlt #0", "x19", false, 0},
	{"udf #0", "x19", false, 0},
	{"br x8", "x19", false, 0},
	{"ret x8", "x19", false, 0},
	{"eret", "x19", false, 0},
};

/* The address of the variable, changed by some instruction, is returned. */
static void test_address(void **state)
{
	static const char *bodies[COUNT(changes)];
	struct code_trace trace;
	bool is_described;

	(void)state;
	for (size_t i = 0; i < COUNT(changes); i++) {
		char *body;

		assert_true(asprintf(&body, "%smov %s, x0\n%s\nmov x0, %s\nret", GET_ADDRESS,
				     changes[i].reg, changes[i].code, changes[i].reg) > 0);
		bodies[i] = body;
	}
	assemble(bodies, COUNT(changes));
	for (size_t i = 0; i < COUNT(changes); i++) {
		uint64_t offset;

		walk(i, CODE_KEY_SECOND, &trace);
		if (trace.result_address != changes[i].known || trace.result_loaded)
			fail_msg("%s, %s: %d", changes[i].code, changes[i].reg,
				 trace.result_address);
		if (!changes[i].known)
			continue;
		offset = offset_of(&trace.result.address, &is_described);
		if (offset != (uint64_t)(64 + changes[i].displacement) || !is_described)
			fail_msg("%s: %lld", changes[i].code, (long long)offset);
	}
	disassemble();
	for (size_t i = 0; i < COUNT(changes); i++)
		free((char *)bodies[i]);
}

/* --- bits ---------------------------------------------------------------------------------------
 */

static const struct {
	const char *code;
	int mask; /* 0: none is known */
} masks[] = {
	{"ldrb w0, [x0]\nand w0, w0, #1", 1},
	{"ldrb w0, [x0]\nand x0, x0, #4", 4},
	{"ldrb w8, [x0]\nmov w0, w8\nand w0, w0, #2", 2},
	{"ldrb w0, [x0]\nand w0, w0, #6\nand w0, w0, #7", 6},
	{"ldrb w0, [x0]\nand w0, w0, #6\nuxtb w0, w0", 6},
	{"ldrb w0, [x0]\nmov w8, #2\nand w0, w0, w8", 2},
	{"ldrb w0, [x0]\nmov w8, #2\nand w0, w0, w8, lsl #1", 4},
	{"ldrb w0, [x0]\nubfx w0, w0, #0, #1", 1},
	{"ldrb w0, [x0]\nubfx x0, x0, #1, #1", 2},
	{"ldrb w0, [x0]\nubfx w0, w0, #3, #2", 0x18},
	{"ldrb w0, [x0]\nubfx w0, w0, #2, #1\nand w0, w0, #0xff", 4},
	{"ldrb w0, [x0]\nubfx w0, w0, #2, #1\nsxtw x0, w0", 4},
	{"ldr x0, [x0]\nubfx x0, x0, #2, #1", 4},
	{"ldr x0, [x0]\nand w0, w0, #1", 1},
	{"ldr w0, [x0]\nubfx w0, w0, #7, #1", 0x80},
	{"ldr x0, [x0]\nuxtb w0, w0\nand w0, w0, #1", 1},
	{"ldrh w0, [x0]\nand w0, w0, #1", 1},
	{"ldrsb w0, [x0]\nand w0, w0, #1", 1},
	{"ldur w0, [x0]\nand w0, w0, #1", 1},
	{"ldp w0, w8, [x0]\nand w0, w0, #1", 1},
	{"ldp x0, x8, [x0]\nubfx x0, x0, #1, #1", 2},
	{"mov x8, #0\nldrb w0, [x0, x8]\nand w0, w0, #1", 1},
	/* no mask, of no byte, of another byte */
	{"ldrb w0, [x0]", 0},
	{"ldr x0, [x0]", 0},
	{"ldr x0, [x0]\nand x0, x0, #0x100", 0},
	{"ldr x0, [x0]\nand x0, x0, #0x1ff", 0},
	{"ldr x0, [x0]\nand x0, x0, #-2", 0},
	{"ldr x0, [x0]\nand x0, x0, #0x7fffffffffffffff", 0},
	{"ldr x0, [x0]\nubfx x0, x0, #8, #1", 0},
	{"ldr x0, [x0]\nubfx x0, x0, #4, #8", 0},
	{"ldr x0, [x0]\nubfx x0, x0, #0, #20", 0},
	{"ldrb w0, [x0]\nand w0, w0, #1\nand w0, w0, #2", 0},
	{"ldrb w0, [x0]\nubfx w0, w0, #1, #1\nubfx w0, w0, #1, #1", 0},
	{"ldrb w0, [x0]\nubfx w0, w0, #2, #1\nand w0, w0, #4", 0},
	{"ldrb w0, [x0]\nubfx w0, w0, #2, #2\nand w0, w0, #12", 0},
	{"ldrb w0, [x0]\nand w0, w0, #4\nubfx w0, w0, #4, #4", 0},
	{"ldrb w0, [x0]\nand w0, w0, w8", 0},
	{"ldrb w0, [x0]\nmov w8, #2\nand w0, w0, w8, lsr #1", 0},
	{"ldrb w0, [x0]\nmov w8, #2\nand w0, w8, w0, lsl #1", 0},
	/* moved or changed, before or behind it */
	{"ldrb w0, [x0]\nlsr w0, w0, #1\nand w0, w0, #1", 0},
	{"ldrb w0, [x0]\nlsl w0, w0, #1\nand w0, w0, #2", 0},
	{"ldrb w0, [x0]\nsbfx w0, w0, #0, #1", 0},
	{"ldrb w0, [x0]\nror w0, w0, #1\nand w0, w0, #1", 0},
	{"ldrb w0, [x0]\nadd w0, w0, #1\nand w0, w0, #1", 0},
	{"ldrb w0, [x0]\norr w0, w0, #1\nand w0, w0, #1", 0},
	{"ldrb w0, [x0]\nmvn w0, w0\nand w0, w0, #1", 0},
	{"ldrb w0, [x0]\nneg w0, w0\nand w0, w0, #2", 0},
	{"ldrb w0, [x0]\nrev w0, w0\nand w0, w0, #1", 0},
	{"ldrb w0, [x0]\nrbit w0, w0\nand w0, w0, #1", 0},
	{"ldrb w0, [x0]\nbfi w0, w8, #0, #1\nand w0, w0, #1", 0},
	{"ldrb w0, [x0]\nbfxil w0, w8, #0, #1\nand w0, w0, #1", 0},
	{"ldrb w0, [x0]\nubfiz w0, w0, #1, #8\nand w0, w0, #2", 0},
	{"ldrb w0, [x0]\nmovk w0, #0\nand w0, w0, #1", 0},
	{"ldrb w0, [x0]\nand w0, w0, #1\neor w0, w0, #1", 0},
	{"ldrb w0, [x0]\nand w0, w0, #1\nlsl w0, w0, #1", 0},
	{"ldrb w0, [x0]\nand w0, w0, #1\ncmp w0, #0\ncset w0, eq", 0},
	{"ldrb w0, [x0]\ntst w0, #1\ncset w0, ne", 0},
	{"ldrb w0, [x0]\ncmp w0, #0\ncset w0, eq\nand w0, w0, #1", 0},
	{"ldrb w0, [x0]\nand w0, w0, #1\ncsel w0, w0, wzr, eq", 0},
	/* another place */
	{"mov x8, x0\nldrb w0, [x8, #1]!\nand w0, w0, #1", 0},
	{"ldrb w0, [x0, x8]\nand w0, w0, #1", 0},
	{"ldrb w0, [x0, w0, uxtw]\nand w0, w0, #1", 0},
	{"ldrb w0, [x20]\nand w0, w0, #1", 0},
	{"ldrb w0, [sp]\nand w0, w0, #1", 0},
	{"ldr x0, [x0]\nldrb w0, [x0]\nand w0, w0, #1", 0},
	{"strb w8, [x0]\nand w0, w8, #1", 0},
};

/* What comes out of a byte that was loaded: its bits, and only where they are. */
static void test_bits(void **state)
{
	const char *codes[COUNT(masks)];
	struct code_trace trace;
	bool is_described;
	char **bodies;

	(void)state;
	for (size_t i = 0; i < COUNT(masks); i++)
		codes[i] = masks[i].code;
	bodies = assemble_each(GET_ADDRESS, codes, "ret", COUNT(masks));
	for (size_t i = 0; i < COUNT(masks); i++) {
		walk(i, CODE_KEY_SECOND, &trace);
		if ((trace.result_loaded ? trace.result.mask : 0) != masks[i].mask)
			fail_msg("%s: %d", masks[i].code, trace.result.mask);
		assert_true(trace.returned && !trace.unsure);
		if (!masks[i].mask)
			continue;
		assert_int_equal(trace.result.size, 1);
		assert_int_equal(offset_of(&trace.result.address, &is_described), 64);
	}
	disassemble_each(bodies, COUNT(masks));
}

/* --- the key ------------------------------------------------------------------------------------
 */

#define TIMES_3 "add x8, x8, x8, lsl #1\n"

static const struct {
	const char *code;
	int coefficient; /* 0: no access by key is seen */
	int64_t constant;
} keys[] = {
	{"sxtb x8, w21\n" TIMES_3 "add x8, x0, x8, lsl #3\nldrb w0, [x8, #16]", 24, 16},
	{"sxtw x8, w21\n" TIMES_3 "lsl x8, x8, #3\nadd x8, x0, x8\nstrb wzr, [x8, #16]", 24, 16},
	{"uxtb w8, w21\n" TIMES_3 "lsl w8, w8, #3\nldr x0, [x0, x8]", 24, 0},
	{"and w8, w21, #0xff\n" TIMES_3 "add x0, x0, x8, lsl #3\nldr x0, [x0]", 24, 0},
	{"and x8, x21, #0xff\nlsl x8, x8, #4\nldr x0, [x0, x8]", 16, 0},
	{"sxth x8, w21\nldr x0, [x0, x8, lsl #3]", 8, 0},
	{"sbfiz x8, x21, #4, #8\nadd x0, x0, x8\nldr x0, [x0, #24]", 16, 24},
	{"sbfiz x8, x21, #3, #32\nldr x0, [x0, x8]", 8, 0},
	{"ubfiz x8, x21, #3, #8\nldr x0, [x0, x8]", 8, 0},
	{"ubfiz w8, w21, #3, #16\nldr x0, [x0, x8]", 8, 0},
	{"ubfiz x8, x21, #3, #29\nldr x0, [x0, x8]", 8, 0},
	{"sxtb x8, w21\n" TIMES_3 "sbfiz x8, x8, #3, #32\nldr x0, [x0, x8]", 24, 0},
	{"ubfx x8, x21, #0, #16\nldr x0, [x0, x8, lsl #3]", 8, 0},
	{"mov w9, #24\nsmaddl x8, w21, w9, x0\nldrb w0, [x8, #16]", 24, 16},
	{"mov w9, #24\nsmaddl x8, w9, w21, x0\nldrb w0, [x8, #16]", 24, 16},
	{"mov w9, #24\numaddl x8, w21, w9, x0\nldrb w0, [x8, #16]", 24, 16},
	{"sxtb x8, w21\nmov x9, #24\nmadd x8, x8, x9, x0\nldrb w0, [x8, #16]", 24, 16},
	{"mov w9, #24\nsmull x8, w21, w9\nldr x0, [x0, x8]", 24, 0},
	{"mov w9, #24\numull x8, w21, w9\nldr x0, [x0, x8]", 24, 0},
	{"mov w9, #24\nmul w8, w21, w9\nldr x0, [x0, x8]", 24, 0},
	{"mov w9, #-24\nsmaddl x8, w21, w9, x0\nldrb w0, [x8, #16]", -24, 16},
	{"sxtb x8, w21\nsub x8, x0, x8\nldrb w0, [x8, #16]", -1, 16},
	{"add x8, x0, w21, sxtw #3\nldr x0, [x8, #8]", 8, 8},
	{"add x8, x0, w21, uxtb\nldrb w0, [x8]", 1, 0},
	{"ldr x0, [x0, w21, sxtw #3]", 8, 0},
	{"ldrb w0, [x0, w21, uxtw]", 1, 0},
	{"sxtb x8, w21\nadd x8, x8, #1\n" TIMES_3 "add x0, x0, x8, lsl #3\nldr x0, [x0]", 24, 24},
	{"sxtb w8, w21\nadd w8, w8, #3\nadd x0, x0, w8, sxtw #3\nstp xzr, xzr, [x0]", 8, 24},
	{"sxtb x8, w21\nsub x8, x8, #1\nldr x0, [x0, x8, lsl #3]", 8, -8},
	/* not the key any more */
	{"sxtb x8, w21\nneg x8, x8\nldr w0, [x0, w8, sxtw]", 0, 0},
	{"sxtb w8, w21\nneg w8, w8\nldrb w0, [x0, w8, sxtw]", 0, 0},
	{"sxtb x8, w21\nmvn x8, x8\nldrb w0, [x0, x8]", 0, 0},
	{"and w8, w21, #3\nldrb w0, [x0, x8]", 0, 0},
	{"and w8, w21, #0x7f\nldrb w0, [x0, x8]", 0, 0},
	{"and w8, w21, w9\nldrb w0, [x0, x8]", 0, 0},
	{"orr w8, w21, #1\nldrb w0, [x0, x8]", 0, 0},
	{"eor w8, w21, #1\nldrb w0, [x0, x8]", 0, 0},
	{"lsr w8, w21, #1\nldrb w0, [x0, x8]", 0, 0},
	{"asr w8, w21, #1\nldrb w0, [x0, x8]", 0, 0},
	{"sxtb x8, w21\nadd x8, x0, x8, lsr #1\nldrb w0, [x8]", 0, 0},
	{"sxtb x8, w21\nadd x8, x0, x8, asr #1\nldrb w0, [x8]", 0, 0},
	{"lsl x8, x21, x9\nldrb w0, [x0, x8]", 0, 0},
	{"sxtb x8, w21\nlsl x8, x8, #32\nldrb w0, [x0, x8]", 0, 0},
	{"sxtb w8, w21\nlsl w8, w8, #30\nldrb w0, [x0, x8]", 0, 0},
	{"sxtb w8, w21\nsub w8, w8, #1\nldr x0, [x0, w8, uxtw #3]", 0, 0},
	{"ubfx w8, w21, #1, #7\nldrb w0, [x0, x8]", 0, 0},
	{"ubfx w8, w21, #8, #8\nldrb w0, [x0, x8]", 0, 0},
	{"sbfx x8, x21, #1, #8\nldrb w0, [x0, x8]", 0, 0},
	{"ubfiz x8, x21, #3, #2\nldr x0, [x0, x8]", 0, 0},
	{"ubfiz w8, w21, #3, #7\nldr x0, [x0, x8]", 0, 0},
	{"sxtb x8, w21\n" TIMES_3 "ubfiz x8, x8, #3, #8\nldr x0, [x0, x8]", 0, 0},
	{"sxtb x8, w21\n" TIMES_3 "sbfiz x8, x8, #3, #16\nldr x0, [x0, x8]", 0, 0},
	{"sxtb x8, w21\n" TIMES_3 "uxtb w8, w8\nldr x0, [x0, x8, lsl #3]", 0, 0},
	{"sxtb x8, w21\n" TIMES_3 "add x0, x0, w8, sxtb #3\nldr x0, [x0]", 0, 0},
	{"sxtb x8, w21\nmul x8, x8, x8\nldr x0, [x0, x8]", 0, 0},
	{"smaddl x8, w21, w9, x0\nldrb w0, [x8]", 0, 0},
	{"mov w9, #24\nsmsubl x8, w21, w9, x0\nldrb w0, [x8]", 0, 0},
	{"mov w9, #24\nsmnegl x8, w21, w9\nldrb w0, [x0, x8]", 0, 0},
	{"mov w9, #2\nudiv w8, w21, w9\nldrb w0, [x0, x8]", 0, 0},
	{"cinc w8, w21, eq\nldrb w0, [x0, x8]", 0, 0},
	{"bfi w21, w9, #0, #2\nldrb w0, [x0, w21, uxtw]", 0, 0},
	{"rev w8, w21\nldrb w0, [x0, x8]", 0, 0},
	{"movk w21, #0\nldrb w0, [x0, w21, uxtw]", 0, 0},
	{"str w21, [sp]\nldr w8, [sp]\nldrb w0, [x0, x8]", 0, 0},
	{"add x8, x0, x21\nldrb w0, [x8], #1\nldrb w0, [x8]", 0, 0},
};

static const struct code_access *access_by_key(const struct code_trace *trace)
{
	for (size_t i = 0; i < trace->count; i++)
		if (trace->access[i].address.coefficient)
			return &trace->access[i];
	return NULL;
}

static void check_keys(const char *keep, enum code_key key)
{
	const char *codes[COUNT(keys)];
	struct code_trace trace;
	char **bodies;

	for (size_t i = 0; i < COUNT(keys); i++)
		codes[i] = keys[i].code;
	bodies = assemble_each(keep, codes, "ret", COUNT(keys));
	for (size_t i = 0; i < COUNT(keys); i++) {
		const struct code_access *found;

		walk(i, key, &trace);
		assert_true(trace.returned && !trace.unsure);
		found = access_by_key(&trace);
		if ((found ? found->address.coefficient : 0) != keys[i].coefficient ||
		    (found ? found->address.constant : 0) != keys[i].constant)
			fail_msg("%s: %d", keys[i].code,
				 found ? (int)found->address.coefficient : 0);
		walk(i, CODE_KEY_NONE, &trace);
		assert_null(access_by_key(&trace));
	}
	disassemble_each(bodies, COUNT(keys));
}

/* Ways to find a slot of 24 bytes, or so, by the key. */
static void test_key(void **state)
{
	(void)state;
	check_keys("mov w21, w1\n" GET_ADDRESS, CODE_KEY_SECOND);
	check_keys("mov w21, w0\n" GET_ADDRESS, CODE_KEY_ALONE);
	check_keys("mov x21, x1\n" GET_ADDRESS, CODE_KEY_SECOND);
}

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

/* Sizes of what is read and written, several times by one instruction. */
static void test_sizes(void **state)
{
	static const struct {
		const char *code;
		int count; /* of accesses */
		int size, last;
	} cases[] = {
		{"ldrb w8, [x0]", 1, 1, 64},         {"ldrsb x8, [x0, #3]", 1, 1, 67},
		{"ldrh w8, [x0]", 1, 2, 64},         {"ldrsw x8, [x0]", 1, 4, 64},
		{"ldr w8, [x0]", 1, 4, 64},          {"ldr x8, [x0, #16]", 1, 8, 80},
		{"ldur x8, [x0, #-3]", 1, 8, 61},    {"strb wzr, [x0]", 1, 1, 64},
		{"strh w8, [x0]", 1, 2, 64},         {"str wzr, [x0]", 1, 4, 64},
		{"str xzr, [x0]", 1, 8, 64},         {"str b0, [x0]", 1, 1, 64},
		{"str h0, [x0]", 1, 2, 64},          {"str s0, [x0]", 1, 4, 64},
		{"str d0, [x0]", 1, 8, 64},          {"str q0, [x0]", 1, 16, 64},
		{"ldr q0, [x0, #16]", 1, 16, 80},    {"stp xzr, xzr, [x0]", 2, 8, 72},
		{"stp wzr, w8, [x0, #8]", 2, 4, 76}, {"stp q0, q0, [x0]", 2, 16, 80},
		{"ldp x8, x9, [x0, #16]", 2, 8, 88}, {"ldp x0, x9, [x0]", 2, 8, 72},
		{"ldp d0, d1, [x0]", 2, 8, 72},      {"str x8, [x0], #8", 0, 0, 0},
		{"ldp x8, x9, [x0, #16]!", 0, 0, 0},
	};
	const char *codes[COUNT(cases)];
	struct code_trace trace;
	bool is_described;
	char **bodies;

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++)
		codes[i] = cases[i].code;
	bodies = assemble_each(GET_ADDRESS, codes, "ret", COUNT(cases));
	for (size_t i = 0; i < COUNT(cases); i++) {
		const struct code_access *last;

		walk(i, CODE_KEY_NONE, &trace);
		if (trace.count != (size_t)cases[i].count)
			fail_msg("%s: %zu", codes[i], trace.count);
		if (!trace.count)
			continue;
		last = &trace.access[trace.count - 1];
		if (last->size != cases[i].size ||
		    last->kind != (strncmp(codes[i], "st", 2) ? CODE_LOAD : CODE_STORE) ||
		    offset_of(&last->address, &is_described) != (uint64_t)cases[i].last)
			fail_msg("%s: %d", codes[i], last->size);
	}
	disassemble_each(bodies, COUNT(cases));
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
		assert_int_equal(site_choose(&image, &function, &site), 0);
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
		cmocka_unit_test(test_address),     cmocka_unit_test(test_bits),
		cmocka_unit_test(test_key),         cmocka_unit_test(test_guard),
		cmocka_unit_test(test_unsure),      cmocka_unit_test(test_followed),
		cmocka_unit_test(test_stubs),       cmocka_unit_test(test_ends),
		cmocka_unit_test(test_descriptors), cmocka_unit_test(test_thread_pointer),
		cmocka_unit_test(test_traditional), cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_sites),
	};

	return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
