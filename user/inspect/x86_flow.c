// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Where x86-64 instructions lead, and which of them may be probed.
 *
 * A uprobe costs a tenth where the kernel emulates the instruction under it instead of stepping
 * over a copy of it: push of a register, jumps and calls with an immediate, and the one-byte nop
 * (Linux arch/x86/kernel/uprobes.c: push_setup_xol_ops, branch_setup_xol_ops). `endbr64`, with
 * which hardened builds begin, is not among them.
 */
#include <elf.h>

#include "inspect/x86.h"

#define MAX_FRAME 4096 /* bytes; the setter keeps little */

#if CS_API_MAJOR < 5
#define X86_INS_UD1_ID X86_INS_UD2B
#else
#define X86_INS_UD1_ID X86_INS_UD1
#endif

static bool is_conditional(const struct walker *walker)
{
	return cs_insn_group(walker->capstone, walker->insn, CS_GRP_JUMP) ||
	       cs_insn_group(walker->capstone, walker->insn, CS_GRP_BRANCH_RELATIVE); /* loop */
}

/* What does not go on to the next instruction, or comes back with registers of its own. */
static bool is_end(const struct walker *walker)
{
	static const uint8_t groups[] = {CS_GRP_RET, CS_GRP_IRET, CS_GRP_INT, CS_GRP_CALL,
					 CS_GRP_PRIVILEGE};

	for (size_t i = 0; i < sizeof(groups); i++)
		if (cs_insn_group(walker->capstone, walker->insn, groups[i]))
			return true;
	return walker->insn->id == X86_INS_UD0 || walker->insn->id == X86_INS_UD1_ID ||
	       walker->insn->id == X86_INS_UD2;
}

static void call(struct walker *walker, const cs_x86_op *op, struct flow *flow)
{
	flow->kind = FLOW_CALL_ELSEWHERE;
	if (op && op->type == X86_OP_IMM) {
		flow->kind = FLOW_CALL;
		flow->target = (uint64_t)op->imm;
	} else if (op && op->type == X86_OP_MEM && op->mem.base == X86_REG_RIP) {
		struct value slot = x86_address(walker, &op->mem);

		flow->kind = FLOW_CALL_SLOT;
		flow->target = (uint64_t)slot.address.constant;
	} else if (op && op->type == X86_OP_MEM &&
		   x86_register(walker, op->mem.base).kind == VALUE_ADDRESS) {
		/* `call *(%rax)` after `lea slot(%rip),%rax` is the call of a TLS descriptor. */
		walker_doubt(walker, "thread-local state is reached through TLS descriptors");
	}
}

static void branch(struct walker *walker, const cs_x86_op *op, struct flow *flow)
{
	const unsigned int id = walker->insn->id;

	if (!op || op->type != X86_OP_IMM) {
		flow->kind = FLOW_STOP; /* a far jump */
		return;
	}
	if (id == X86_INS_LOOP || id == X86_INS_LOOPE || id == X86_INS_LOOPNE ||
	    id == X86_INS_XBEGIN)
		walker->reg[RAX] = walker->reg[RCX] = (struct value){0};
	flow->kind = FLOW_BRANCH;
	flow->target = (uint64_t)op->imm;
	flow->if_zero = id == X86_INS_JE;
	flow->if_not_zero = id == X86_INS_JNE;
}

static void execute(struct walker *walker, struct flow *flow)
{
	const cs_x86_op *op = x86_operand(walker, 0);

	if (walker->insn->id == X86_INS_RET) {
		flow->kind = FLOW_RETURN;
	} else if (walker->insn->id == X86_INS_CALL) {
		call(walker, op, flow);
	} else if (walker->insn->id == X86_INS_JMP) {
		flow->kind = op && op->type == X86_OP_IMM ? FLOW_JUMP : FLOW_STOP;
		flow->target = flow->kind == FLOW_JUMP ? (uint64_t)op->imm : 0;
	} else if (is_conditional(walker)) {
		branch(walker, op, flow);
	} else if (is_end(walker)) {
		flow->kind = FLOW_STOP;
	} else {
		x86_apply(walker);
	}
}

/* `[endbr64] [bnd] jmp *slot(%rip)` */
static bool stub(struct walker *walker, uint64_t address, uint64_t *slot)
{
	size_t available;
	const uint8_t *code = elf_image_code(walker->image, address, &available);

	for (int i = 0; code && i < 2; i++) {
		const cs_x86_op *op;

		if (!cs_disasm_iter(walker->capstone, &code, &available, &address, walker->insn))
			return false;
		if (walker->insn->id == X86_INS_ENDBR64)
			continue;
		op = x86_operand(walker, 0);
		if (walker->insn->id != X86_INS_JMP || !op || op->type != X86_OP_MEM ||
		    op->mem.base != X86_REG_RIP)
			return false;
		*slot = (uint64_t)x86_address(walker, &op->mem).address.constant;
		return true;
	}
	return false;
}

/* --- probing -----------------------------------------------------------------------------------
 */

