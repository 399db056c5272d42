// SPDX-License-Identifier: GPL-2.0-or-later
#include "inspect/code.h"

#include <capstone/capstone.h>
#include <elf.h>
#include <errno.h>
#include <string.h>

#include "base/str.h"

#define MAX_INSTRUCTIONS 600 /* of one walk, called functions included */
#define MAX_CALLS        4   /* nested */
#define GUARD_LOOKAHEAD  40  /* instructions on the uninitialised side that are looked at */
#define MAX_LOOKUPS      200 /* of relocations, of one walk */

#define STACK_PROTECTOR  0x28 /* %fs:0x28, glibc's tcbhead_t.stack_guard: not libtorch's state */

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
	int lookups;           /* of relocations that are left */
	bool looking;          /* on a guard's uninitialised side: only constants are recorded */
	uint64_t join;         /* where that side is over */
};

enum step { STEP_NEXT, STEP_JUMP, STEP_RETURN, STEP_STOP };

/* --- operands ----------------------------------------------------------------------------------
 */

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

static struct value register_value(const struct walker *walker, x86_reg name)
{
	int index = register_index(name);

	if (index < 0)
		return (struct value){0};
	return lowest(walker->reg[index], register_size(name));
}

/* 32 bits clear the upper half. 16 and 8 leave the rest as it was: good for what was loaded only,
 * of which nothing but the lowest bytes is looked at. */
static void set_register(struct walker *walker, x86_reg name, struct value value)
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

static struct value add(struct value a, struct value b)
{
	if (a.kind != VALUE_ADDRESS || b.kind != VALUE_ADDRESS ||
	    (a.address.tls_slot && b.address.tls_slot))
		return (struct value){0};
	a.address.tls_slot |= b.address.tls_slot;
	a.address.constant = wrap_add(a.address.constant, b.address.constant);
	a.address.coefficient = wrap_add(a.address.coefficient, b.address.coefficient);
	return a;
}

static struct value multiply(struct value a, int64_t factor)
{
	if (a.kind != VALUE_ADDRESS || (a.address.tls_slot && factor != 1))
		return (struct value){0};
	a.address.constant = wrap_multiply(a.address.constant, factor);
	a.address.coefficient = wrap_multiply(a.address.coefficient, factor);
	return a;
}

static struct value memory_address(const struct walker *walker, const x86_op_mem *memory)
{
	struct value sum = constant(memory->disp);

	if (memory->segment != X86_REG_INVALID || walker->insn->detail->x86.addr_size != 8)
		return (struct value){0};
	if (memory->base == X86_REG_RIP)
		sum = add(sum, constant((int64_t)(walker->insn->address + walker->insn->size)));
	else if (memory->base != X86_REG_INVALID)
		sum = add(sum, register_value(walker, memory->base));
	if (memory->index != X86_REG_INVALID)
		sum = add(sum, multiply(register_value(walker, memory->index), memory->scale));
	return sum;
}

static const cs_x86_op *operand(const struct walker *walker, int number)
{
	const cs_x86 *x86 = &walker->insn->detail->x86;

	return number < x86->op_count ? &x86->operands[number] : NULL;
}

/* --- what is recorded --------------------------------------------------------------------------
 */

