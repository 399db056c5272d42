// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdio.h>
#include <unistd.h>

#include "base/log.h"
#include "cli/commands.h"
#include "cli/options.h"
#include "gradwatch/version.h"
#include "watch/inherited.h"
#include "probe/kernel_btf.h"

/* Blocks of this size, as files that are inspected, go back to the kernel when they are freed. */
#define LARGE_BYTES (256 << 10)

/* What is opened later must not take the number of a standard descriptor that was closed. */
static int open_standard_descriptors(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0 && errno == EBADF && open("/dev/null", O_RDWR) != fd)
			return -1;
	return 0;
}

int main(int argc, char **argv)
{
	static struct options options; /* large */
	struct err err;

	inherited_take();
	mallopt(M_MMAP_THRESHOLD, LARGE_BYTES);
	if (open_standard_descriptors())
		return EXIT_BAD_USE;
	if (options_parse(&options, argc, argv, &err)) {
		log_error("%s", err.text);
		return EXIT_BAD_USE;
	}
	if (options.check_config)
		return command_check_config(&options);
	if (options.verbosity > 2)
		log_set_level(LOG_DEBUG);
	if (options.btf_path && kernel_btf_use(options.btf_path, &err)) {
		log_error("%s", err.text);
		return EXIT_BAD_USE;
	}
	switch (options.command) {
	case COMMAND_HELP:
		options_help(stdout, options.about);
		return EXIT_OK;
	case COMMAND_VERSION:
		printf("gradwatch %s\n", GRADWATCH_VERSION);
		return EXIT_OK;
	case COMMAND_DOCTOR:
		return command_doctor(&options);
	case COMMAND_RELEASE:
		return command_release(&options);
	case COMMAND_RECORD:
		return command_record(&options);
	case COMMAND_REPORT:
		return command_report(&options);
	case COMMAND_VERIFY:
		return command_verify(&options);
	case COMMAND_STATUS:
		return command_status(&options);
	case COMMAND_WATCH:
		break;
	}
	return command_watch(&options);
}
