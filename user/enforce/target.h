/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A process that is acted on. It is named by a pidfd, and was checked to be the one with the start
 * time that BPF saw: a number alone may be another's by now. Where there is no descriptor left for
 * a pidfd, the start time is compared at each use instead. Returns are 0 or a negative errno.
 */
#ifndef GRADWATCH_ENFORCE_TARGET_H
#define GRADWATCH_ENFORCE_TARGET_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct target {
	pid_t pid;
	int pidfd; /* -1: none */
	uint64_t start_time;
};

/* Reserves the descriptors that looking at a process takes. */
void target_reserve(void);

/* -ESRCH when it has ended, or the number is another process's. */
int target_open(struct target *target, pid_t pid, uint64_t start_time);
void target_close(struct target *target);

/* Tried three times, as kill(2) may fail for want of memory. */
int target_signal(const struct target *target, int signal);
bool target_has_ended(const struct target *target);

/*
 * Whether it stands still, by a signal or by a tracer: all its threads, but those that have ended
 * (its first one may have) and those in the kernel that cannot be interrupted. 0: it does;
 * -EAGAIN: it runs; -ESRCH: it has ended; another negative errno: that cannot be seen.
 */
int target_look(const struct target *target);

/* A stop signal that was sent to a process while it is stopped, 0: none. */
int target_pending_stop(pid_t pid);

/*
 * Waits until it stands still, and with it the thread `tid` (0: none in particular). -ETIMEDOUT;
 * -ESRCH: it has ended.
 */
int target_wait_stopped(const struct target *target, pid_t tid, uint64_t timeout_ns);

#endif