static void record(struct walker *walker, enum code_access_kind kind, const struct value *address,
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

/* What follows may not happen, or something unknown happened before it. */
static void unsure(struct walker *walker)
{
	if (walker->looking)
		walker->trace->unsure_initial = true;
	if (walker->looking || walker->trace->unsure)
		return;
	walker->trace->straight = walker->trace->count;
	walker->trace->unsure = true;
}

/* Reads an operand: its value, and a record if it is in memory. */
static struct value read_operand(struct walker *walker, const cs_x86_op *op)
{
	struct value address;

	if (!op)
		return (struct value){0};
	if (op->type == X86_OP_REG)
		return register_value(walker, op->reg);
	if (op->type == X86_OP_IMM)
		return constant(op->imm);
	address = memory_address(walker, &op->mem);
	if (op->mem.segment == X86_REG_FS && op->mem.disp != STACK_PROTECTOR &&
	    !walker->trace->doubt[0])
		str_format(walker->trace->doubt, sizeof(walker->trace->doubt),
			   "thread-local state is reached relative to the thread pointer");
	record(walker, CODE_LOAD, &address, op->size, 0);
	if (address.kind != VALUE_ADDRESS)
		return (struct value){0};
	return (struct value){VALUE_LOADED, address.address, op->size, 0};
}

/* The same, extended with its sign. */
static struct value read_signed(struct walker *walker, const cs_x86_op *op)
{
	struct value value = read_operand(walker, op);
	int64_t sign = (int64_t)1 << (8 * op->size - 1);

	if (value.kind == VALUE_ADDRESS && !value.address.coefficient && op->size < 8)
		value.address.constant = (value.address.constant ^ sign) - sign;
	return value;
}

static void write_operand(struct walker *walker, const cs_x86_op *op, struct value value)
{
	struct value address;

	if (op->type == X86_OP_REG) {
		set_register(walker, op->reg, value);
		return;
	}
	if (op->type != X86_OP_MEM)
		return;
	address = memory_address(walker, &op->mem);
	record(walker, CODE_STORE, &address, op->size, 0);
	if (walker->looking && value.kind == VALUE_ADDRESS && !value.address.tls_slot &&
	    !value.address.coefficient)
		record(walker, CODE_INITIAL, &address, op->size, value.address.constant);
	else if (walker->looking)
		record(walker, CODE_INITIAL_OTHER, &address, op->size, 0);
}

/* --- calls and jumps ---------------------------------------------------------------------------
 */

static enum step walk_function(struct walker *walker, uint64_t address, int depth);

/* The symbol that a GOT word will hold, through its relocation. */
static bool got_target(struct walker *walker, uint64_t slot, struct elf_relocation *target)
{
	if (walker->lookups-- <= 0 || elf_image_relocation(walker->image, slot, target))
		return false;
	return target->type == R_X86_64_JUMP_SLOT || target->type == R_X86_64_GLOB_DAT;
}

/* Whether there is a PLT stub at an address (`[endbr64] [bnd] jmp *slot(%rip)`), and for what. */
static bool plt_target(struct walker *walker, uint64_t address, struct elf_relocation *target)
{
	size_t available;
	const uint8_t *code = elf_image_code(walker->image, address, &available);

	for (int i = 0; code && i < 2; i++) {
		const cs_x86_op *op;
		struct value slot;

		if (!cs_disasm_iter(walker->capstone, &code, &available, &address, walker->insn))
			return false;
		if (walker->insn->id == X86_INS_ENDBR64)
			continue;
		op = operand(walker, 0);
		if (walker->insn->id != X86_INS_JMP || !op || op->type != X86_OP_MEM ||
		    op->mem.base != X86_REG_RIP)
			return false;
		slot = memory_address(walker, &op->mem);
		return got_target(walker, (uint64_t)slot.address.constant, target);
	}
	return false;
}

static void clobber_after_call(struct walker *walker)
{
	static const int clobbered[] = {RAX, RCX, RDX, RSI, RDI, R8, R9, R10, R11};

	for (size_t i = 0; i < sizeof(clobbered) / sizeof(clobbered[0]); i++)
		walker->reg[clobbered[i]] = (struct value){0};
}

static void call_function(struct walker *walker, uint64_t address, int depth)
{
	struct value kept[REGISTERS], result;
	enum step end = STEP_STOP;

	memcpy(kept, walker->reg, sizeof(kept));
	if (depth < MAX_CALLS)
		end = walk_function(walker, address, depth + 1);
	result = walker->reg[RAX];
	memcpy(walker->reg, kept, sizeof(kept));
	clobber_after_call(walker);
	if (end == STEP_RETURN)
		walker->reg[RAX] = result;
	else
		unsure(walker);
}

static void call_symbol(struct walker *walker, const struct elf_relocation *target, int depth)
{
	const struct value argument = walker->reg[RDI];

	if (!strcmp(target->symbol, "__tls_get_addr")) {
		clobber_after_call(walker);
		if (argument.kind == VALUE_ADDRESS && !argument.address.tls_slot &&
		    !argument.address.coefficient)
			walker->reg[RAX] = (struct value){
				.kind = VALUE_ADDRESS,
				.address.tls_slot = (uint64_t)argument.address.constant,
			};
	} else if (target->defined) {
		call_function(walker, target->value, depth);
	} else {
		clobber_after_call(walker);
		if (!walker->looking || strcmp(target->symbol, "__cxa_thread_atexit") != 0)
			unsure(walker);
	}
}

/* A call, or a jump out of the function: the same but for what follows. */
static void call_operand(struct walker *walker, const cs_x86_op *op, int depth)
{
	struct elf_relocation target;
	struct value slot;

	if (op && op->type == X86_OP_IMM) {
		uint64_t address = (uint64_t)op->imm;

		if (plt_target(walker, address, &target))
			call_symbol(walker, &target, depth);
		else
			call_function(walker, address, depth);
		return;
	}
	if (op && op->type == X86_OP_MEM && op->mem.base == X86_REG_RIP) {
		slot = memory_address(walker, &op->mem);
		if (got_target(walker, (uint64_t)slot.address.constant, &target)) {
			call_symbol(walker, &target, depth);
			return;
		}
	}
	/* `call *(%rax)` after `lea slot(%rip),%rax` is how TLS descriptors are asked. */
	if (op && op->type == X86_OP_MEM && !walker->trace->doubt[0] &&
	    register_value(walker, op->mem.base).kind == VALUE_ADDRESS)
		str_format(walker->trace->doubt, sizeof(walker->trace->doubt),
			   "thread-local state is reached through TLS descriptors");
	clobber_after_call(walker);
	unsure(walker);
}

/* --- guards ------------------------------------------------------------------------------------
 */

/*
 * Follows the uninitialised side of what looks like a guard for some instructions. It is one if
 * that side stores 1 to the very byte that was compared; the constants it stores are recorded.
 */
static bool look_at_uninitialised_side(struct walker *walker, uint64_t address, uint64_t join)
{
	struct walker side = *walker;
	size_t first = walker->trace->count;
	bool guard = false;

	side.looking = true;
	side.left = GUARD_LOOKAHEAD;
	side.join = join;
	walk_function(&side, address, MAX_CALLS);
	walker->lookups = side.lookups;
	for (size_t i = first; i < walker->trace->count; i++) {
		const struct code_access *access = &walker->trace->access[i];

		guard |= access->kind == CODE_INITIAL && access->size == 1 && access->value == 1 &&
			 !memcmp(&access->address, &walker->compared.address,
				 sizeof(access->address));
	}
	if (!guard)
		walker->trace->count = first;
	return guard;
}

static bool may_be_guard(const struct walker *walker)
{
	const struct value *byte = &walker->compared;

	return (walker->insn->id == X86_INS_JE || walker->insn->id == X86_INS_JNE) &&
	       byte->kind == VALUE_LOADED && byte->address.tls_slot && byte->size == 1 &&
	       !byte->mask && !byte->address.coefficient;
}

/* A conditional jump: only after a byte of thread-local state is it worth a look. */
static enum step conditional_jump(struct walker *walker, uint64_t *next)
{
	const cs_x86_op *op = operand(walker, 0);
	uint64_t target = op && op->type == X86_OP_IMM ? (uint64_t)op->imm : 0;
	bool jump_if_zero = walker->insn->id == X86_INS_JE;

	if (!op || op->type != X86_OP_IMM)
		return STEP_STOP; /* a far jump */
	if (walker->insn->id == X86_INS_LOOP || walker->insn->id == X86_INS_LOOPE ||
	    walker->insn->id == X86_INS_LOOPNE || walker->insn->id == X86_INS_XBEGIN)
		walker->reg[RAX] = walker->reg[RCX] = (struct value){0};
	if (walker->looking || !may_be_guard(walker) ||
	    !look_at_uninitialised_side(walker, jump_if_zero ? target : *next,
					jump_if_zero ? *next : target)) {
		unsure(walker);
		return STEP_NEXT;
	}
	{
		struct value at = {.kind = VALUE_ADDRESS, .address = walker->compared.address};

		record(walker, CODE_GUARD, &at, 1, 0);
	}
	if (!jump_if_zero)
		*next = target;
	return STEP_JUMP;
}

/* --- instructions ------------------------------------------------------------------------------
 */

static struct value shifted(struct value value, const cs_x86_op *by)
{
	if (!by || by->type != X86_OP_IMM || by->imm < 0 || by->imm > 31)
		return (struct value){0};
	return multiply(value, (int64_t)1 << by->imm);
}

static struct value masked(struct value value, const cs_x86_op *by)
{
	if (value.kind != VALUE_LOADED || !by || by->type != X86_OP_IMM || by->imm <= 0 ||
	    by->imm > 255)
		return (struct value){0};
	value.mask = (uint8_t)(by->imm & (value.mask ? value.mask : 255));
	if (!value.mask)
		return (struct value){0};
	return value;
}

/* Comparisons with zero set what the next conditional jump is about. */
static void compare(struct walker *walker)
{
	const cs_x86_op *a = operand(walker, 0), *b = operand(walker, 1);
	struct value left = read_operand(walker, a), right;

	if (!a || !b)
		return;
	if (walker->insn->id == X86_INS_TEST) {
		if (a->type == X86_OP_REG && b->type == X86_OP_REG && a->reg == b->reg)
			walker->compared = left;
		return;
	}
	right = read_operand(walker, b);
	if (b->type == X86_OP_IMM && right.address.constant == 0)
		walker->compared = left;
}

static bool compute(struct walker *walker)
{
	const cs_x86_op *a = operand(walker, 0), *b = operand(walker, 1), *c = operand(walker, 2);

	if (!a || !b)
		return false;
	switch (walker->insn->id) {
	case X86_INS_MOV:
	case X86_INS_MOVZX:
	case X86_INS_MOVABS:
		write_operand(walker, a, read_operand(walker, b));
		return true;
	case X86_INS_MOVSX:
	case X86_INS_MOVSXD:
		write_operand(walker, a, read_signed(walker, b));
		return true;
	case X86_INS_LEA:
		write_operand(walker, a, memory_address(walker, &b->mem));
		return true;
	case X86_INS_ADD:
		write_operand(walker, a, add(read_operand(walker, a), read_operand(walker, b)));
		return true;
	case X86_INS_SUB:
		write_operand(walker, a,
			      add(read_operand(walker, a), multiply(read_operand(walker, b), -1)));
		return true;
	case X86_INS_SHL:
	case X86_INS_SAL:
		write_operand(walker, a, shifted(read_operand(walker, a), b));
		return true;
	case X86_INS_IMUL:
		if (!c || c->type != X86_OP_IMM)
			return false;
		write_operand(walker, a, multiply(read_operand(walker, b), c->imm));
		return true;
	case X86_INS_AND:
		write_operand(walker, a, masked(read_operand(walker, a), b));
		return true;
	case X86_INS_CMP:
	case X86_INS_TEST:
		compare(walker);
		return true;
	default:
		return false;
	}
}

/* Instructions that write to registers of which Capstone 4 does not tell. */
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
		const cs_x86_op *op = operand(walker, i);

		if (op->type == X86_OP_MEM && (op->access & CS_AC_READ))
			read_operand(walker, op);
		if (op->type == X86_OP_MEM && (op->access & CS_AC_WRITE))
			write_operand(walker, op, (struct value){0});
	}
	for (int i = 0; i < walker->insn->detail->x86.op_count && !reads_only; i++)
		if (operand(walker, i)->type == X86_OP_REG)
			set_register(walker, operand(walker, i)->reg, (struct value){0});
	if (has_hidden_results(walker->insn->id) ||
	    cs_regs_access(walker->capstone, walker->insn, read, &read_count, written,
			   &written_count))
		memset(walker->reg, 0, sizeof(walker->reg));
	for (int i = 0; i < written_count; i++)
		set_register(walker, written[i], (struct value){0});
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

