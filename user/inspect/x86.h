/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Private to inspect/x86_*.c: operands of the walker's current x86-64 instruction. */
#ifndef GRADWATCH_INSPECT_X86_H
#define GRADWATCH_INSPECT_X86_H

#include "inspect/walker.h"

/* General registers in the order of their encoding. */
enum {
	RAX,
	RCX,
	RDX,
	RBX,
	RSP,
	RBP,
	RSI,
	RDI,
	R8,
	R9,
	R10,
	R11,
	R12,
	R13,
	R14,
	R15,
	X86_REGISTERS
};

/* An operand of the current instruction; NULL when it has not so many. */
const cs_x86_op *x86_operand(const struct walker *walker, int number);

/* What a register holds, by any of its names; unknown for those that are not tracked. */
struct value x86_register(const struct walker *walker, x86_reg name);
void x86_set(struct walker *walker, x86_reg name, struct value value);

/* Where an operand in memory is; unknown with a segment or 32-bit addresses. */
struct value x86_address(const struct walker *walker, const x86_op_mem *memory);

/* Reads an operand: its value, and a record if it is in memory. The second extends its sign. */
struct value x86_read(struct walker *walker, const cs_x86_op *op);
struct value x86_read_signed(struct walker *walker, const cs_x86_op *op);

/* Writes one, with a record if it is in memory. */
void x86_write(struct walker *walker, const cs_x86_op *op, struct value value);

/* Does what the current instruction does, which is no call, jump or return. */
void x86_apply(struct walker *walker);

#endif
