// SPDX-License-Identifier: GPL-2.0-or-later
/* user/enforce/raise: a thread that cannot be stopped is not waited for, and not left stopped. */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/clock.h"
#include "enforce/raise.h"
#include "target/procfs.h"

#define LONGEST_NS 60000000000ull

#ifdef __x86_64__

static void pause_ms(long ms)
{
	nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000}, NULL);
}

static char state_of(pid_t pid)
{
	char state = 0;

	procfs_state(pid, &state);
	return state;
}

static pid_t tracer_of(pid_t pid)
{
	struct procfs_signals signals;

	return procfs_signals(pid, &signals) ? -1 : signals.tracer;
}

/* What the child of vfork() does: its parent waits in the kernel meanwhile. */
static void wait_for_end(int fd)
{
	char byte;

	if (read(fd, &byte, 1) < 0)
		_exit(1);
	_exit(0);
}

/* A process in a wait that only a deadly signal ends, until go_fd is closed; then it goes on. */
static pid_t start_unstoppable(int *go_fd)
{
	int go[2];
	pid_t pid;

	assert_int_equal(pipe(go), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL); /* nobody is left when a test fails */
		close(go[1]);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
		if (vfork() == 0)
			wait_for_end(go[0]);
#pragma GCC diagnostic pop
		pause();
		_exit(0);
	}
	close(go[0]);
	*go_fd = go[1];
	while (state_of(pid) != 'D')
		pause_ms(1);
	return pid;
}

static bool is_current(void *context, const struct raise_call *call)
{
	(void)context;
	(void)call;
	return true;
}

/* PTRACE_INTERRUPT is still to take effect when it is given up: it must not stop it for good. */
static void test_cannot_be_stopped(void **state)
{
	const struct raise_place place = {0};
	int go_fd;
	pid_t pid = start_unstoppable(&go_fd);
	const struct raise_call call = {.pid = pid, .tid = pid, .is_current = is_current};
	uint64_t began = clock_monotonic();

	(void)state;
	assert_int_equal(raise_exception(&call, &place), -ETIMEDOUT);
	assert_true(clock_monotonic() - began < 5000000000ull); /* 0.5 s, by a machine at rest */
	raise_tick();
	assert_int_equal(state_of(pid), 'D');
	close(go_fd);
	while (tracer_of(pid) || state_of(pid) != 'S') {
		raise_tick();
		pause_ms(1);
		assert_true(clock_monotonic() - began < LONGEST_NS);
	}
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

/* One that ends meanwhile is forgotten. */
static void test_ends_meanwhile(void **state)
{
	const struct raise_place place = {0};
	int go_fd, status = 0;
	pid_t pid = start_unstoppable(&go_fd);
	const struct raise_call call = {.pid = pid, .tid = pid, .is_current = is_current};

	(void)state;
	assert_int_equal(raise_exception(&call, &place), -ETIMEDOUT);
	kill(pid, SIGKILL);
	close(go_fd);
	while (state_of(pid) && state_of(pid) != 'Z')
		pause_ms(1);
	raise_tick();
	/* raise_tick() has taken its status, as it takes that of any thread that it traces. */
	assert_int_equal(waitpid(pid, &status, WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cannot_be_stopped),
		cmocka_unit_test(test_ends_meanwhile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

#else

int main(void)
{
	return 0;
}

#endif
