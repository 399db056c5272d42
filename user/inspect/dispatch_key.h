/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The bit of a dispatch key in a DispatchKeySet, from the build's own code: the key's number and
 * the bit both move between versions (c10/core/DispatchKey.h, DispatchKeySet.h).
 */
#ifndef GRADWATCH_INSPECT_DISPATCH_KEY_H
#define GRADWATCH_INSPECT_DISPATCH_KEY_H

#include "inspect/elf_image.h"

/* Includes a key in the thread's set, or takes it out. */
#define DISPATCH_KEY_INCLUDE "_ZN3c104impl29tls_set_dispatch_key_includedENS_11DispatchKeyEb"

/*
 * The bit, 0 .. 63, of the key for which c10::toString(DispatchKey) returns this name; for keys
 * that are no backend's own. -ENOENT: the build has no such key, or its functions are not of a
 * known form. -ENOMEM.
 */
int dispatch_key_bit(const struct elf_image *image, const char *name);

#endif
