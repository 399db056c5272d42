/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The number of a dispatch key, and its bit in a DispatchKeySet, from the build's own code: both
 * move between versions (c10/core/DispatchKey.h, DispatchKeySet.h).
 */
#ifndef GRADWATCH_INSPECT_DISPATCH_KEY_H
#define GRADWATCH_INSPECT_DISPATCH_KEY_H

#include "inspect/elf_image.h"

/*
 * The key for which c10::toString(DispatchKey) returns this name, as a number above 0. -ENOENT: the
 * build has no such key, or the function is not of a known form. -ENOMEM.
 */
int dispatch_key_number(const struct elf_image *image, const char *name);

/*
 * The bit of that key in a DispatchKeySet, 0 .. 63, for keys that are no backend's own. -ENOENT
 * when the code that makes a set of a key is not of a known form. -ENOMEM.
 */
int dispatch_key_bit(const struct elf_image *image, int key);

#endif
