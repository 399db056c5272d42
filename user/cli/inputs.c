// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/inputs.h"

#include <errno.h>
#include <string.h>

#include "base/log.h"

struct logs *inputs_open(char *const *files)
{
	struct logs *logs = logs_new();
	int code = 0;

	if (!logs)
		log_error("out of memory");
	for (char *const *file = files; logs && !code && *file; file++) {
		code = logs_add(logs, *file);
		if (code)
			log_error("cannot read '%s': %s", *file,
				  code == -ENOENT
					  ? "there is no such file, or no segment in the folder"
					  : strerror(-code));
	}
	if (!code)
		return logs;
	logs_free(logs);
	return NULL;
}
