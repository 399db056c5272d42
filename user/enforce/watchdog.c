// SPDX-License-Identifier: GPL-2.0-or-later
#include "enforce/watchdog.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "enforce/target.h"

#define CHECK_MS   200           /* how often it looks while gradwatch lives */
#define PASS_MS    20            /* and while gradwatch is dying */
#define LATE_NS    500000000ull  /* so long after its time a hold is continued */
#define ANSWER_NS  3000000000ull /* within which gradwatch answers a question */
#define QUIET_NS   2000000000ull /* a program that was at a probe may still stop its process */
#define SETTLED_NS 100000000ull  /* the same, after gradwatch is gone */
#define LAST_NS    60000000000ull

struct pass {
	const struct stops *stops;
	uint64_t now;
	bool settled; /* gradwatch is gone, and so are its probes: nothing stops a process any more
		       */
	bool found;   /* a process that had to be continued */
};

/* While gradwatch lives. */
static void continue_late(void *context, pid_t pid, const struct gw_held *held,
			  const struct gw_answer *answer)
{
	struct pass *pass = context;
	uint64_t end = answer->until ? answer->until + LATE_NS : held->stopped + ANSWER_NS;

	if (pass->now > end)
		stops_continue(pass->stops, pid, held->start_time);
}

/*
 * When it is dying. A process that runs may be about to stop, or still be traced: it stays for the
 * next pass. At last it is done with: later stops are another gradwatch's. One that cannot be seen
 * is taken for stopped.
 */
static void continue_stopped(void *context, pid_t pid, const struct gw_held *held,
			     const struct gw_answer *answer)
{
	const struct target target = {.pid = pid, .pidfd = -1, .start_time = held->start_time};
	struct pass *pass = context;
	int state = target_look(&target);

	(void)answer;
	if (state == -EAGAIN || state == -ESRCH) {
		if (pass->settled)
			stops_note_continued(pass->stops, pid, held->stopped);
		return;
	}
	pass->found = true;
	/* Not noted as done: a thread that is traced still may stop it once more. */
	if (target_pending_stop(pid))
		stops_continue(pass->stops, pid, held->start_time);
	else
		kill(pid, SIGCONT);
}

/* What it waits for. By epoll: poll() refuses to wait where RLIMIT_NOFILE is 0. */
struct ends {
	int pipe_fd;      /* readable: gradwatch stops it, or is gone */
	int gradwatch_fd; /* a pidfd; readable: gradwatch has ended */
	int pipe_epoll, gradwatch_epoll;
};

#define KEPT 6 /* descriptors */

static void close_others(const int keep[KEPT])
{
	int from = 0;

	for (;;) {
		int next = -1;

		for (int i = 0; i < KEPT; i++)
			if (keep[i] >= from && (next < 0 || keep[i] < next))
				next = keep[i];
		if (next < 0)
			break;
		if (next > from)
			close_range((unsigned int)from, (unsigned int)next - 1, 0);
		from = next + 1;
	}
	close_range((unsigned int)from, ~0u, 0);
}

/* An epoll descriptor on which a descriptor is waited for; negative errno. */
static int wait_on(int fd)
{
	struct epoll_event wanted = {.events = EPOLLIN};
	int epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	int code;

	if (epoll_fd >= 0 && !epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &wanted))
		return epoll_fd;
	code = -errno;
	if (epoll_fd >= 0)
		close(epoll_fd);
	return code;
}

static bool is_ready(int epoll_fd, int timeout_ms)
{
	struct epoll_event ready;

	return epoll_wait(epoll_fd, &ready, 1, timeout_ms) == 1;
}

/* The kernel is to take others first when memory runs out. */
static void resist_oom(void)
{
	int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	if (write(fd, "-1000", 5) != 5)
		(void)0; /* then it is as others are */
	close(fd);
}