/* What does not go on to the next instruction, or comes back with registers of its own. */
static bool is_end(const struct walker *walker)
{
	static const uint8_t groups[] = {CS_GRP_RET, CS_GRP_IRET, CS_GRP_INT, CS_GRP_CALL,
					 CS_GRP_PRIVILEGE};

	for (size_t i = 0; i < sizeof(groups); i++)
		if (cs_insn_group(walker->capstone, walker->insn, groups[i]))
			return true;
	return walker->insn->id == X86_INS_UD2 || walker->insn->id == X86_INS_UD0;
}

static enum step execute(struct walker *walker, uint64_t *next, int depth)
{
	const cs_x86_op *op = operand(walker, 0);

	if (walker->insn->id == X86_INS_RET)
		return STEP_RETURN;
	if (walker->insn->id == X86_INS_CALL) {
		walker->compared = (struct value){0};
		call_operand(walker, op, depth);
		return STEP_NEXT;
	}
	if (walker->insn->id == X86_INS_JMP) {
		if (!op || op->type != X86_OP_IMM)
			return STEP_STOP;
		*next = (uint64_t)op->imm;
		return STEP_JUMP;
	}
	if (cs_insn_group(walker->capstone, walker->insn, CS_GRP_JUMP))
		return conditional_jump(walker, next);
	if (is_end(walker))
		return STEP_STOP;
	if (!keeps_flags(walker->insn->id))
		walker->compared = (struct value){0};
	if (!compute(walker))
		forget_written(walker);
	return STEP_NEXT;
}

