// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/damages.h"

#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/str.h"
#include "output/common.h"

#define RANGES_MAX   20 /* of missing numbers that are printed of a run */
#define FIRST_NS     1000000000ull
#define EVERY_NS     200000000ull
#define BYTES_PER_MB 1000000

void damages_print_rest(FILE *stream, struct damages_printed *printed)
{
	if (printed->rest) {
		output_escaped(stream, printed->file, sizeof(printed->file));
		fprintf(stream, ": and %" PRIu64 " more damages\n", printed->rest);
	}
	*printed = (struct damages_printed){0};
}

void damages_print(FILE *stream, const struct logs *logs, struct damages_printed *printed)
{
	const struct reader_damage *damage = logs_damage(logs);
	const char *file = logs_file(logs);

	if (strncmp(file, printed->file, sizeof(printed->file) - 1) != 0) {
		damages_print_rest(stream, printed);
		(void)str_format(printed->file, sizeof(printed->file), "%s", file);
	}
	if (printed->count++ >= DAMAGES_MAX) {
		printed->rest++;
		return;
	}
	output_escaped(stream, file, strlen(file));
	fprintf(stream, ": byte %" PRIu64 "%s: %s", damage->offset,
		damage->in_text ? " of its text" : "", damage->what);
	if (damage->length)
		fprintf(stream, " (%" PRIu64 " %s)", damage->length,
			output_plural(damage->length, "byte", "bytes"));
	fputc('\n', stream);
}

static void report_run(FILE *stream, const struct run *run)
{
	if (*run->id)
		fprintf(stream, "run %.12s on ", run->id);
	else
		fputs("a run on ", stream);
	output_escaped(stream, *run->host ? run->host : "?", sizeof(run->host));
}

static void report_ranges(FILE *stream, const struct run *run, const struct numbers *missing)
{
	report_run(stream, run);
	fputs(": missing are the records", stream);
	for (size_t i = 0; i < missing->count && i < RANGES_MAX; i++) {
		const struct numbers_range *range = &missing->range[i];

		fprintf(stream, "%s %" PRIu64, i ? "," : "", range->first);
		if (range->last > range->first)
			fprintf(stream, " to %" PRIu64, range->last);
	}
	if (missing->count > RANGES_MAX)
		fprintf(stream, " and %zu more ranges", missing->count - RANGES_MAX);
	if (run->removed && missing->count && !missing->range[0].first)
		fprintf(stream, " (%" PRIu64 " old %s removed by --log-rotate keep)", run->removed,
			output_plural(run->removed, "segment was", "segments were"));
	fputc('\n', stream);
}

size_t damages_print_missing(FILE *stream, const struct logs *logs)
{
	size_t lines = 0;

	for (size_t i = 0; i < logs_runs(logs); i++) {
		const struct run *run = logs_run_at(logs, i);
		struct numbers missing = {0};

		if (run_missing(run, &missing) || missing.count) {
			lines++;
			if (stream)
				report_ranges(stream, run, &missing);
		}
		numbers_free(&missing);
		if (run->checked && !run->ended && !run->live && !run->cut) {
			lines++;
			if (stream) {
				report_run(stream, run);
				fputs(": its last segments are not here\n", stream);
			}
		}
	}
	return lines;
}

void progress_begin(struct progress *progress)
{
	progress->wanted = isatty(STDERR_FILENO);
	progress->next = clock_monotonic() + FIRST_NS;
}

void progress_step(struct progress *progress, const struct logs *logs)
{
	const struct logs_state *state = logs_state(logs);
	uint64_t now;

	/* The clock is looked at once in a while. */
	if (!progress->wanted || state->records % 1024)
		return;
	now = clock_monotonic();
	if (now < progress->next)
		return;
	progress->next = now + EVERY_NS;
	fprintf(stderr, "\r%" PRIu64 " records, %" PRIu64 " of %" PRIu64 " MB\033[K",
		state->records, state->read_bytes / BYTES_PER_MB,
		state->files_bytes / BYTES_PER_MB);
}

void progress_end(struct progress *progress)
{
	if (progress->wanted)
		fputs("\r\033[K", stderr);
}
