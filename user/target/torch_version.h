/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef GRADWATCH_TARGET_TORCH_VERSION_H
#define GRADWATCH_TARGET_TORCH_VERSION_H

#include <stddef.h>
#include <sys/types.h>

/*
 * The version of the PyTorch that a library file of a process belongs to, "" when unknown. For
 * people only: no decision rests on it. Sources: torch/version.py beside the wheel's torch/lib
 * (`__version__ = '2.13.0+cpu'`), else the file name (Debian: libc10.so.2.6.0).
 */
void torch_version(pid_t pid, const char *path, char *version, size_t size);

#endif
