// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A program of musl that maps a libc10.so (tests/fuzz/libc10.c) and changes the grad mode in a
 * trace, after a line of standard input; it ends with the next one.
 */
#include <dlfcn.h>
#include <stdbool.h>
#include <stdio.h>

#define MODES "_ZN3c104impl20TorchDispatchModeTLS"
#define PROXY 1

struct optional {
	void *pointer, *control;
	char engaged;
};

int main(int argc, char **argv)
{
	void *library = argc > 1 ? dlopen(argv[1], RTLD_NOW) : NULL;
	void (*set_enabled)(bool) = NULL;
	void (*set_mode)(void **, signed char) = NULL;
	struct optional (*unset_mode)(signed char) = NULL;
	static int object;
	void *mode = &object;
	char line[8];

	if (library) {
		set_enabled = dlsym(library, "_ZN3c108GradMode11set_enabledEb");
		set_mode = dlsym(library, MODES "8set_modeERKvNS0_1KE");
		unset_mode = dlsym(library, MODES "10unset_modeENS0_1KE");
	}
	if (!set_enabled || !set_mode || !unset_mode) {
		fprintf(stderr, "%s\n", dlerror());
		return 1;
	}
	puts("up");
	fflush(stdout);
	fgets(line, sizeof(line), stdin);
	set_enabled(true);
	set_mode(&mode, PROXY);
	set_enabled(false);
	set_enabled(true);
	unset_mode(PROXY);
	puts("done");
	fflush(stdout);
	fgets(line, sizeof(line), stdin);
	return 0;
}
