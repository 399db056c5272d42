/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Private to inspect/arm64_*.c: operands of the walker's current AArch64 instruction. */
#ifndef GRADWATCH_INSPECT_ARM64_H
#define GRADWATCH_INSPECT_ARM64_H

#include "inspect/walker.h"

#define ARM64_REGISTERS 31 /* x0 .. x30; the stack pointer is not tracked */

/* An operand of the current instruction; NULL when it has not so many. */
const cs_arm64_op *arm64_operand(const struct walker *walker, int number);

/* The 32 bits of an instruction, and whether it is one of the hints: nop, bti, paciasp, ... */
uint32_t arm64_word(const cs_insn *insn);
bool arm64_is_hint(const cs_insn *insn);

/* A register's number, -1: not tracked (sp, vectors); and its bytes, 16 for a vector's q, 0. */
int arm64_number(arm64_reg name);
uint8_t arm64_size(arm64_reg name);

/* What a register holds, 0 for xzr and wzr; unknown for those that are not tracked. */
struct value arm64_register(const struct walker *walker, arm64_reg name);
void arm64_set(struct walker *walker, arm64_reg name, struct value value);

/* What an operand is: a register or an immediate, shifted or extended as it says. */
struct value arm64_value(const struct walker *walker, const cs_arm64_op *op);

/* a + b; what is added to the thread pointer, and is not known, is a doubt. */
struct value arm64_add(struct walker *walker, struct value a, struct value b);

/* Where an operand in memory is; unknown if the instruction moves the base as well. */
struct value arm64_address(struct walker *walker, const cs_arm64_op *op);

/* Does what the current instruction does, which is no call, jump or return. */
void arm64_apply(struct walker *walker);

#endif
