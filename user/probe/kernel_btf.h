/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The kernel's types, by which the BPF programs are relocated: its own, or a file's (--btf). */
#ifndef GRADWATCH_PROBE_KERNEL_BTF_H
#define GRADWATCH_PROBE_KERNEL_BTF_H

#include <stdbool.h>

#include "base/err.h"

#define KERNEL_BTF_OWN "/sys/kernel/btf/vmlinux"

/*
 * Has the types read from a file (raw BTF, or an ELF file with it) instead of from the kernel.
 * Before any program is opened; the path must stay.
 */
int kernel_btf_use(const char *path, struct err *err);

/* The file, NULL: the kernel's own types. */
const char *kernel_btf_path(void);

/* Whether there are types: the file's, or the kernel's own. */
bool kernel_btf_found(void);

#endif
