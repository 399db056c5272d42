// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What registers and memory hold during a walk. Only whole addresses are tracked, and the lowest
 * bytes of what was loaded: everything else becomes unknown, which later is a doubt, never an
 * error.
 */
#include <string.h>

#include "base/str.h"
#include "inspect/walker.h"

#define STACK_PROTECTOR 0x28 /* %fs:0x28, glibc's tcbhead_t.stack_guard: not libtorch's state */

static const struct {
	x86_reg name[4]; /* 64, 32, 16, 8 bits */
} registers[REGISTERS] = {
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
	for (int i = 0; i < REGISTERS; i++)
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

/*
 * The value of the lowest bytes. Of an address nothing is left; a small multiple of the key is
 * still that, as keys are small and not negative.
 */
static struct value lowest(struct value value, uint8_t size)
{
	struct code_address *address = &value.address;

	if (size == 8)
		return value;
	if (value.kind == VALUE_LOADED && size) {
		value.size = value.size < size ? value.size : size;
		return value;
	}
	if (value.kind != VALUE_ADDRESS || address->tls_slot || !size)
		return (struct value){0};
	if (!address->coefficient)
		address->constant &= (int64_t)(UINT64_MAX >> (64 - 8 * size));
	else if ((address->coefficient != 1 || address->constant) &&
		 (size < 4 || address->coefficient < 0 || address->coefficient > UINT16_MAX ||
		  address->constant < 0 || address->constant > UINT16_MAX))
		return (struct value){0};
	return value;
}

struct value walker_register(const struct walker *walker, x86_reg name)
{
	int index = register_index(name);

	if (index < 0)
		return (struct value){0};
	return lowest(walker->reg[index], register_size(name));
}

/* 32 bits clear the upper half. 16 and 8 leave the rest as it was: good for what was loaded only,
 * of which nothing but the lowest bytes is looked at. */
void walker_set(struct walker *walker, x86_reg name, struct value value)
{
	int index = register_index(name);
	uint8_t size = register_size(name);

	if (index < 0)
		return;
	value = lowest(value, size);
	if (size < 4 && value.kind != VALUE_LOADED)
		value = (struct value){0};
	walker->reg[index] = value;
}

static struct value constant(int64_t number)
{
	return (struct value){.kind = VALUE_ADDRESS, .address.constant = number};
}

/* Sums are taken modulo 2^64, as the processor does; a hostile file may make any of them. */
static int64_t wrap_add(int64_t a, int64_t b)
{
	return (int64_t)((uint64_t)a + (uint64_t)b);
}

static int64_t wrap_multiply(int64_t a, int64_t b)
{
	return (int64_t)((uint64_t)a * (uint64_t)b);
}

struct value value_add(struct value a, struct value b)
{
	if (a.kind != VALUE_ADDRESS || b.kind != VALUE_ADDRESS ||
	    (a.address.tls_slot && b.address.tls_slot))
		return (struct value){0};
	a.address.tls_slot |= b.address.tls_slot;
	a.address.constant = wrap_add(a.address.constant, b.address.constant);
	a.address.coefficient = wrap_add(a.address.coefficient, b.address.coefficient);
	return a;
}

struct value value_multiply(struct value a, int64_t factor)
{
	if (a.kind != VALUE_ADDRESS || (a.address.tls_slot && factor != 1))
		return (struct value){0};
	a.address.constant = wrap_multiply(a.address.constant, factor);
	a.address.coefficient = wrap_multiply(a.address.coefficient, factor);
	return a;
}

struct value walker_address(const struct walker *walker, const x86_op_mem *memory)
{
	struct value sum = constant(memory->disp);

	if (memory->segment != X86_REG_INVALID || walker->insn->detail->x86.addr_size != 8)
		return (struct value){0};
	if (memory->base == X86_REG_RIP)
		sum = value_add(sum,
				constant((int64_t)(walker->insn->address + walker->insn->size)));
	else if (memory->base != X86_REG_INVALID)
		sum = value_add(sum, walker_register(walker, memory->base));
	if (memory->index != X86_REG_INVALID)
		sum = value_add(
			sum, value_multiply(walker_register(walker, memory->index), memory->scale));
	return sum;
}

const cs_x86_op *walker_operand(const struct walker *walker, int number)
{
	const cs_x86 *x86 = &walker->insn->detail->x86;

	return number < x86->op_count ? &x86->operands[number] : NULL;
}

/* --- what is recorded --------------------------------------------------------------------------
 */

void walker_record(struct walker *walker, enum code_access_kind kind, const struct value *address,
		   uint8_t size, int64_t value)
{
	struct code_trace *trace = walker->trace;

	if (address->kind != VALUE_ADDRESS || !address->address.tls_slot ||
	    trace->count == CODE_MAX_ACCESSES || (walker->looking && kind < CODE_INITIAL))
		return;
	trace->access[trace->count++] = (struct code_access){
		.kind = kind,
		.size = size,
		.value = value,
		.address = address->address,
	};
}

void walker_unsure(struct walker *walker)
{
	if (walker->looking)
		walker->trace->unsure_initial = true;
	if (walker->looking || walker->trace->unsure)
		return;
	walker->trace->straight = walker->trace->count;
	walker->trace->unsure = true;
}

struct value walker_read(struct walker *walker, const cs_x86_op *op)
{
	struct value address;

	if (!op)
		return (struct value){0};
	if (op->type == X86_OP_REG)
		return walker_register(walker, op->reg);
	if (op->type == X86_OP_IMM)
		return constant(op->imm);
	address = walker_address(walker, &op->mem);
	if (op->mem.segment == X86_REG_FS && op->mem.disp != STACK_PROTECTOR &&
	    !walker->trace->doubt[0])
		str_format(walker->trace->doubt, sizeof(walker->trace->doubt),
			   "thread-local state is reached relative to the thread pointer");
	walker_record(walker, CODE_LOAD, &address, op->size, 0);
	if (address.kind != VALUE_ADDRESS)
		return (struct value){0};
	return (struct value){VALUE_LOADED, address.address, op->size, 0};
}

struct value walker_read_signed(struct walker *walker, const cs_x86_op *op)
{
	struct value value = walker_read(walker, op);
	int64_t sign = (int64_t)1 << (8 * op->size - 1);

	if (value.kind == VALUE_ADDRESS && !value.address.coefficient && op->size < 8)
		value.address.constant = (value.address.constant ^ sign) - sign;
	return value;
}

void walker_write(struct walker *walker, const cs_x86_op *op, struct value value)
{
	struct value address;

	if (op->type == X86_OP_REG) {
		walker_set(walker, op->reg, value);
		return;
	}
	if (op->type != X86_OP_MEM)
		return;
	address = walker_address(walker, &op->mem);
	walker_record(walker, CODE_STORE, &address, op->size, 0);
	if (walker->looking && value.kind == VALUE_ADDRESS && !value.address.tls_slot &&
	    !value.address.coefficient)
		walker_record(walker, CODE_INITIAL, &address, op->size, value.address.constant);
	else if (walker->looking)
		walker_record(walker, CODE_INITIAL_OTHER, &address, op->size, 0);
}