static bool is_emulated(csh capstone, const cs_insn *insn)
{
	const cs_x86 *x86 = &insn->detail->x86;

	if (insn->id == X86_INS_PUSH) /* from %r8 on with one prefix, and only this one */
		return (insn->size == 1 || (insn->size == 2 && insn->bytes[0] == 0x41)) &&
		       insn->bytes[insn->size - 1] >> 3 == 0x50 >> 3;
	if (insn->id == X86_INS_NOP)
		return insn->size == 1;
	if (insn->id != X86_INS_CALL && !cs_insn_group(capstone, insn, CS_GRP_JUMP))
		return false;
	if (x86->op_count != 1 || x86->operands[0].type != X86_OP_IMM || x86->prefix[0] ||
	    x86->prefix[2] || x86->prefix[3])
		return false;
	return x86->opcode[0] == 0xe8 || x86->opcode[0] == 0xe9 || x86->opcode[0] == 0xeb ||
	       x86->opcode[0] >> 4 == 7 || (x86->opcode[0] == 0x0f && x86->opcode[1] >> 4 == 8);
}

/* sub rsp, immediate */
static bool takes_stack(const cs_x86 *x86, uint32_t *frame)
{
	const cs_x86_op *by = &x86->operands[1];

	if (x86->operands[0].reg != X86_REG_RSP || x86->op_count != 2 || by->type != X86_OP_IMM ||
	    by->imm < 0 || by->imm > MAX_FRAME)
		return false;
	*frame += (uint32_t)by->imm;
	return true;
}

static bool keeps_arguments(const cs_insn *insn, uint32_t *frame)
{
	const cs_x86 *x86 = &insn->detail->x86;
	const cs_x86_op *to = &x86->operands[0];

	if (insn->id == X86_INS_ENDBR64)
		return true;
	if (x86->op_count < 1 || to->type != X86_OP_REG)
		return false;
	if (insn->id == X86_INS_SUB)
		return takes_stack(x86, frame);
	if (insn->id != X86_INS_MOV && insn->id != X86_INS_PXOR && insn->id != X86_INS_XOR)
		return false;
	switch (to->reg) {
	case X86_REG_RDI:
	case X86_REG_EDI:
	case X86_REG_DI:
	case X86_REG_DIL:
	case X86_REG_RSI:
	case X86_REG_ESI:
	case X86_REG_SI:
	case X86_REG_SIL:
	case X86_REG_RSP: /* what the frame takes is counted */
	case X86_REG_ESP:
	case X86_REG_SP:
	case X86_REG_SPL:
		return false;
	default:
		return true;
	}
}

static bool jump_target(csh capstone, const cs_insn *insn, uint64_t *target)
{
	const cs_x86_op *to = &insn->detail->x86.operands[0];

	/* `loop` and the like are in the second group only, calls as well */
	if ((!cs_insn_group(capstone, insn, CS_GRP_JUMP) &&
	     !cs_insn_group(capstone, insn, CS_GRP_BRANCH_RELATIVE)) ||
	    to->type != X86_OP_IMM)
		return false;
	*target = (uint64_t)to->imm;
	return true;
}

/* A jump through memory that is relative to the instruction leads to another function. */
static bool jumps_by_register(csh capstone, const cs_insn *insn)
{
	const cs_x86_op *to = &insn->detail->x86.operands[0];

	return cs_insn_group(capstone, insn, CS_GRP_JUMP) && insn->detail->x86.op_count == 1 &&
	       (to->type == X86_OP_REG || (to->type == X86_OP_MEM && to->mem.base != X86_REG_RIP));
}

/* jmp and jcc with 32 bits */
static uint64_t long_jump(const uint8_t *code, size_t size, uint64_t address)
{
	size_t length = size >= 5 && code[0] == 0xe9                        ? 5
			: size >= 6 && code[0] == 0x0f && code[1] >> 4 == 8 ? 6
									    : 0;
	uint32_t distance = 0;

	if (!length)
		return 0;
	for (int i = 0; i < 4; i++)
		distance |= (uint32_t)code[length - 4 + (size_t)i] << 8 * i;
	return address + length + (uint64_t)(int64_t)(int32_t)distance;
}

/* What Capstone says of the access is not always right: every operand in memory counts. */
static bool writes_frame_only(const cs_insn *insn)
{
	const cs_x86 *x86 = &insn->detail->x86;

	if (x86->prefix[0] || insn->id == X86_INS_ENTER) /* rep, lock */
		return false;
	for (int i = 0; i < x86->op_count; i++) {
		const cs_x86_op *op = &x86->operands[i];
		bool is_read = i > 0 && (insn->id == X86_INS_MOV || insn->id == X86_INS_LEA ||
					 insn->id == X86_INS_MOVZX || insn->id == X86_INS_MOVSX);

		if (op->type == X86_OP_MEM && !is_read && op->mem.base != X86_REG_RSP)
			return false;
	}
	return true;
}

static const uint8_t changed[] = {RAX, RCX, RDX, RSI, RDI, R8, R9, R10, R11};

const struct machine machine_x86 = {
	.elf = EM_X86_64,
	.arch = CS_ARCH_X86,
	.mode = CS_MODE_64,
	.result = RAX,
	.first_argument = RDI,
	/* An object is returned where a hidden first argument points to. */
	.key_argument = {[CODE_KEY_NONE] = -1, [CODE_KEY_ALONE] = RSI, [CODE_KEY_SECOND] = RSI},
	.changed = changed,
	.changed_count = sizeof(changed),
	.execute = execute,
	.stub = stub,
	.is_emulated = is_emulated,
	.keeps_arguments = keeps_arguments,
	.jump_target = jump_target,
	.jumps_by_register = jumps_by_register,
	.long_jump = long_jump,
	.writes_frame_only = writes_frame_only,
};
