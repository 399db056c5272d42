// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Attaches an empty program to one place of a file, in all processes that map it, as gradwatch
 * attaches its own:
 *   empty_probe FILE OFFSET
 * Prints "ready" when it is armed; detaches at the end of standard input.
 */
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/empty_probe.skel.h"

static int watch(const char *path, size_t offset)
{
	struct empty_probe_bpf *skel = empty_probe_bpf__open_and_load();
	struct bpf_link *link;
	char byte;

	if (!skel) {
		fprintf(stderr, "empty_probe: cannot load: %s\n", strerror(errno));
		return 1;
	}
	link = bpf_program__attach_uprobe(skel->progs.empty, false, -1, path, offset);
	if (!link) {
		fprintf(stderr, "empty_probe: cannot attach to %s+%#zx: %s\n", path, offset,
			strerror(errno));
		empty_probe_bpf__destroy(skel);
		return 1;
	}
	puts("ready");
	fflush(stdout);
	while (read(STDIN_FILENO, &byte, 1) > 0)
		;
	bpf_link__destroy(link);
	empty_probe_bpf__destroy(skel);
	return 0;
}

int main(int argc, char **argv)
{
	char *end;
	size_t offset;

	if (argc != 3) {
		fprintf(stderr, "usage: empty_probe FILE OFFSET\n");
		return 2;
	}
	errno = 0;
	offset = strtoull(argv[2], &end, 0);
	if (errno || *end || end == argv[2]) {
		fprintf(stderr, "empty_probe: bad offset '%s'\n", argv[2]);
		return 2;
	}
	return watch(argv[1], offset);
}
