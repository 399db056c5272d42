// SPDX-License-Identifier: GPL-2.0-or-later
#include <stdio.h>

#include "base/log.h"
#include "cli/commands.h"
#include "enforce/release.h"
#include "probe/diagnose.h"

int command_release(const struct options *options)
{
	char missing[128];
	struct err err;

	if (diagnose_capabilities(missing, sizeof(missing))) {
		log_error("missing capability %s: run as root (sudo gradwatch ...)", missing);
		return EXIT_BAD_USE;
	}
	for (size_t i = 0; i < options->pid_count; i++) {
		if (release_process((pid_t)options->pids[i], &err)) {
			log_error("%s", err.text);
			return EXIT_BAD_USE;
		}
		printf("process %u goes on\n", options->pids[i]);
	}
	return EXIT_OK;
}
