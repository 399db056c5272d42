// SPDX-License-Identifier: GPL-2.0-or-later
/* record -o DIR -- CMD: watch with a log in DIR, then put the report beside it. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "cli/commands.h"
#include "cli/reports.h"

/* A file of the folder, made anew; NULL: why is told. */
static FILE *open_file(int folder, const char *name)
{
	int fd = openat(folder, name,
			O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
	FILE *file = fd < 0 ? NULL : fdopen(fd, "w");

	if (!file)
		log_error("cannot write '%s': %s", name, strerror(errno));
	if (!file && fd >= 0)
		close(fd);
	return file;
}

static int write_file(int folder, const char *name, const char *path, bool json)
{
	FILE *file = open_file(folder, name);
	int code;

	if (!file)
		return -EIO;
	code = reports_write(file, path, json);
	if (fclose(file) && !code)
		code = -errno;
	if (code)
		log_error("cannot write '%s': %s", name, strerror(-code));
	return code;
}

int command_record(const struct options *options)
{
	struct options watching = *options;
	int folder, status;

	watching.command = COMMAND_WATCH;
	watching.log.segments.path = options->output_path;
	watching.output_path = NULL;
	status = command_watch(&watching);
	folder = open(options->output_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (folder < 0)
		return status; /* it was not begun: that was told */
	if ((write_file(folder, "report.txt", options->output_path, false) ||
	     write_file(folder, "report.json", options->output_path, true)) &&
	    !status)
		status = EXIT_BAD_USE;
	close(folder);
	return status;
}
