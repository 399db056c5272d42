// SPDX-License-Identifier: GPL-2.0-or-later
/* --check-config: what would be read, and nothing else. */
#include <stdio.h>

#include "base/err.h"
#include "base/log.h"
#include "cli/commands.h"
#include "cli/config.h"
#include "cli/enforcement.h"
#include "model/suppressions.h"

/* What only this machine knows. */
static int check_machine(const struct options *options, struct err *err)
{
	struct enforce_policy policy = options->enforcement;
	struct suppressions *suppressions;

	if (options->suppress_path) {
		suppressions = suppressions_load(options->suppress_path, err);
		if (!suppressions)
			return err->code;
		suppressions_free(suppressions);
	}
	return policy.bpf.action == GW_ACTION_REPORT ? 0 : enforcement_environment(&policy, err);
}

int command_check_config(const struct options *options)
{
	struct err err;

	if (check_machine(options, &err)) {
		log_error("%s", err.text);
		return EXIT_BAD_USE;
	}
	for (size_t i = 0; i < config_lines(options->config); i++) {
		const struct config_line *line = config_line(options->config, i);

		printf("%s%s%s\n", line->row->name, line->value ? " = " : "",
		       line->value ? line->value : "");
	}
	return EXIT_OK;
}
