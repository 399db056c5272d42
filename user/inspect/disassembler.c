// SPDX-License-Identifier: GPL-2.0-or-later
#include "inspect/disassembler.h"

#include <errno.h>

#include "inspect/machine.h"

int disassembler_open(const struct elf_image *image, csh *capstone, cs_insn **insn)
{
	const struct machine *machine = machine_of(image->machine);

	if (cs_open(machine->arch, machine->mode, capstone))
		return -ENOMEM;
	cs_option(*capstone, CS_OPT_DETAIL, CS_OPT_ON);
	*insn = cs_malloc(*capstone);
	if (*insn)
		return 0;
	cs_close(capstone);
	return -ENOMEM;
}

void disassembler_close(csh *capstone, cs_insn *insn)
{
	cs_free(insn, 1);
	cs_close(capstone);
}
