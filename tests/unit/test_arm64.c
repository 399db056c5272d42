// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * user/inspect/arm64_effects.c and arm64_operands.c: what single AArch64 instructions do to what is
 * tracked. test_inspect_code.c does that for x86-64.
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_address),
		cmocka_unit_test(test_bits),
		cmocka_unit_test(test_key),
		cmocka_unit_test(test_sizes),
	};

	return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
