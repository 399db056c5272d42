/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A capstone handle with details for an image's machine, and the instruction it decodes into. */
#ifndef GRADWATCH_INSPECT_DISASSEMBLER_H
#define GRADWATCH_INSPECT_DISASSEMBLER_H

#include <capstone/capstone.h>

#include "inspect/elf_image.h"

/* Both are the caller's, until disassembler_close(). -ENOMEM: then there is nothing to close. */
int disassembler_open(const struct elf_image *image, csh *capstone, cs_insn **insn);
void disassembler_close(csh *capstone, cs_insn *insn);

#endif
