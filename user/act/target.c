// SPDX-License-Identifier: GPL-2.0-or-later
#include "act/target.h"

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "watch/procfs.h"

#define LOOK_AGAIN_NS 20000

int target_open(struct target *target, pid_t pid, uint64_t start_time)
{
	uint64_t start;
	int code;

	*target = (struct target){.pid = pid, .start_time = start_time};
	target->pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (target->pidfd < 0)
		return -errno;
	/* After the pidfd, which can only be the same process's or an older one's. */
	code = procfs_start_time(pid, &start);
	if (!code && !procfs_same_start(start, start_time))
		code = -ESRCH;
	if (code)
		target_close(target);
	return code;
}

void target_close(struct target *target)
{
	if (target->pidfd >= 0)
		close(target->pidfd);
	target->pidfd = -1;
}

int target_signal(const struct target *target, int signal)
{
	return syscall(SYS_pidfd_send_signal, target->pidfd, signal, NULL, 0) ? -errno : 0;
}

bool target_has_ended(const struct target *target)
{
	struct pollfd ready = {.fd = target->pidfd, .events = POLLIN};

	return poll(&ready, 1, 0) == 1;
}

static bool is_stopped(char state)
{
	return state == 'T' || state == 't';
}

bool target_is_stopped(const struct target *target)
{
	char state;

	return !procfs_state(target->pid, &state) && is_stopped(state);
}

int target_continue(pid_t pid, uint64_t start_time)
{
	struct target target;
	int code = target_open(&target, pid, start_time);

	if (code)
		return code;
	code = target_is_stopped(&target) ? target_signal(&target, SIGCONT) : -EALREADY;
	target_close(&target);
	return code;
}

/* 0: all threads have stopped; -EAGAIN: not yet. One that ends is none. */
static int look(pid_t pid)
{
	char path[64], state;
	struct dirent *entry;
	int code = 0;
	DIR *tasks;

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	tasks = opendir(path);
	if (!tasks)
		return -ESRCH;
	while (!code && (entry = readdir(tasks))) {
		pid_t tid = (pid_t)strtol(entry->d_name, NULL, 10);

		if (tid > 0 && !procfs_state(tid, &state) && !is_stopped(state) && state != 'Z' &&
		    state != 'X')
			code = -EAGAIN;
	}
	closedir(tasks);
	return code;
}

int target_wait_stopped(const struct target *target, uint64_t timeout_ns)
{
	const struct timespec pause = {.tv_nsec = LOOK_AGAIN_NS};
	uint64_t end = clock_monotonic() + timeout_ns;
	int code;

	while ((code = look(target->pid)) == -EAGAIN) {
		if (target_has_ended(target))
			return -ESRCH;
		if (clock_monotonic() > end)
			return -ETIMEDOUT;
		nanosleep(&pause, NULL);
	}
	return code;
}
