// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A process that maps a libc10.so and calls its setter, without the weight of Python:
 *
 *	mapper THREADS CALLS LIBRARY [PAUSE_MS]
 *
 * Maps the library, waits for PAUSE_MS, or, without it, for a byte on standard input, has each of
 * THREADS threads call the setter CALLS times, and then waits for the end of standard input. Prints
 * "mapped" and "called".
 */
#include <dlfcn.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void (*set_enabled)(bool);
static long calls;

static void *run(void *argument)
{
	(void)argument;
	for (long i = 0; i < calls; i++)
		set_enabled(i & 1);
	return NULL;
}

static void call_in_threads(long count)
{
	pthread_t *thread = calloc((size_t)count, sizeof(*thread));

	for (long i = 0; thread && i < count; i++)
		if (pthread_create(&thread[i], NULL, run, NULL))
			exit(3);
	for (long i = 0; thread && i < count; i++)
		pthread_join(thread[i], NULL);
	free(thread);
}

int main(int argc, char **argv)
{
	char byte;
	void *library;

	if (argc < 4)
		return 2;
	calls = strtol(argv[2], NULL, 10);
	library = dlopen(argv[3], RTLD_NOW);
	if (!library) {
		fprintf(stderr, "%s\n", dlerror());
		return 1;
	}
	*(void **)&set_enabled = dlsym(library, "_ZN3c108GradMode11set_enabledEb");
	if (!set_enabled)
		return 1;
	puts("mapped");
	fflush(stdout);
	if (argc > 4)
		usleep((useconds_t)strtol(argv[4], NULL, 10) * 1000);
	else if (read(STDIN_FILENO, &byte, 1) != 1)
		return 0;
	call_in_threads(strtol(argv[1], NULL, 10));
	puts("called");
	fflush(stdout);
	while (argc == 4 && read(STDIN_FILENO, &byte, 1) == 1)
		;
	return 0;
}