/* Tail calls jump to a PLT stub: the call's result is ours. */
static bool tail_call(struct walker *walker, uint64_t address, int depth)
{
	struct elf_relocation target;

	if (!plt_target(walker, address, &target))
		return false;
	call_symbol(walker, &target, depth);
	return true;
}

static enum step walk_function(struct walker *walker, uint64_t address, int depth)
{
	while (walker->left-- > 0) {
		size_t available;
		const uint8_t *code = elf_image_code(walker->image, address, &available);
		uint64_t next = address;
		enum step step;

		if (!code || (walker->looking && address == walker->join) ||
		    !cs_disasm_iter(walker->capstone, &code, &available, &next, walker->insn))
			return STEP_STOP;
		step = execute(walker, &next, depth);
		if (step == STEP_RETURN || step == STEP_STOP)
			return step;
		if (step == STEP_JUMP && tail_call(walker, next, depth))
			return STEP_RETURN;
		address = next;
	}
	return STEP_STOP;
}

/* --- interface ---------------------------------------------------------------------------------
 */

static void keep_result(struct walker *walker)
{
	const struct value *result = &walker->reg[RAX];
	struct code_trace *trace = walker->trace;

	trace->returned = true;
	if (result->kind == VALUE_UNKNOWN || !result->address.tls_slot)
		return;
	trace->result_loaded = result->kind == VALUE_LOADED;
	trace->result_address = result->kind == VALUE_ADDRESS;
	trace->result = (struct code_access){
		.size = result->size,
		.mask = result->mask,
		.address = result->address,
	};
}

