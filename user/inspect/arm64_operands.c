// SPDX-License-Identifier: GPL-2.0-or-later
/* Registers, immediates and memory, as AArch64 instructions name them. */
#include <string.h>

#include "inspect/arm64.h"

/* Arm ARM, C4.1. */
#define HINT      0xd503201fu
#define HINT_MASK 0xfffff01fu

uint32_t arm64_word(const cs_insn *insn)
{
	uint32_t word;

	memcpy(&word, insn->bytes, sizeof(word));
	return word;
}

bool arm64_is_hint(const cs_insn *insn)
{
	return (arm64_word(insn) & HINT_MASK) == HINT;
}

int arm64_number(arm64_reg name)
{
	if (name >= ARM64_REG_X0 && name <= ARM64_REG_X28)
		return (int)name - ARM64_REG_X0;
	if (name >= ARM64_REG_W0 && name <= ARM64_REG_W30)
		return (int)name - ARM64_REG_W0;
	if (name == ARM64_REG_X29)
		return 29;
	return name == ARM64_REG_X30 ? 30 : -1;
}

uint8_t arm64_size(arm64_reg name)
{
	if (name >= ARM64_REG_B0 && name <= ARM64_REG_B31)
		return 1;
	if (name >= ARM64_REG_H0 && name <= ARM64_REG_H31)
		return 2;
	if ((name >= ARM64_REG_W0 && name <= ARM64_REG_W30) || name == ARM64_REG_WZR ||
	    (name >= ARM64_REG_S0 && name <= ARM64_REG_S31))
		return 4;
	if (arm64_number(name) >= 0 || name == ARM64_REG_XZR ||
	    (name >= ARM64_REG_D0 && name <= ARM64_REG_D31))
		return 8;
	return name >= ARM64_REG_Q0 && name <= ARM64_REG_Q31 ? 16 : 0;
}

struct value arm64_register(const struct walker *walker, arm64_reg name)
{
	int number = arm64_number(name);

	if (name == ARM64_REG_XZR || name == ARM64_REG_WZR)
		return value_constant(0);
	if (number < 0)
		return (struct value){0};
	return value_lowest(walker->reg[number], arm64_size(name));
}

/* A write to 32 bits clears the others. */
void arm64_set(struct walker *walker, arm64_reg name, struct value value)
{
	int number = arm64_number(name);

	if (number >= 0)
		walker->reg[number] = value_lowest(value, arm64_size(name));
}

const cs_arm64_op *arm64_operand(const struct walker *walker, int number)
{
	const cs_arm64 *arm64 = &walker->insn->detail->arm64;

	return number < arm64->op_count ? &arm64->operands[number] : NULL;
}

static struct value extended(struct value value, arm64_extender how)
{
	switch (how) {
	case ARM64_EXT_INVALID:
	case ARM64_EXT_UXTX:
	case ARM64_EXT_SXTX:
		return value;
	case ARM64_EXT_UXTB:
		return value_lowest(value, 1);
	case ARM64_EXT_UXTH:
		return value_lowest(value, 2);
	case ARM64_EXT_UXTW:
		return value_lowest(value, 4);
	case ARM64_EXT_SXTB:
		return value_signed(value_lowest(value, 1), 1);
	case ARM64_EXT_SXTH:
		return value_signed(value_lowest(value, 2), 2);
	case ARM64_EXT_SXTW:
		return value_signed(value_lowest(value, 4), 4);
	default:
		return (struct value){0};
	}
}

/* Of what follows an operand, only shifts to the left are computed. */
static struct value shifted(struct value value, const cs_arm64_op *op)
{
	if (op->shift.type == ARM64_SFT_INVALID || !op->shift.value)
		return value;
	if (op->shift.type != ARM64_SFT_LSL || op->shift.value > 31)
		return (struct value){0};
	return value_multiply(value, (int64_t)1 << op->shift.value);
}

struct value arm64_value(const struct walker *walker, const cs_arm64_op *op)
{
	if (op->type == ARM64_OP_IMM)
		return shifted(value_constant(op->imm), op);
	if (op->type != ARM64_OP_REG || op->vas != ARM64_VAS_INVALID)
		return (struct value){0};
	return shifted(extended(arm64_register(walker, op->reg), op->ext), op);
}

struct value arm64_add(struct walker *walker, struct value a, struct value b)
{
	struct value sum = value_add(a, b);

	if (sum.kind == VALUE_UNKNOWN && (a.kind == VALUE_THREAD || b.kind == VALUE_THREAD))
		walker_doubt(walker, "thread-local state is reached relative to the thread "
				     "pointer");
	return sum;
}

struct value arm64_address(struct walker *walker, const cs_arm64_op *op)
{
	struct value sum;

	if (op->type != ARM64_OP_MEM || walker->insn->detail->arm64.writeback)
		return (struct value){0};
	sum = arm64_register(walker, op->mem.base);
	if (op->mem.disp)
		sum = arm64_add(walker, sum, value_constant(op->mem.disp));
	if (op->mem.index != ARM64_REG_INVALID)
		sum = arm64_add(
			walker, sum,
			shifted(extended(arm64_register(walker, op->mem.index), op->ext), op));
	return sum;
}
