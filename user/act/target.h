/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A process that is acted on. It is named by a pidfd, and was checked to be the one with the start
 * time that BPF saw: a number alone may be another's by now. Returns are 0 or a negative errno.
 */
#ifndef GRADWATCH_ACT_TARGET_H
#define GRADWATCH_ACT_TARGET_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct target {
	pid_t pid;
	int pidfd; /* -1: none */
	uint64_t start_time;
};

/* -ESRCH when it has ended, or the number is another process's. */
int target_open(struct target *target, pid_t pid, uint64_t start_time);
void target_close(struct target *target);

int target_signal(const struct target *target, int signal);
bool target_has_ended(const struct target *target);

/* Whether it is stopped: by a signal, or by a tracer. */
bool target_is_stopped(const struct target *target);

/* Lets a process go if it is stopped; -EALREADY: it is not. */
int target_continue(pid_t pid, uint64_t start_time);

/*
 * Waits until all its threads have stopped. -ETIMEDOUT; -ESRCH: it has ended. A thread in a system
 * call that cannot be interrupted stops late, so give it a time.
 */
int target_wait_stopped(const struct target *target, uint64_t timeout_ns);

#endif
