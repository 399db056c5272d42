/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which instruction of a function to probe. */
#ifndef GRADWATCH_INSPECT_SITE_H
#define GRADWATCH_INSPECT_SITE_H

#include "inspect/elf_image.h"
#include "inspect/plan.h"

/*
 * Fills *site for a function: the first instruction that the kernel emulates while the arguments
 * are still in their registers, else the entry. may_be_moved: else first one where the first of at
 * most two arguments is in any register, see site->first. -ENOENT when its code is not in the file.
 */
int site_choose(const struct elf_image *image, const struct elf_function *function,
		bool may_be_moved, struct inspect_site *site);

#endif
