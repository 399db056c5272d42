// SPDX-License-Identifier: GPL-2.0-or-later
#include "inspect/code.h"

#include <errno.h>
#include <string.h>

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
	return !elf_image_relocation(walker->image, slot, target) &&
	       target->kind == ELF_RELOCATION_FUNCTION;
}

/* Whether there is a PLT stub at an address, and for what. */
static bool plt_target(struct walker *walker, uint64_t address, struct elf_relocation *target)
{
	uint64_t slot;

	return walker->machine->stub(walker, address, &slot) && got_target(walker, slot, target);
}

static void clobber_after_call(struct walker *walker)
{
	for (size_t i = 0; i < walker->machine->changed_count; i++)
		walker->reg[walker->machine->changed[i]] = (struct value){0};
}

static void call_function(struct walker *walker, uint64_t address, int depth)
{
	const int result_register = walker->machine->result;
	struct value kept[WALKER_REGISTERS], result;
	enum step end = STEP_STOP;

	memcpy(kept, walker->reg, sizeof(kept));
	if (depth < MAX_CALLS)
		end = walk_function(walker, address, depth + 1);
	result = walker->reg[result_register];
	memcpy(walker->reg, kept, sizeof(kept));
	clobber_after_call(walker);
	if (end == STEP_RETURN)
		walker->reg[result_register] = result;
	else
		walker_unsure(walker);
}

static void call_symbol(struct walker *walker, const struct elf_relocation *target, int depth)
{
	const struct value argument = walker->reg[walker->machine->first_argument];
	int64_t pair;

	if (!strcmp(target->symbol, "__tls_get_addr")) {
		clobber_after_call(walker);
		if (value_is_constant(&argument, &pair))
			walker->reg[walker->machine->result] = (struct value){
				.kind = VALUE_ADDRESS,
				.address.tls_slot = (uint64_t)pair,
			};
	} else if (target->defined) {
		call_function(walker, target->value, depth);
	} else {
		clobber_after_call(walker);
		if (!walker->looking || strcmp(target->symbol, "__cxa_thread_atexit") != 0)
			walker_unsure(walker);
	}
}

