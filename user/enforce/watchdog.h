/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Continues what gradwatch has stopped when gradwatch does not: a process of its own, in a trace
 * of its own.
 *
 * While gradwatch lives, it continues a process whose hold has been over for a while, or whose
 * question has not been answered: gradwatch is stopped, or hangs. When gradwatch is dying (the pipe
 * whose other end only gradwatch has is at its end) it continues all. It goes on with that until
 * gradwatch is gone, as only then the probes are removed and what it traces is released, and until
 * nothing has been found stopped for QUIET_NS.
 *
 * Not covered: gradwatch and the watchdog killed within the same CHECK_NS, as when a whole cgroup
 * is killed.
 */
#ifndef GRADWATCH_ENFORCE_WATCHDOG_H
#define GRADWATCH_ENFORCE_WATCHDOG_H

#include <sys/types.h>

#include "base/err.h"
#include "enforce/stops.h"

struct watchdog {
	struct stops stops;
	pid_t pid;
	int fd; /* its end of file is the signal */
};

/* It must not keep a probe in place, so it closes all descriptors but those of the maps. */
int watchdog_start(struct watchdog *watchdog, const struct stops *stops, struct err *err);

/* Starts another one if it has ended. 1: it had; or a negative errno, then *err says why. */
int watchdog_check(struct watchdog *watchdog, struct err *err);

/* An orderly end: nobody is held any more. Waits for it. */
void watchdog_stop(struct watchdog *watchdog);

#endif
