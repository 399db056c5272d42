/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The C library, by the names of its files. The plan's way to thread-local state (bpf/tls.bpf.h) is
 * glibc's: another one, as musl, has other vectors behind the thread pointer.
 */
#ifndef GRADWATCH_INSPECT_LIBC_H
#define GRADWATCH_INSPECT_LIBC_H

#include <stdbool.h>

#include "inspect/plan.h"

/* Names without folder: libc.so.6 or libc-2.31.so, ld-linux-x86-64.so.2 or ld-2.31.so. */
bool libc_is_glibc(const char *name);

/* libc.so, libc.musl-x86_64.so.1, ld-musl-x86_64.so.1, ...: what no glibc is called. */
bool libc_is_another(const char *name);

/* Makes the plan uncertain because of another C library; name: of its file. */
void libc_doubt(struct inspect_plan *plan, const char *name);

#endif