int code_walk(const struct elf_image *image, uint64_t address, struct code_trace *trace)
{
	struct walker walker = {
		.image = image,
		.trace = trace,
		.left = MAX_INSTRUCTIONS,
		.lookups = MAX_LOOKUPS,
	};
	size_t available;

	memset(trace, 0, sizeof(*trace));
	if (!elf_image_code(image, address, &available))
		return -ENOENT;
	if (cs_open(CS_ARCH_X86, CS_MODE_64, &walker.capstone))
		return -ENOMEM;
	cs_option(walker.capstone, CS_OPT_DETAIL, CS_OPT_ON);
	walker.insn = cs_malloc(walker.capstone);
	/* The key is the second argument wherever there is one: the first is the object. */
	walker.reg[RSI] = (struct value){.kind = VALUE_ADDRESS, .address.coefficient = 1};
	if (walker.insn && walk_function(&walker, address, 0) == STEP_RETURN)
		keep_result(&walker);
	if (!trace->unsure)
		trace->straight = trace->count;
	if (walker.insn)
		cs_free(walker.insn, 1);
	cs_close(&walker.capstone);
	return walker.insn ? 0 : -ENOMEM;
}

int code_block_offset(const struct elf_image *image, const struct code_address *address,
		      uint64_t *offset, uint64_t *module_slot)
{
	struct elf_relocation module, variable;
	uint64_t base;

	if (!address->tls_slot || elf_image_relocation(image, address->tls_slot, &module) ||
	    module.type != R_X86_64_DTPMOD64 || (module.symbol[0] && !module.defined))
		return -ENOTSUP;
	if (!elf_image_relocation(image, address->tls_slot + 8, &variable)) {
		if (variable.type != R_X86_64_DTPOFF64 || !variable.defined)
			return -ENOTSUP;
		base = variable.value + (uint64_t)variable.addend;
	} else if (elf_image_word(image, address->tls_slot + 8, &base)) {
		return -ENOTSUP;
	}
	*offset = base + (uint64_t)address->constant;
	*module_slot = address->tls_slot;
	return 0;
}
