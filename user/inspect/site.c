// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A uprobe is much cheaper where the kernel emulates the instruction under it instead of stepping
 * over a copy of it (x86_flow.c, arm64_flow.c). Functions of hardened builds begin with one that it
 * does not emulate, so one goes on to what follows: as long as it runs exactly once per call, with
 * the arguments still in their registers.
 *
 * Some functions have no such place: GCC 15 saves registers with mov instead of push. There the
 * first call in the function is emulated, and by then the first argument is in a register that a
 * call keeps. Which one it is is found by following what the registers hold (walker.h).
 *
 * That an instruction runs exactly once per call means: all before it go straight on, and nothing
 * in the file jumps to one of them but to the first.
 */
#include "inspect/site.h"

#include <capstone/capstone.h>
#include <errno.h>
#include <string.h>

#include "base/str.h"
#include "inspect/disassembler.h"
#include "inspect/walker.h"

#define MAX_PROLOGUE 8    /* instructions */
#define MAX_STRAIGHT 32   /* the same, where what registers hold is followed */
#define MAX_BODY     8192 /* bytes of a function that are searched for jumps back */
#define LONGEST_INSN 15   /* bytes; of fewer at the end, the rest may be out of sight */

static void take(struct inspect_site *site, const cs_insn *insn, enum inspect_insn kind,
		 uint32_t frame)
{
	site->address = insn->address;
	site->frame = frame;
	site->kind = kind;
	str_format(site->insn, sizeof(site->insn), "%s %s", insn->mnemonic, insn->op_str);
}

/* The code that is searched. */
struct body {
	const struct elf_image *image;
	const struct machine *machine;
	csh capstone;
	cs_insn *insn;
	const uint8_t *code;
	size_t size;
	uint64_t entry;
};

/* Whether a target is behind the function's entry, but not behind `last`. */
static bool is_within(const struct body *body, uint64_t target, uint64_t last)
{
	return target > body->entry && target <= last;
}

/* Whether a jump of the function leads there, a loop or a table of jumps, or may do so. */
static bool is_looped(const struct body *body, uint64_t last)
{
	size_t size = body->size < MAX_BODY ? body->size : MAX_BODY;
	const uint8_t *code = body->code;
	uint64_t address = body->entry, target;

	while (cs_disasm_iter(body->capstone, &code, &size, &address, body->insn)) {
		if (body->machine->jumps_by_register(body->capstone, body->insn))
			return true;
		if (body->machine->jump_target(body->capstone, body->insn, &target) &&
		    is_within(body, target, last))
			return true;
	}
	return size >= LONGEST_INSN; /* data among the code: what follows is unknown */
}

/*
 * Whether the rest of the file jumps there: a compiler puts parts of a function elsewhere that are
 * seldom run. What looks like a jump is taken for one.
 */
static bool is_entered(const struct body *body, uint64_t last)
{
	GElf_Phdr header;

	for (int i = 0; elf_image_segment(body->image, i, &header); i++) {
		const uint8_t *code;
		size_t size;

		if (header.p_type != PT_LOAD || !(header.p_flags & PF_X))
			continue;
		code = elf_image_code(body->image, header.p_vaddr, &size);
		for (size_t at = 0; code && at < size; at++) {
			uint64_t target = body->machine->long_jump(code + at, size - at,
								   header.p_vaddr + at);

			if (is_within(body, target, last))
				return true;
		}
	}
	return false;
}

static bool runs_once(const struct body *body, uint64_t address)
{
	return address == body->entry || (!is_looped(body, address) && !is_entered(body, address));
}

static void search(const struct body *body, struct inspect_site *site)
{
	const uint8_t *code = body->code;
	uint64_t address = body->entry;
	size_t size = body->size;
	uint32_t frame = 0;

	for (int i = 0; i < MAX_PROLOGUE; i++) {
		struct inspect_site entry = *site;

		if (!cs_disasm_iter(body->capstone, &code, &size, &address, body->insn))
			return;
		if (i == 0)
			take(site, body->insn, INSPECT_INSN_STEPPED, frame);
		if (body->machine->is_emulated(body->capstone, body->insn)) {
			take(site, body->insn, INSPECT_INSN_EMULATED, frame);
			if (!runs_once(body, site->address))
				*site = entry;
			return;
		}
		if (!body->machine->keeps_arguments(body->insn, &frame))
			return;
	}
}

