/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Children of the watched processes, and their children, that were there before they were watched.
 */
#ifndef GRADWATCH_WATCH_DESCENDANTS_H
#define GRADWATCH_WATCH_DESCENDANTS_H

#include <stdint.h>

#include "base/err.h"
#include "probe/programs.h"

/*
 * Watches them, and calls found() for each. BPF watches what the watched fork from now on. One
 * whose parent has ended descends from nobody, as the kernel does not keep it.
 */
int descendants_watch(struct programs *programs, void (*found)(void *context, uint32_t pid),
		      void *context, struct err *err);

#endif