/* Flags outlive neither the call nor the return. */
static void call(struct walker *walker, const struct flow *flow, int depth)
{
	struct elf_relocation target;
	bool is_symbol = false;

	if (flow->kind == FLOW_CALL)
		is_symbol = plt_target(walker, flow->target, &target);
	else if (flow->kind == FLOW_CALL_SLOT)
		is_symbol = got_target(walker, flow->target, &target);
	walker->compared = (struct value){0};
	if (is_symbol) {
		call_symbol(walker, &target, depth);
	} else if (flow->kind == FLOW_CALL) {
		call_function(walker, flow->target, depth);
	} else {
		clobber_after_call(walker);
		walker_unsure(walker);
	}
	walker->compared = (struct value){0};
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

static bool may_be_guard(const struct walker *walker, const struct flow *flow)
{
	const struct value *byte = &walker->compared;

	return (flow->if_zero || flow->if_not_zero) && byte->kind == VALUE_LOADED &&
	       byte->address.tls_slot && byte->size == 1 && !byte->mask &&
	       !byte->address.coefficient;
}

/* A conditional jump: only after a byte of thread-local state is it worth a look. */
static enum step branch(struct walker *walker, const struct flow *flow, uint64_t *next)
{
	uint64_t zero = flow->if_zero ? flow->target : *next;
	uint64_t other = flow->if_zero ? *next : flow->target;
	struct value at = {.kind = VALUE_ADDRESS, .address = walker->compared.address};

	if (walker->looking || !may_be_guard(walker, flow) ||
	    !look_at_uninitialised_side(walker, zero, other)) {
		walker_unsure(walker);
		return STEP_NEXT;
	}
	walker_record(walker, CODE_GUARD, &at, 1, 0);
	*next = other;
	return STEP_JUMP;
}

/* --- the path -----------------------------------------------------------------------------------
 */

static enum step execute(struct walker *walker, uint64_t *next, int depth)
{
	struct flow flow = {.kind = FLOW_NEXT};

	walker->machine->execute(walker, &flow);
	switch (flow.kind) {
	case FLOW_NEXT:
		return STEP_NEXT;
	case FLOW_JUMP:
		*next = flow.target;
		return STEP_JUMP;
	case FLOW_BRANCH:
		return branch(walker, &flow, next);
	case FLOW_RETURN:
		return STEP_RETURN;
	case FLOW_CALL:
	case FLOW_CALL_SLOT:
	case FLOW_CALL_ELSEWHERE:
		call(walker, &flow, depth);
		return STEP_NEXT;
	default:
		return STEP_STOP;
	}
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
	const struct value *result = &walker->reg[walker->machine->result];
	struct code_trace *trace = walker->trace;

	trace->returned = true;
	if (!result->address.tls_slot)
		return;
	trace->result_loaded = result->kind == VALUE_LOADED;
	trace->result_address = result->kind == VALUE_ADDRESS;
	trace->result = (struct code_access){
		.size = result->size,
		.mask = result->mask,
		.address = result->address,
	};
}

int code_walk(const struct elf_image *image, uint64_t address, enum code_key key,
	      struct code_trace *trace)
{
	struct walker walker = {
		.image = image,
		.machine = machine_of(image->machine),
		.trace = trace,
		.left = MAX_INSTRUCTIONS,
	};
	int key_argument = walker.machine->key_argument[key], code;
	size_t available;

	memset(trace, 0, sizeof(*trace));
	if (!elf_image_code(image, address, &available))
		return -ENOENT;
	code = disassembler_open(image, &walker.capstone, &walker.insn);
	if (code)
		return code;
	if (key_argument >= 0)
		walker.reg[key_argument] = (struct value){.kind = VALUE_ADDRESS,
							  .address.coefficient = 1};
	if (walk_function(&walker, address, 0) == STEP_RETURN)
		keep_result(&walker);
	if (!trace->unsure)
		trace->straight = trace->count;
	disassembler_close(&walker.capstone, walker.insn);
	return 0;
}

/* The static offset of a variable, from the relocation that names it or says it. */
static int variable_offset(const struct elf_relocation *variable, uint64_t *offset)
{
	if (variable->symbol[0] && !variable->defined)
		return -ENOTSUP;
	*offset = variable->value + (uint64_t)variable->addend;
	return 0;
}

/* {module, offset}: the offset is a relocation as well when the variable has a symbol. */
static int pair_offset(const struct elf_image *image, uint64_t slot,
		       const struct elf_relocation *module, uint64_t *offset)
{
	struct elf_relocation variable;

	if (module->symbol[0] && !module->defined)
		return -ENOTSUP;
	if (elf_image_relocation(image, slot + 8, &variable))
		return elf_image_word(image, slot + 8, offset) ? -ENOTSUP : 0;
	if (variable.kind != ELF_RELOCATION_TLS_OFFSET || !variable.defined)
		return -ENOTSUP;
	return variable_offset(&variable, offset);
}

int code_block_offset(const struct elf_image *image, const struct code_address *address,
		      uint64_t *offset, struct code_variable *variable)
{
	struct elf_relocation relocation;
	int code = -ENOTSUP;

	if (!address->tls_slot || elf_image_relocation(image, address->tls_slot, &relocation))
		return -ENOTSUP;
	variable->is_described = relocation.kind == ELF_RELOCATION_TLS_DESCRIPTOR;
	if (variable->is_described)
		code = variable_offset(&relocation, &variable->offset);
	else if (relocation.kind == ELF_RELOCATION_TLS_MODULE)
		code = pair_offset(image, address->tls_slot, &relocation, &variable->offset);
	if (!code)
		*offset = variable->offset + (uint64_t)address->constant;
	return code;
}