/* Stands for the first argument: no address of a slot. */
#define FIRST_ARGUMENT UINT64_MAX

static bool is_first_argument(const struct value *value)
{
	return value->kind == VALUE_ADDRESS && value->address.tls_slot == FIRST_ARGUMENT &&
	       !value->address.constant && !value->address.coefficient;
}

static bool is_second_argument(const struct value *value)
{
	return value->kind == VALUE_ADDRESS && !value->address.tls_slot &&
	       !value->address.constant && value->address.coefficient == 1;
}

/* The register with the first argument, while the second is in its own; -1: none. */
static int find_first(const struct walker *walker)
{
	int second = walker->machine->key_argument[CODE_KEY_SECOND];

	for (int i = 0; i < WALKER_REGISTERS; i++)
		if (is_first_argument(&walker->reg[i]) && is_second_argument(&walker->reg[second]))
			return i;
	return -1;
}

/* Takes the place that the walk is at, if it runs once per call. */
static void take_moved(const struct body *body, int first, struct inspect_site *site)
{
	struct inspect_site entry = *site;

	take(site, body->insn, INSPECT_INSN_EMULATED, 0);
	site->first = (uint8_t)first;
	if (!runs_once(body, site->address)) /* body->insn is another one from here on */
		*site = entry;
}

/*
 * Follows the function's straight beginning. Memory other than the function's own is not written
 * there: what a probe reads is as it was at the entry.
 */
static void search_moved(const struct body *body, struct inspect_site *site)
{
	struct code_trace trace = {0}; /* nobody looks at it */
	struct walker walker = {
		.image = body->image,
		.machine = body->machine,
		.trace = &trace,
		.capstone = body->capstone,
		.insn = body->insn,
	};
	const uint8_t *code = body->code;
	uint64_t address = body->entry;
	size_t size = body->size;

	walker.reg[body->machine->first_argument] =
		(struct value){.kind = VALUE_ADDRESS, .address.tls_slot = FIRST_ARGUMENT};
	walker.reg[body->machine->key_argument[CODE_KEY_SECOND]] =
		(struct value){.kind = VALUE_ADDRESS, .address.coefficient = 1};
	for (int i = 0; i < MAX_STRAIGHT; i++) {
		struct flow flow = {.kind = FLOW_NEXT};

		if (!cs_disasm_iter(body->capstone, &code, &size, &address, body->insn))
			return;
		if (body->machine->is_emulated(body->capstone, body->insn)) {
			int first = find_first(&walker);

			if (first >= 0) {
				take_moved(body, first, site);
				return;
			}
		}
		if (!body->machine->writes_frame_only(body->insn))
			return;
		body->machine->execute(&walker, &flow);
		if (flow.kind != FLOW_NEXT)
			return;
	}
}

int site_choose(const struct elf_image *image, const struct elf_function *function,
		bool may_be_moved, struct inspect_site *site)
{
	struct body body = {
		.image = image,
		.machine = machine_of(image->machine),
		.entry = function->address,
	};
	int error;

	body.code = elf_image_code(image, function->address, &body.size);
	if (!body.code)
		return -ENOENT;
	str_format(site->symbol, sizeof(site->symbol), "%s", function->name);
	site->function = site->address = function->address;
	site->kind = INSPECT_INSN_STEPPED;
	site->first = (uint8_t)body.machine->first_argument;
	if (function->size && function->size < body.size)
		body.size = function->size;
	error = disassembler_open(image, &body.capstone, &body.insn);
	if (error)
		return error;
	search(&body, site);
	if (may_be_moved && site->kind == INSPECT_INSN_STEPPED && body.machine->writes_frame_only)
		search_moved(&body, site);
	disassembler_close(&body.capstone, body.insn);
	return elf_image_offset(image, site->address, &site->file_offset);
}
