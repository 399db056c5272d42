/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A capstone handle for x86-64 with details, and the instruction that it decodes into. */
#ifndef GRADWATCH_INSPECT_DISASSEMBLER_H
#define GRADWATCH_INSPECT_DISASSEMBLER_H

#include <capstone/capstone.h>

/* Both are the caller's, until disassembler_close(). -ENOMEM: then there is nothing to close. */
int disassembler_open(csh *capstone, cs_insn **insn);
void disassembler_close(csh *capstone, cs_insn *insn);

#endif
