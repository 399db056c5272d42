// SPDX-License-Identifier: GPL-2.0-or-later
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "cli/commands.h"
#include "cli/damages.h"
#include "cli/inputs.h"
#include "output/common.h"

static void report_result(const struct logs *logs, uint64_t bad)
{
	const struct logs_state *state = logs_state(logs);
	uint64_t gaps = 0, live = 0;

	for (size_t i = 0; i < logs_runs(logs); i++) {
		gaps += logs_run_at(logs, i)->gap_records;
		live += logs_run_at(logs, i)->live;
	}
	printf("%" PRIu64 " %s, %" PRIu64 " %s, %" PRIu64 " %s", state->files,
	       output_plural(state->files, "file", "files"), state->records,
	       output_plural(state->records, "record", "records"), bad,
	       output_plural(bad, "damage", "damages"));
	if (state->duplicates)
		printf(", %" PRIu64 " there twice", state->duplicates);
	if (gaps)
		printf(", %" PRIu64 " reported as not written", gaps);
	if (state->unknown)
		printf(", %" PRIu64 " of an unknown type", state->unknown);
	if (state->newer)
		printf(", %" PRIu64 " of a newer schema", state->newer);
	if (live)
		printf(", being written: %" PRIu64, live);
	putchar('\n');
}

int command_verify(const struct options *options)
{
	struct logs *logs = inputs_open(options->files);
	struct damages_printed printed = {0};
	struct progress progress;
	enum logs_item item;
	uint64_t bad = 0;
	int status;

	if (!logs)
		return EXIT_BAD_USE;
	progress_begin(&progress);
	while ((item = logs_next(logs)) != LOGS_END) {
		progress_step(&progress, logs);
		if (item != LOGS_DAMAGE)
			continue;
		bad++;
		damages_print(stdout, logs, &printed);
	}
	progress_end(&progress);
	damages_print_rest(stdout, &printed);
	bad += damages_print_missing(stdout, logs);
	report_result(logs, bad);
	if (logs_state(logs)->no_memory)
		log_error("out of memory: not all of what is missing was found");
	status = bad || logs_state(logs)->no_memory ? EXIT_DAMAGED : EXIT_OK;
	logs_free(logs);
	return status;
}
