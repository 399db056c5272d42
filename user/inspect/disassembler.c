// SPDX-License-Identifier: GPL-2.0-or-later
#include "inspect/disassembler.h"

#include <errno.h>

int disassembler_open(csh *capstone, cs_insn **insn)
{
	if (cs_open(CS_ARCH_X86, CS_MODE_64, capstone))
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
