// SPDX-License-Identifier: GPL-2.0-or-later
#include "inspect/code.h"

#include <elf.h>
#include <errno.h>
#include <string.h>

#include "base/str.h"
#include "inspect/disassembler.h"
#include "inspect/walker.h"

#define MAX_INSTRUCTIONS 600 /* of one walk, called functions included */
#define MAX_CALLS        4   /* nested */
#define GUARD_LOOKAHEAD  40  /* instructions on the uninitialised side that are looked at */

enum step { STEP_NEXT, STEP_JUMP, STEP_RETURN, STEP_STOP };

/* --- calls and jumps ---------------------------------------------------------------------------
 */

static enum step walk_function(struct walker *walker, uint64_t address, int depth);

/* The symbol that a GOT word will hold, through its relocation. */
static bool got_target(const struct walker *walker, uint64_t slot, struct elf_relocation *target)
{
	if (elf_image_relocation(walker->image, slot, target))
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
		op = walker_operand(walker, 0);
		if (walker->insn->id != X86_INS_JMP || !op || op->type != X86_OP_MEM ||
		    op->mem.base != X86_REG_RIP)
			return false;
		slot = walker_address(walker, &op->mem);
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
		walker_unsure(walker);
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
			walker_unsure(walker);
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
		slot = walker_address(walker, &op->mem);
		if (got_target(walker, (uint64_t)slot.address.constant, &target)) {
			call_symbol(walker, &target, depth);
			return;
		}
	}
	/* `call *(%rax)` after `lea slot(%rip),%rax` is how TLS descriptors are asked. */
	if (op && op->type == X86_OP_MEM && !walker->trace->doubt[0] &&
	    walker_register(walker, op->mem.base).kind == VALUE_ADDRESS)
		str_format(walker->trace->doubt, sizeof(walker->trace->doubt),
			   "thread-local state is reached through TLS descriptors");
	clobber_after_call(walker);
	walker_unsure(walker);
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
	const cs_x86_op *op = walker_operand(walker, 0);
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
		walker_unsure(walker);
		return STEP_NEXT;
	}
	{
		struct value at = {.kind = VALUE_ADDRESS, .address = walker->compared.address};

		walker_record(walker, CODE_GUARD, &at, 1, 0);
	}
	if (!jump_if_zero)
		*next = target;
	return STEP_JUMP;
}

/* --- the path -----------------------------------------------------------------------------------
 */

/* What does not go on to the next instruction, or comes back with registers of its own. */
static bool is_end(const struct walker *walker)
{
	static const uint8_t groups[] = {CS_GRP_RET, CS_GRP_IRET, CS_GRP_INT, CS_GRP_CALL,
					 CS_GRP_PRIVILEGE};

	for (size_t i = 0; i < sizeof(groups); i++)
		if (cs_insn_group(walker->capstone, walker->insn, groups[i]))
			return true;
	return walker->insn->id == X86_INS_UD0 || walker->insn->id == X86_INS_UD2 ||
	       walker->insn->id == X86_INS_UD2B;
}

static enum step execute(struct walker *walker, uint64_t *next, int depth)
{
	const cs_x86_op *op = walker_operand(walker, 0);

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
	if (cs_insn_group(walker->capstone, walker->insn, CS_GRP_JUMP) ||
	    cs_insn_group(walker->capstone, walker->insn, CS_GRP_BRANCH_RELATIVE)) /* loop */
		return conditional_jump(walker, next);
	if (is_end(walker))
		return STEP_STOP;
	walker_apply(walker);
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
	};
	size_t available;
	int code;

	memset(trace, 0, sizeof(*trace));
	if (!elf_image_code(image, address, &available))
		return -ENOENT;
	code = disassembler_open(&walker.capstone, &walker.insn);
	if (code)
		return code;
	/* The key is the second argument wherever there is one: the first is the object. */
	walker.reg[RSI] = (struct value){.kind = VALUE_ADDRESS, .address.coefficient = 1};
	if (walk_function(&walker, address, 0) == STEP_RETURN)
		keep_result(&walker);
	if (!trace->unsure)
		trace->straight = trace->count;
	disassembler_close(&walker.capstone, walker.insn);
	return 0;
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
