// SPDX-License-Identifier: GPL-2.0-or-later
/* Registers, immediates and memory, as x86-64 instructions name them. */
#include "inspect/x86.h"

#define STACK_PROTECTOR 0x28 /* %fs:0x28, glibc's tcbhead_t.stack_guard: not libtorch's state */

static const struct {
	x86_reg name[4]; /* 64, 32, 16, 8 bits */
} registers[X86_REGISTERS] = {
	[RAX] = {{X86_REG_RAX, X86_REG_EAX, X86_REG_AX, X86_REG_AL}},
	[RCX] = {{X86_REG_RCX, X86_REG_ECX, X86_REG_CX, X86_REG_CL}},
	[RDX] = {{X86_REG_RDX, X86_REG_EDX, X86_REG_DX, X86_REG_DL}},
	[RBX] = {{X86_REG_RBX, X86_REG_EBX, X86_REG_BX, X86_REG_BL}},
	[RSP] = {{X86_REG_RSP, X86_REG_ESP, X86_REG_SP, X86_REG_SPL}},
	[RBP] = {{X86_REG_RBP, X86_REG_EBP, X86_REG_BP, X86_REG_BPL}},
	[RSI] = {{X86_REG_RSI, X86_REG_ESI, X86_REG_SI, X86_REG_SIL}},
	[RDI] = {{X86_REG_RDI, X86_REG_EDI, X86_REG_DI, X86_REG_DIL}},
	[R8] = {{X86_REG_R8, X86_REG_R8D, X86_REG_R8W, X86_REG_R8B}},
	[R9] = {{X86_REG_R9, X86_REG_R9D, X86_REG_R9W, X86_REG_R9B}},
	[R10] = {{X86_REG_R10, X86_REG_R10D, X86_REG_R10W, X86_REG_R10B}},
	[R11] = {{X86_REG_R11, X86_REG_R11D, X86_REG_R11W, X86_REG_R11B}},
	[R12] = {{X86_REG_R12, X86_REG_R12D, X86_REG_R12W, X86_REG_R12B}},
	[R13] = {{X86_REG_R13, X86_REG_R13D, X86_REG_R13W, X86_REG_R13B}},
	[R14] = {{X86_REG_R14, X86_REG_R14D, X86_REG_R14W, X86_REG_R14B}},
	[R15] = {{X86_REG_R15, X86_REG_R15D, X86_REG_R15W, X86_REG_R15B}},
};

static int register_index(x86_reg name)
{
	static const x86_reg high[] = {X86_REG_AH, X86_REG_CH, X86_REG_DH, X86_REG_BH};

	for (int i = RAX; i <= RBX; i++)
		if (high[i] == name)
			return i;
	for (int i = 0; i < X86_REGISTERS; i++)
		for (int size = 0; size < 4; size++)
			if (registers[i].name[size] == name)
				return i;
	return -1;
}

/* Bytes of a register; 0 when it is none of those that are tracked, or %ah and the like. */
static uint8_t register_size(x86_reg name)
{
	int index = register_index(name);

	for (int size = 0; index >= 0 && size < 4; size++)
		if (registers[index].name[size] == name)
			return (uint8_t)(8 >> size);
	return 0;
}

struct value x86_register(const struct walker *walker, x86_reg name)
{
	int index = register_index(name);

	if (index < 0)
		return (struct value){0};
	return value_lowest(walker->reg[index], register_size(name));
}

/* 32 bits clear the upper half. 16 and 8 leave the rest as it was: good for what was loaded only,
 * of which nothing but the lowest bytes is looked at. */
void x86_set(struct walker *walker, x86_reg name, struct value value)
{
	int index = register_index(name);
	uint8_t size = register_size(name);

	if (index < 0)
		return;
	value = value_lowest(value, size);
	if (size < 4 && value.kind != VALUE_LOADED)
		value = (struct value){0};
	walker->reg[index] = value;
}

struct value x86_address(const struct walker *walker, const x86_op_mem *memory)
{
	struct value sum = value_constant(memory->disp);

	if (memory->segment != X86_REG_INVALID || walker->insn->detail->x86.addr_size != 8)
		return (struct value){0};
	if (memory->base == X86_REG_RIP)
		sum = value_add(
			sum, value_constant((int64_t)(walker->insn->address + walker->insn->size)));
	else if (memory->base != X86_REG_INVALID)
		sum = value_add(sum, x86_register(walker, memory->base));
	if (memory->index != X86_REG_INVALID)
		sum = value_add(sum,
				value_multiply(x86_register(walker, memory->index), memory->scale));
	return sum;
}

const cs_x86_op *x86_operand(const struct walker *walker, int number)
{
	const cs_x86 *x86 = &walker->insn->detail->x86;

	return number < x86->op_count ? &x86->operands[number] : NULL;
}

struct value x86_read(struct walker *walker, const cs_x86_op *op)
{
	struct value address;

	if (!op)
		return (struct value){0};
	if (op->type == X86_OP_REG)
		return x86_register(walker, op->reg);
	if (op->type == X86_OP_IMM)
		return value_constant(op->imm);
	address = x86_address(walker, &op->mem);
	if (op->mem.segment == X86_REG_FS && op->mem.disp != STACK_PROTECTOR)
		walker_doubt(walker, "thread-local state is reached relative to the thread "
				     "pointer");
	return walker_load(walker, &address, op->size);
}

struct value x86_read_signed(struct walker *walker, const cs_x86_op *op)
{
	return value_signed(x86_read(walker, op), op->size);
}

void x86_write(struct walker *walker, const cs_x86_op *op, struct value value)
{
	struct value address;

	if (op->type == X86_OP_REG) {
		x86_set(walker, op->reg, value);
		return;
	}
	if (op->type != X86_OP_MEM)
		return;
	address = x86_address(walker, &op->mem);
	walker_store(walker, &address, op->size, &value);
}
