// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What x86-64 instructions do that neither jump nor call. Some are computed; of all the others it
 * is only known which registers they write.
 */
#include <string.h>

#include "inspect/x86.h"

static struct value shifted(struct value value, const cs_x86_op *by)
{
	if (!by || by->type != X86_OP_IMM || by->imm < 0 || by->imm > 31)
		return (struct value){0};
	return value_multiply(value, (int64_t)1 << by->imm);
}

static struct value masked(struct value value, const cs_x86_op *by)
{
	return by && by->type == X86_OP_IMM ? value_masked(value, by->imm) : (struct value){0};
}

/* Comparisons with zero set what the next conditional jump is about. */
static void compare(struct walker *walker)
{
	const cs_x86_op *a = x86_operand(walker, 0), *b = x86_operand(walker, 1);
	struct value left = x86_read(walker, a), right;

	if (!a || !b)
		return;
	if (walker->insn->id == X86_INS_TEST) {
		if (a->type == X86_OP_REG && b->type == X86_OP_REG && a->reg == b->reg)
			walker->compared = left;
		return;
	}
	right = x86_read(walker, b);
	if (b->type == X86_OP_IMM && right.address.constant == 0)
		walker->compared = left;
}

static bool compute(struct walker *walker)
{
	const cs_x86_op *a = x86_operand(walker, 0), *b = x86_operand(walker, 1),
			*c = x86_operand(walker, 2);

	if (!a || !b)
		return false;
	switch (walker->insn->id) {
	case X86_INS_MOV:
	case X86_INS_MOVZX:
	case X86_INS_MOVABS:
		x86_write(walker, a, x86_read(walker, b));
		return true;
	case X86_INS_MOVSX:
	case X86_INS_MOVSXD:
		x86_write(walker, a, x86_read_signed(walker, b));
		return true;
	case X86_INS_LEA:
		x86_write(walker, a, x86_address(walker, &b->mem));
		return true;
	case X86_INS_ADD:
		x86_write(walker, a, value_add(x86_read(walker, a), x86_read(walker, b)));
		return true;
	case X86_INS_SUB:
		x86_write(walker, a,
			  value_add(x86_read(walker, a), value_multiply(x86_read(walker, b), -1)));
		return true;
	case X86_INS_SHL:
	case X86_INS_SAL:
		x86_write(walker, a, shifted(x86_read(walker, a), b));
		return true;
	case X86_INS_IMUL:
		if (!c || c->type != X86_OP_IMM)
			return false;
		x86_write(walker, a, value_multiply(x86_read(walker, b), c->imm));
		return true;
	case X86_INS_AND:
		x86_write(walker, a, masked(x86_read(walker, a), b));
		return true;
	case X86_INS_CMP:
	case X86_INS_TEST:
		compare(walker);
		return true;
	default:
		return false;
	}
}

/* Instructions that write to registers which Capstone 4 does not list. */
static bool has_hidden_results(unsigned int id)
{
	switch (id) {
	case X86_INS_CMPXCHG:
	case X86_INS_CMPXCHG8B:
	case X86_INS_CMPXCHG16B:
	case X86_INS_ENTER:
	case X86_INS_XLATB:
	case X86_INS_PCMPESTRI:
	case X86_INS_PCMPISTRI:
	case X86_INS_VPCMPESTRI:
	case X86_INS_VPCMPISTRI:
	case X86_INS_RDPMC:
	case X86_INS_RDTSCP:
	case X86_INS_XGETBV:
	case X86_INS_CPUID:
		return true;
	default:
		return false;
	}
}

/*
 * An instruction of no interest: what it writes is unknown from here on. Not all that Capstone says
 * of reads and writes is right, so every register that it names is taken as written.
 */
static void forget_written(struct walker *walker)
{
	const bool reads_only = walker->insn->id == X86_INS_PUSH || walker->insn->id == X86_INS_NOP;
	cs_regs read, written;
	uint8_t read_count = 0, written_count = 0;

	for (int i = 0; i < walker->insn->detail->x86.op_count; i++) {
		const cs_x86_op *op = x86_operand(walker, i);

		if (op->type == X86_OP_MEM && (op->access & CS_AC_READ))
			x86_read(walker, op);
		if (op->type == X86_OP_MEM && (op->access & CS_AC_WRITE))
			x86_write(walker, op, (struct value){0});
	}
	for (int i = 0; i < walker->insn->detail->x86.op_count && !reads_only; i++)
		if (x86_operand(walker, i)->type == X86_OP_REG)
			x86_set(walker, x86_operand(walker, i)->reg, (struct value){0});
	if (has_hidden_results(walker->insn->id) ||
	    cs_regs_access(walker->capstone, walker->insn, read, &read_count, written,
			   &written_count))
		memset(walker->reg, 0, sizeof(walker->reg));
	for (int i = 0; i < written_count; i++)
		x86_set(walker, written[i], (struct value){0});
}

static bool keeps_flags(unsigned int id)
{
	switch (id) {
	case X86_INS_MOV:
	case X86_INS_MOVZX:
	case X86_INS_MOVSX:
	case X86_INS_MOVSXD:
	case X86_INS_MOVABS:
	case X86_INS_LEA:
	case X86_INS_JMP:
		return true;
	default:
		return false;
	}
}

void x86_apply(struct walker *walker)
{
	if (!keeps_flags(walker->insn->id))
		walker->compared = (struct value){0};
	if (!compute(walker))
		forget_written(walker);
}
