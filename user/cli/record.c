// SPDX-License-Identifier: GPL-2.0-or-later
/* record -o DIR -- CMD: watch with a log in DIR, then put the report beside it. */
#include <fcntl.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/reports.h"

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
		return status; /* it was not begun: that was logged */
	if (reports_write(folder, options->output_path, options->log.level == LOG_DETAIL_ALL) &&
	    !status)
		status = EXIT_BAD_USE;
	close(folder);
	return status;
}
