// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A uprobe costs a tenth where the kernel emulates the instruction under it instead of stepping
 * over a copy of it: push of a register, jumps and calls with an immediate, and the one-byte nop
 * (Linux arch/x86/kernel/uprobes.c: push_setup_xol_ops, branch_setup_xol_ops). `endbr64`, with
 * which hardened builds begin, is not among them, so one goes on to what follows: as long as it
 * runs exactly once per call, with the arguments still in %rdi and %rsi. Some functions have no
 * such place (GCC 15 may save registers with mov instead of push), and are probed at their entry.
 */
#include "inspect/site.h"

#include <capstone/capstone.h>
#include <errno.h>
#include <string.h>

#include "base/str.h"
#include "inspect/disassembler.h"

#define MAX_PROLOGUE 8    /* instructions */
#define MAX_BODY     8192 /* bytes of a function that are searched for jumps back */

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

/* Whether one may probe behind this instruction: it runs once per call and keeps the arguments. */
static bool keeps_arguments(const cs_insn *insn)
{
	const cs_x86 *x86 = &insn->detail->x86;
	const cs_x86_op *to = &x86->operands[0];

	if (insn->id == X86_INS_ENDBR64)
		return true;
	if (x86->op_count < 1 || to->type != X86_OP_REG)
		return false;
	if (insn->id == X86_INS_SUB)
		return to->reg == X86_REG_RSP;
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
		return false;
	default:
		return true;
	}
}

static void take(struct inspect_site *site, const cs_insn *insn, enum inspect_insn kind)
{
	site->address = insn->address;
	site->kind = kind;
	str_format(site->insn, sizeof(site->insn), "%s %s", insn->mnemonic, insn->op_str);
}

/* Whether a jump of the function leads behind its entry, but not behind `last`: a loop begins
 * there. */
static bool is_looped(csh capstone, cs_insn *insn, const uint8_t *code, size_t size, uint64_t entry,
		      uint64_t last)
{
	uint64_t address = entry;

	if (size > MAX_BODY)
		size = MAX_BODY;
	while (cs_disasm_iter(capstone, &code, &size, &address, insn)) {
		const cs_x86_op *to = &insn->detail->x86.operands[0];

		/* `loop` and the like are in the second group only, calls as well */
		if ((cs_insn_group(capstone, insn, CS_GRP_JUMP) ||
		     cs_insn_group(capstone, insn, CS_GRP_BRANCH_RELATIVE)) &&
		    to->type == X86_OP_IMM && (uint64_t)to->imm > entry &&
		    (uint64_t)to->imm <= last)
			return true;
	}
	return false;
}

static void search(csh capstone, cs_insn *insn, const uint8_t *code, size_t size,
		   struct inspect_site *site)
{
	const uint8_t *body = code;
	uint64_t address = site->function;
	size_t body_size = size;

	for (int i = 0; i < MAX_PROLOGUE; i++) {
		struct inspect_site entry = *site;

		if (!cs_disasm_iter(capstone, &code, &size, &address, insn))
			return;
		if (i == 0)
			take(site, insn, INSPECT_INSN_STEPPED);
		if (is_emulated(capstone, insn)) {
			take(site, insn, INSPECT_INSN_EMULATED);
			if (i && is_looped(capstone, insn, body, body_size, site->function,
					   site->address))
				*site = entry;
			return;
		}
		if (!keeps_arguments(insn))
			return;
	}
}

int site_choose(const struct elf_image *image, const struct elf_function *function,
		struct inspect_site *site)
{
	size_t available;
	const uint8_t *code = elf_image_code(image, function->address, &available);
	cs_insn *insn;
	csh capstone;
	int error;

	if (!code)
		return -ENOENT;
	str_format(site->symbol, sizeof(site->symbol), "%s", function->name);
	site->function = site->address = function->address;
	site->kind = INSPECT_INSN_STEPPED;
	if (function->size && function->size < available)
		available = function->size;
	error = disassembler_open(&capstone, &insn);
	if (error)
		return error;
	search(capstone, insn, code, available, site);
	disassembler_close(&capstone, insn);
	return elf_image_offset(image, site->address, &site->file_offset);
}