static void let_all_go(const struct stops *stops, const struct ends *ends)
{
	uint64_t start = clock_monotonic(), last_found = start, gone_since = 0;
	struct pass pass = {.stops = stops, .now = start};

	while (clock_between(last_found, pass.now) < QUIET_NS &&
	       clock_between(start, pass.now) < LAST_NS) {
		bool gone = is_ready(ends->gradwatch_epoll, 0);

		if (gone && !gone_since)
			gone_since = pass.now;
		pass.settled = gone && clock_between(gone_since, pass.now) > SETTLED_NS;
		pass.found = false;
		stops_each(stops, continue_stopped, &pass);
		poll(NULL, 0, PASS_MS);
		pass.now = clock_monotonic();
		if (pass.found || !gone)
			last_found = pass.now;
	}
}

static void run(const struct ends *ends, const struct stops *stops)
{
	const int keep[KEPT] = {ends->pipe_fd,         ends->gradwatch_fd, ends->pipe_epoll,
				ends->gradwatch_epoll, stops->held_fd,     stops->answers_fd};
	struct pass pass = {.stops = stops};
	sigset_t all;
	char byte;

	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	setsid();
	prctl(PR_SET_NAME, "gradwatch-dog");
	close_others(keep);
	resist_oom();
	while (!is_ready(ends->pipe_epoll, CHECK_MS)) {
		pass.now = clock_monotonic();
		stops_each(stops, continue_late, &pass);
	}
	if (read(ends->pipe_fd, &byte, 1) != 1)
		let_all_go(stops, ends);
	_exit(0);
}

static void close_ends(const struct ends *ends)
{
	const int fds[] = {ends->pipe_fd, ends->gradwatch_fd, ends->pipe_epoll,
			   ends->gradwatch_epoll};

	for (size_t i = 0; i < sizeof(fds) / sizeof(*fds); i++)
		if (fds[i] >= 0)
			close(fds[i]);
}

/* Opens them, and the other end of the pipe. Negative errno: none is open. */
static int open_ends(struct ends *ends, int *write_fd)
{
	int pipe_fds[2], code = 0;

	*ends = (struct ends){-1, -1, -1, -1};
	if (pipe2(pipe_fds, O_CLOEXEC))
		return -errno;
	ends->pipe_fd = pipe_fds[0];
	*write_fd = pipe_fds[1];
	ends->gradwatch_fd = (int)syscall(SYS_pidfd_open, getpid(), 0);
	if (ends->gradwatch_fd < 0)
		code = -errno;
	if (!code && (ends->pipe_epoll = wait_on(ends->pipe_fd)) < 0)
		code = ends->pipe_epoll;
	if (!code && (ends->gradwatch_epoll = wait_on(ends->gradwatch_fd)) < 0)
		code = ends->gradwatch_epoll;
	if (code) {
		close_ends(ends);
		close(*write_fd);
	}
	return code;
}

int watchdog_start(struct watchdog *watchdog, const struct stops *stops, struct err *err)
{
	struct ends ends;
	int write_fd = -1, code = open_ends(&ends, &write_fd);

	watchdog->stops = *stops;
	if (code)
		return err_set(err, code, "cannot start the watchdog: %s", strerror(-code));
	watchdog->pid = fork();
	if (watchdog->pid == 0) {
		close(write_fd);
		run(&ends, stops);
	}
	code = watchdog->pid < 0 ? -errno : 0;
	close_ends(&ends);
	watchdog->fd = write_fd;
	if (!code)
		return 0;
	watchdog->pid = 0;
	watchdog_stop(watchdog);
	return err_set(err, code, "cannot start the watchdog: %s", strerror(-code));
}

int watchdog_check(struct watchdog *watchdog, struct err *err)
{
	int code;

	if (watchdog->pid > 0 && !waitpid(watchdog->pid, NULL, WNOHANG))
		return 0;
	watchdog->pid = 0;
	watchdog_stop(watchdog);
	code = watchdog_start(watchdog, &watchdog->stops, err);
	return code ? code : 1;
}

void watchdog_stop(struct watchdog *watchdog)
{
	if (watchdog->fd >= 0) {
		if (watchdog->pid > 0 && write(watchdog->fd, "q", 1) < 0)
			watchdog->pid = 0; /* it has ended: nothing to wait for but its status */
		close(watchdog->fd);
	}
	watchdog->fd = -1;
	if (watchdog->pid > 0)
		waitpid(watchdog->pid, NULL, 0);
	watchdog->pid = 0;
}
