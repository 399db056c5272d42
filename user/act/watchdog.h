/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Lets go what gradwatch has stopped if gradwatch dies, whatever kills it: a process of its own, in
 * a session of its own. It waits for the end of a pipe whose other end only gradwatch has, and then
 * sends SIGCONT to each process of the map in which BPF notes whom it stops before it does.
 */
#ifndef GRADWATCH_ACT_WATCHDOG_H
#define GRADWATCH_ACT_WATCHDOG_H

#include <sys/types.h>

#include "base/err.h"

struct watchdog {
	pid_t pid;
	int fd; /* its end of file is the signal */
};

/* Start it before any probe is placed: it must not hold one. */
int watchdog_start(struct watchdog *watchdog, int held_fd, struct err *err);

/* An orderly end: nobody is held any more. Waits for it. */
void watchdog_stop(struct watchdog *watchdog);

#endif
