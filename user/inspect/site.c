// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A uprobe is much cheaper where the kernel emulates the instruction under it instead of stepping
 * over a copy of it (x86_flow.c, arm64_flow.c). Functions of hardened builds begin with one that it
 * does not emulate, so one goes on to what follows: as long as it runs exactly once per call, with
 * the arguments still in their registers. Some functions have no such place (GCC 15 may save
 * registers with mov instead of push), and are probed at their entry.
 */
#include "inspect/site.h"

#include <capstone/capstone.h>
#include <errno.h>
#include <string.h>

#include "base/str.h"
#include "inspect/disassembler.h"
#include "inspect/machine.h"

#define MAX_PROLOGUE 8    /* instructions */
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
	const struct machine *machine;
	csh capstone;
	cs_insn *insn;
	const uint8_t *code;
	size_t size;
	uint64_t entry;
};

/* Whether a jump of the function leads behind its entry, but not behind `last`: a loop begins
 * there. */
static bool is_looped(const struct body *body, uint64_t last)
{
	size_t size = body->size < MAX_BODY ? body->size : MAX_BODY;
	const uint8_t *code = body->code;
	uint64_t address = body->entry, target;

	while (cs_disasm_iter(body->capstone, &code, &size, &address, body->insn))
		if (body->machine->jump_target(body->capstone, body->insn, &target) &&
		    target > body->entry && target <= last)
			return true;
	return size >= LONGEST_INSN; /* data among the code: what follows is unknown */
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
			if (i && is_looped(body, site->address))
				*site = entry;
			return;
		}
		if (!body->machine->keeps_arguments(body->insn, &frame))
			return;
	}
}

int site_choose(const struct elf_image *image, const struct elf_function *function,
		struct inspect_site *site)
{
	struct body body = {
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
	if (function->size && function->size < body.size)
		body.size = function->size;
	error = disassembler_open(image, &body.capstone, &body.insn);
	if (error)
		return error;
	search(&body, site);
	disassembler_close(&body.capstone, body.insn);
	return elf_image_offset(image, site->address, &site->file_offset);
}
