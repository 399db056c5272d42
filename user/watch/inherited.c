// SPDX-License-Identifier: GPL-2.0-or-later
#include "watch/inherited.h"

#include <errno.h>
#include <signal.h>
#include <sys/resource.h>

static sigset_t blocked, ignored;
static int nice_value;

void inherited_take(void)
{
	struct sigaction action;

	sigprocmask(SIG_SETMASK, NULL, &blocked);
	sigemptyset(&ignored);
	for (int number = 1; number < NSIG; number++)
		if (!sigaction(number, NULL, &action) && action.sa_handler == SIG_IGN)
			sigaddset(&ignored, number);
	nice_value = getpriority(PRIO_PROCESS, 0);
	signal(SIGCHLD, SIG_DFL);
}

bool inherited_ignores(int signal)
{
	return sigismember(&ignored, signal) == 1;
}

void inherited_raise_priority(int nice)
{
	if (nice_value > nice)
		setpriority(PRIO_PROCESS, 0, nice);
}

void inherited_restore(void)
{
	setpriority(PRIO_PROCESS, 0, nice_value);
	for (int number = 1; number < NSIG; number++)
		signal(number, sigismember(&ignored, number) == 1 ? SIG_IGN : SIG_DFL);
	sigprocmask(SIG_SETMASK, &blocked, NULL);
}
