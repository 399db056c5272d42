// SPDX-License-Identifier: GPL-2.0-or-later
#include "enforce/target.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "target/procfs.h"

#define LOOK_AGAIN_NS 20000
#define TRIES         3
#define SPARE_FDS     2 /* a directory of /proc and a file in it */

static int spare[SPARE_FDS] = {-1, -1};

void target_reserve(void)
{
	for (int i = 0; i < SPARE_FDS; i++)
		if (spare[i] < 0)
			spare[i] = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

/* Whether something is to be tried again, with the descriptors that are reserved for it. */
static bool spend_reserve(int code)
{
	bool had_any = false;

	if (code != -EMFILE && code != -ENFILE)
		return false;
	for (int i = 0; i < SPARE_FDS; i++) {
		had_any |= spare[i] >= 0;
		if (spare[i] >= 0)
			close(spare[i]);
		spare[i] = -1;
	}
	return had_any;
}

static int check_start(pid_t pid, uint64_t start_time)
{
	uint64_t start;
	int code = procfs_start_time(pid, &start);

	if (spend_reserve(code)) {
		code = procfs_start_time(pid, &start);
		target_reserve();
	}
	if (code)
		return code;
	return procfs_same_start(start, start_time) ? 0 : -ESRCH;
}

int target_open(struct target *target, pid_t pid, uint64_t start_time)
{
	int code;

	*target = (struct target){.pid = pid, .start_time = start_time};
	target->pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (target->pidfd < 0 && errno != EMFILE && errno != ENFILE && errno != ENOMEM)
		return -errno;
	/* After the pidfd, which can only be the same process's or an older one's. */
	code = check_start(pid, start_time);
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

static int send_once(const struct target *target, int signal)
{
	int code;

	if (target->pidfd >= 0)
		return syscall(SYS_pidfd_send_signal, target->pidfd, signal, NULL, 0) ? -errno : 0;
	code = check_start(target->pid, target->start_time);
	if (code)
		return code;
	return kill(target->pid, signal) ? -errno : 0;
}

int target_signal(const struct target *target, int signal)
{
	int code = -EAGAIN;

	for (int i = 0; i < TRIES && code && code != -ESRCH; i++)
		code = send_once(target, signal);
	return code;
}

bool target_has_ended(const struct target *target)
{
	struct pollfd ready = {.fd = target->pidfd, .events = POLLIN};

	if (target->pidfd < 0)
		return check_start(target->pid, target->start_time) == -ESRCH;
	return poll(&ready, 1, 0) == 1;
}

static bool is_stopped(char state)
{
	return state == 'T' || state == 't';
}

/* What the threads of a process do. */
struct look {
	unsigned int stopped, running;
	bool wanted; /* the one that is looked for has stopped */
};

static int look_once(pid_t pid, pid_t wanted, struct look *look)
{
	char path[64], state;
	struct dirent *entry;
	int code = 0;
	DIR *tasks;

	*look = (struct look){0};
	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	tasks = opendir(path);
	if (!tasks)
		return errno == ENOENT ? -ESRCH : -errno;
	while (!code && (entry = readdir(tasks))) {
		pid_t tid = (pid_t)strtol(entry->d_name, NULL, 10);

		if (tid <= 0)
			continue;
		code = procfs_state(tid, &state);
		if (code == -ESRCH) {
			code = 0;
			continue;
		}
		if (!code && is_stopped(state)) {
			look->stopped++;
			look->wanted |= tid == wanted;
		} else if (!code && state != 'Z' && state != 'X' && state != 'D') {
			look->running++;
		}
	}
	closedir(tasks);
	return code;
}

/* As target_look(); with it the thread `wanted` stands still, 0: none in particular. */
static int look_at(pid_t pid, pid_t wanted)
{
	struct look look;
	int code = look_once(pid, wanted, &look);

	if (spend_reserve(code)) {
		code = look_once(pid, wanted, &look);
		target_reserve();
	}
	if (code)
		return code;
	return look.stopped && !look.running && (look.wanted || !wanted) ? 0 : -EAGAIN;
}

int target_look(const struct target *target)
{
	return look_at(target->pid, 0);
}

int target_pending_stop(pid_t pid)
{
	static const int stop[] = {SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU};
	struct procfs_signals signals;
	int code = procfs_signals(pid, &signals);

	if (spend_reserve(code)) {
		code = procfs_signals(pid, &signals);
		target_reserve();
	}
	for (size_t i = 0; !code && i < sizeof(stop) / sizeof(stop[0]); i++)
		if (signals.pending >> (stop[i] - 1) & 1)
			return stop[i];
	return 0;
}

int target_wait_stopped(const struct target *target, pid_t tid, uint64_t timeout_ns)
{
	const struct timespec pause = {.tv_nsec = LOOK_AGAIN_NS};
	uint64_t end = clock_monotonic() + timeout_ns;
	int code;

	while ((code = look_at(target->pid, tid)) == -EAGAIN) {
		if (target_has_ended(target))
			return -ESRCH;
		if (clock_monotonic() > end)
			return -ETIMEDOUT;
		nanosleep(&pause, NULL);
	}
	return code;
}
