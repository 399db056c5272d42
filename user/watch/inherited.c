// SPDX-License-Identifier: GPL-2.0-or-later
#include "watch/inherited.h"

#include <dirent.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>

static sigset_t blocked, ignored;
static int nice_value;
static int own_nice; /* gradwatch's, at present */
static struct rlimit descriptors;

#define HIGHEST_PRIORITY (-20)

void inherited_take(void)
{
	struct sigaction action;

	sigprocmask(SIG_SETMASK, NULL, &blocked);
	sigemptyset(&ignored);
	for (int number = 1; number < NSIG; number++)
		if (!sigaction(number, NULL, &action) && action.sa_handler == SIG_IGN)
			sigaddset(&ignored, number);
	getrlimit(RLIMIT_NOFILE, &descriptors);
	own_nice = nice_value = getpriority(PRIO_PROCESS, 0);
	signal(SIGCHLD, SIG_DFL);
}

bool inherited_ignores(int signal)
{
	return sigismember(&ignored, signal) == 1;
}

void inherited_raise_priority(int nice)
{
	const struct dirent *entry;
	DIR *threads;

	if (nice_value <= nice)
		return;
	own_nice = nice;
	setpriority(PRIO_PROCESS, 0, nice);
	threads = opendir("/proc/self/task");
	while (threads && (entry = readdir(threads)))
		setpriority(PRIO_PROCESS, (id_t)strtoul(entry->d_name, NULL, 10), nice);
	if (threads)
		closedir(threads);
}

void inherited_hurry(bool hurry)
{
	if (own_nice > HIGHEST_PRIORITY)
		setpriority(PRIO_PROCESS, 0, hurry ? HIGHEST_PRIORITY : own_nice);
}

uint64_t inherited_allow_descriptors(void)
{
	struct rlimit limit = {descriptors.rlim_max, descriptors.rlim_max};

	if (setrlimit(RLIMIT_NOFILE, &limit))
		return descriptors.rlim_cur;
	return limit.rlim_cur;
}

void inherited_restore(void)
{
	setrlimit(RLIMIT_NOFILE, &descriptors);
	setpriority(PRIO_PROCESS, 0, nice_value);
	for (int number = 1; number < NSIG; number++)
		signal(number, sigismember(&ignored, number) == 1 ? SIG_IGN : SIG_DFL);
	sigprocmask(SIG_SETMASK, &blocked, NULL);
}
