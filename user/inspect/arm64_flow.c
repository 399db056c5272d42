// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Where AArch64 instructions lead, and which of them may be probed.
 *
 * Thread-local variables are reached through TLS descriptors (ELF for the Arm 64-bit Architecture,
 * "TLS descriptors"): `adrp x0; ldr xN, [x0, slot]; add x0, x0, slot; blr xN`. The call returns the
 * variable's distance from the thread pointer in x0 and keeps all registers but x30, and not the
 * flags.
 *
 * Uprobes emulate what is relative to the program counter: branches, adr and adrp, loads of
 * literals (Linux arch/arm64/kernel/probes/decode-insn.c: arm_probe_decode_insn); everything else
 * is stepped over out of line.
 */
#include <elf.h>

#include "inspect/arm64.h"

#define STUB_INSTRUCTIONS 6
#define IP0               16 /* x16 and x17, by which PLT stubs compute */
#define IP1               17
#define LINK              30

/* Branches, exceptions and system instructions (Arm ARM, C4.1): of them 0xd5 does not jump. */
#define BRANCHES      0x14000000u
#define BRANCHES_MASK 0x1c000000u
#define SYSTEM        0xd5u /* the highest byte */
#define RETURN        (0xd65f0000u | LINK << 5)

static bool is_descriptor(const struct walker *walker, uint64_t slot)
{
	struct elf_relocation relocation;

	return !elf_image_relocation(walker->image, slot, &relocation) &&
	       relocation.kind == ELF_RELOCATION_TLS_DESCRIPTOR;
}

/* The address of the word that a register was loaded from, if it is a fixed one. */
static bool loaded_from(const struct value *value, uint64_t *slot)
{
	if (value->kind != VALUE_LOADED || value->size != 8 || value->mask ||
	    value->address.tls_slot || value->address.coefficient)
		return false;
	*slot = (uint64_t)value->address.constant;
	return true;
}

static void call_register(struct walker *walker, const cs_arm64_op *op, struct flow *flow)
{
	struct value function = arm64_register(walker, op->reg);
	int64_t argument;
	uint64_t slot;

	flow->kind = FLOW_CALL_ELSEWHERE;
	if (!loaded_from(&function, &slot))
		return;
	if (!is_descriptor(walker, slot)) {
		flow->kind = FLOW_CALL_SLOT;
		flow->target = slot;
	} else if (value_is_constant(&walker->reg[0], &argument) && (uint64_t)argument == slot) {
		flow->kind = FLOW_NEXT;
		walker->reg[0] = (struct value){.kind = VALUE_DISTANCE, .address.tls_slot = slot};
		walker->reg[LINK] = (struct value){0};
	}
}

static void branch(struct walker *walker, uint64_t target, struct flow *flow)
{
	const unsigned int id = walker->insn->id;
	const cs_arm64_op *op = arm64_operand(walker, 0);
	bool on_equal = walker->insn->detail->arm64.cc == ARM64_CC_EQ;

	flow->kind = FLOW_BRANCH;
	flow->target = target;
	if (id == ARM64_INS_B) {
		flow->if_zero = on_equal;
		flow->if_not_zero = walker->insn->detail->arm64.cc == ARM64_CC_NE;
		return;
	}
	walker->compared = (struct value){0};
	/* Of a bool, the lowest bit is all. */
	if ((id == ARM64_INS_TBZ || id == ARM64_INS_TBNZ) && arm64_operand(walker, 1)->imm != 0)
		return;
	walker->compared = arm64_value(walker, op);
	flow->if_zero = id == ARM64_INS_CBZ || id == ARM64_INS_TBZ;
	flow->if_not_zero = !flow->if_zero;
}

/* Branches with a target: it is their last operand. */
static bool branch_target(const cs_insn *insn, uint64_t *target)
{
	const cs_arm64 *arm64 = &insn->detail->arm64;
	const cs_arm64_op *last;

	switch (insn->id) {
	case ARM64_INS_B:
	case ARM64_INS_BL:
	case ARM64_INS_CBZ:
	case ARM64_INS_CBNZ:
	case ARM64_INS_TBZ:
	case ARM64_INS_TBNZ:
		last = &arm64->operands[arm64->op_count - 1];
		if (!arm64->op_count || last->type != ARM64_OP_IMM)
			return false;
		*target = (uint64_t)last->imm;
		return true;
	default:
		return false;
	}
}

/*
 * What does not go on to the next instruction, or comes back with registers of its own: exceptions,
 * udf, jumps that are not known. By the encoding, as not all of them have a name or group.
 */
static bool is_end(const struct walker *walker)
{
	uint32_t word = arm64_word(walker->insn);

	return ((word & BRANCHES_MASK) == BRANCHES && word >> 24 != SYSTEM) || word >> 16 == 0;
}

static bool is_plain(const cs_insn *insn)
{
	return insn->detail->arm64.cc == ARM64_CC_INVALID || insn->detail->arm64.cc == ARM64_CC_AL;
}

static void execute(struct walker *walker, struct flow *flow)
{
	const unsigned int id = walker->insn->id;
	uint64_t target;

	if (arm64_word(walker->insn) == RETURN) {
		flow->kind = FLOW_RETURN;
	} else if (id == ARM64_INS_BLR) {
		walker->compared = (struct value){0};
		call_register(walker, arm64_operand(walker, 0), flow);
	} else if (branch_target(walker->insn, &target)) {
		flow->target = target;
		if (id == ARM64_INS_BL)
			flow->kind = FLOW_CALL;
		else if (id == ARM64_INS_B && is_plain(walker->insn))
			flow->kind = FLOW_JUMP;
		else
			branch(walker, target, flow);
	} else if (is_end(walker)) {
		flow->kind = FLOW_STOP;
	} else {
		arm64_apply(walker);
	}
}

