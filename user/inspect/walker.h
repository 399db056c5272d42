/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Private to inspect/code: the state of a walk, and what single instructions do to it. code.c
 * follows the path, effects.c knows the instructions, values.c what registers and memory hold.
 */
#ifndef GRADWATCH_INSPECT_WALKER_H
#define GRADWATCH_INSPECT_WALKER_H

#include <capstone/capstone.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "inspect/code.h"

enum value_kind { VALUE_UNKNOWN, VALUE_ADDRESS, VALUE_LOADED };

struct value {
	enum value_kind kind;
	struct code_address address; /* VALUE_LOADED: where from */
	uint8_t size, mask;          /* VALUE_LOADED */
};

/* General registers in the order of their encoding. */
enum { RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8, R9, R10, R11, R12, R13, R14, R15, REGISTERS };

struct walker {
	const struct elf_image *image;
	struct code_trace *trace;
	csh capstone;
	cs_insn *insn;
	struct value reg[REGISTERS];
	struct value compared; /* the byte of the last comparison with zero */
	int left;              /* instructions */
	bool looking;          /* on a guard's uninitialised side: only constants are recorded */
	uint64_t join;         /* where that side is over */
};

/* a + b, a * factor: unknown unless that is an address of the form that is tracked. */
struct value value_add(struct value a, struct value b);
struct value value_multiply(struct value a, int64_t factor);

/* An operand of the current instruction; NULL when it has not so many. */
const cs_x86_op *walker_operand(const struct walker *walker, int number);

/* What a register holds, by any of its names; unknown for those that are not tracked. */
struct value walker_register(const struct walker *walker, x86_reg name);
void walker_set(struct walker *walker, x86_reg name, struct value value);

/* Where an operand in memory is; unknown with a segment or 32-bit addresses. */
struct value walker_address(const struct walker *walker, const x86_op_mem *memory);

/*
 * Records an access of size bytes, if it is one to thread-local memory; value: of a CODE_INITIAL.
 * On a guard's uninitialised side only those are kept.
 */
void walker_record(struct walker *walker, enum code_access_kind kind, const struct value *address,
		   uint8_t size, int64_t value);

/* What follows may not happen, or something unknown happened before it. */
void walker_unsure(struct walker *walker);

/* Reads an operand: its value, and a record if it is in memory. The second extends its sign. */
struct value walker_read(struct walker *walker, const cs_x86_op *op);
struct value walker_read_signed(struct walker *walker, const cs_x86_op *op);

/* Writes one, with a record if it is in memory. */
void walker_write(struct walker *walker, const cs_x86_op *op, struct value value);

/* Does what the current instruction does, which is no call, jump or return. */
void walker_apply(struct walker *walker);

#endif
