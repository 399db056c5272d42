/* SPDX-License-Identifier: GPL-2.0-or-later */
/* `gradwatch release`: lets a process go that another gradwatch holds. */
#ifndef GRADWATCH_ENFORCE_RELEASE_H
#define GRADWATCH_ENFORCE_RELEASE_H

#include <sys/types.h>

#include "base/err.h"

/*
 * Every gradwatch that acts has a BPF map of the processes it has stopped, so this one needs no
 * way to talk to it: it looks through the maps of the kernel. -ESRCH when none holds the process.
 */
int release_process(pid_t pid, struct err *err);

#endif