/* `adrp x16; ldr x17, [x16, slot]; add x16, x16, slot; br x17`, with hints (bti, autia1716). */
static bool stub(struct walker *walker, uint64_t address, uint64_t *slot)
{
	const cs_arm64_op *op = walker->insn->detail->arm64.operands;
	size_t available;
	const uint8_t *code = elf_image_code(walker->image, address, &available);
	uint64_t page = 0;

	*slot = 0;
	for (int i = 0; code && i < STUB_INSTRUCTIONS; i++) {
		if (!cs_disasm_iter(walker->capstone, &code, &available, &address, walker->insn))
			return false;
		if (arm64_is_hint(walker->insn))
			continue;
		switch (walker->insn->id) {
		case ARM64_INS_ADD:
			if (arm64_number(op[0].reg) != IP0)
				return false;
			break;
		case ARM64_INS_ADRP:
			if (page || arm64_number(op[0].reg) != IP0)
				return false;
			page = (uint64_t)op[1].imm;
			break;
		case ARM64_INS_LDR:
			if (!page || *slot || op[0].reg != ARM64_REG_X17 ||
			    op[1].type != ARM64_OP_MEM || arm64_number(op[1].mem.base) != IP0 ||
			    op[1].mem.index || walker->insn->detail->arm64.writeback)
				return false;
			*slot = page + (uint64_t)(int64_t)op[1].mem.disp;
			break;
		case ARM64_INS_BR:
			return *slot && arm64_number(op[0].reg) == IP1;
		default:
			return false;
		}
	}
	return false;
}

/* --- probing -----------------------------------------------------------------------------------
 */

static bool is_emulated(csh capstone, const cs_insn *insn)
{
	uint64_t target;

	(void)capstone;
	switch (insn->id) {
	case ARM64_INS_ADR:
	case ARM64_INS_ADRP:
		return true;
	default:
		return branch_target(insn, &target);
	}
}

static bool is_argument(arm64_reg name)
{
	return arm64_number(name) == 0 || arm64_number(name) == 1;
}

/*
 * Saves of registers, stack allocation, and marks (bti, paciasp): the prologue. Probes read x0, x1
 * and the link register, so it does not matter how much of the stack is taken.
 */
static bool keeps_arguments(const cs_insn *insn, uint32_t *frame)
{
	const cs_arm64 *arm64 = &insn->detail->arm64;
	const cs_arm64_op *to = &arm64->operands[0], *op;

	(void)frame;
	if (arm64_is_hint(insn))
		return true;
	if (!arm64->op_count || to->type != ARM64_OP_REG)
		return false;
	switch (insn->id) {
	case ARM64_INS_STP:
	case ARM64_INS_STR:
		for (op = to; op < to + arm64->op_count; op++)
			if (op->type == ARM64_OP_MEM && arm64->writeback &&
			    is_argument(op->mem.base))
				return false;
		return true;
	case ARM64_INS_MOV:
	case ARM64_INS_MOVN:
	case ARM64_INS_MOVZ:
	case ARM64_INS_SUB:
	case ARM64_INS_MRS:
	case ARM64_INS_AND:
	case ARM64_INS_SXTB:
	case ARM64_INS_SXTW:
	case ARM64_INS_UXTB:
		return !is_argument(to->reg);
	default:
		return false;
	}
}

static bool jump_target(csh capstone, const cs_insn *insn, uint64_t *target)
{
	(void)capstone;
	return branch_target(insn, target);
}

static bool jumps_by_register(csh capstone, const cs_insn *insn)
{
	(void)capstone;
	return insn->id == ARM64_INS_BR;
}

/* b and b.cond; what else jumps does not lead to other parts of the code. */
static uint64_t long_jump(const uint8_t *code, size_t size, uint64_t address)
{
	uint32_t word = 0;

	if (size < 4 || address % 4)
		return 0;
	for (int i = 0; i < 4; i++)
		word |= (uint32_t)code[i] << 8 * i;
	if (word >> 26 == 0x05)
		return address + (uint64_t)((int64_t)((uint64_t)word << 38) >> 36);
	if (word >> 24 == 0x54)
		return address + (uint64_t)((int64_t)((uint64_t)(word >> 5) << 45) >> 43);
	return 0;
}

/* x0 - x18 and the link register. */
static const uint8_t changed[] = {0,  1,  2,  3,  4,  5,  6,  7,  8,  9,
				  10, 11, 12, 13, 14, 15, 16, 17, 18, 30};

const struct machine machine_arm64 = {
	.elf = EM_AARCH64,
	.arch = CS_ARCH_ARM64,
	.mode = CS_MODE_LITTLE_ENDIAN,
	.result = 0,
	.first_argument = 0,
	/* An object is returned where x8 points to. */
	.key_argument = {[CODE_KEY_NONE] = -1, [CODE_KEY_ALONE] = 0, [CODE_KEY_SECOND] = 1},
	.changed = changed,
	.changed_count = sizeof(changed),
	.execute = execute,
	.stub = stub,
	.is_emulated = is_emulated,
	.keeps_arguments = keeps_arguments,
	.jump_target = jump_target,
	.jumps_by_register = jumps_by_register,
	.long_jump = long_jump,
};
