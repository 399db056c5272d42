// SPDX-License-Identifier: GPL-2.0-or-later
#include "act/watchdog.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "act/target.h"
#include "base/log.h"
#include "gradwatch/abi.h"

/* A program that was at a probe when gradwatch died may still stop its process. */
#define PASSES   5
#define PAUSE_NS 100000000

static void continue_all(int held_fd)
{
	uint32_t pid, next;
	struct gw_held held;
	bool more = !bpf_map_get_next_key(held_fd, NULL, &pid);

	for (int n = 0; more && n < 2 * GW_MAX_HELD; n++) {
		more = !bpf_map_get_next_key(held_fd, &pid, &next);
		if (!bpf_map_lookup_elem(held_fd, &pid, &held))
			target_continue((pid_t)pid, held.start_time);
		pid = next;
	}
}

static void close_others(int first, int second)
{
	int low = first < second ? first : second, high = first < second ? second : first;

	if (low > 0)
		close_range(0, (unsigned int)low - 1, 0);
	if (high > low + 1)
		close_range((unsigned int)low + 1, (unsigned int)high - 1, 0);
	close_range((unsigned int)high + 1, ~0u, 0);
}

static void run(int pipe_fd, int held_fd)
{
	const struct timespec pause = {.tv_nsec = PAUSE_NS};
	sigset_t all;
	ssize_t got;
	char byte;

	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	setsid();
	prctl(PR_SET_NAME, "gradwatch-dog");
	close_others(pipe_fd, held_fd);
	while ((got = read(pipe_fd, &byte, 1)) < 0 && errno == EINTR)
		;
	/* Each time for whom the one before did not find stopped yet. */
	for (int i = 0; got <= 0 && i < PASSES; i++) {
		continue_all(held_fd);
		nanosleep(&pause, NULL);
	}
	_exit(0);
}

int watchdog_start(struct watchdog *watchdog, int held_fd, struct err *err)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC))
		return err_set(err, -errno, "cannot make a pipe: %s", strerror(errno));
	watchdog->pid = fork();
	if (watchdog->pid == 0) {
		close(ends[1]);
		run(ends[0], held_fd);
	}
	close(ends[0]);
	watchdog->fd = ends[1];
	if (watchdog->pid > 0)
		return 0;
	watchdog->pid = 0;
	watchdog_stop(watchdog);
	return err_set(err, -errno, "cannot start the watchdog: %s", strerror(errno));
}

void watchdog_stop(struct watchdog *watchdog)
{
	if (watchdog->fd >= 0 && write(watchdog->fd, "q", 1) < 0)
		log_warn("the watchdog has ended: %s", strerror(errno));
	if (watchdog->fd >= 0)
		close(watchdog->fd);
	watchdog->fd = -1;
	if (watchdog->pid > 0)
		waitpid(watchdog->pid, NULL, 0);
	watchdog->pid = 0;
}
