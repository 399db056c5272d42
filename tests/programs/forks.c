// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A process whose grandchild uses what it has mapped itself, after all others have ended:
 *
 *	forks LIBRARY CHILDREN SECONDS
 *
 * Maps a libc10.so and waits for a byte on standard input. Then it forks CHILDREN children that end
 * at once, and one that forks a last one and ends. The last one waits for SECONDS and calls the
 * setter ten times. Prints "mapped", "forked" and "called".
 */
#include <dlfcn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static void say(const char *what)
{
	puts(what);
	fflush(stdout);
}

static void end_of_line(void (*set_enabled)(bool), unsigned int seconds)
{
	if (fork())
		_exit(0);
	sleep(seconds);
	for (int i = 0; i < 10; i++)
		set_enabled(i & 1);
	say("called");
	_exit(0);
}

int main(int argc, char **argv)
{
	void (*set_enabled)(bool);
	void *library = argc == 4 ? dlopen(argv[1], RTLD_NOW) : NULL;
	char byte;

	if (!library)
		return 1;
	*(void **)&set_enabled = dlsym(library, "_ZN3c108GradMode11set_enabledEb");
	say("mapped");
	if (!set_enabled || read(STDIN_FILENO, &byte, 1) != 1)
		return 1;
	for (long i = strtol(argv[2], NULL, 10); i > 0; i--) {
		if (!fork())
			_exit(0);
		wait(NULL);
	}
	if (!fork())
		end_of_line(set_enabled, (unsigned int)strtol(argv[3], NULL, 10));
	wait(NULL);
	say("forked");
	return 0;
}
