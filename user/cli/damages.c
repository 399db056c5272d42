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

void damages_tell_rest(FILE *stream, struct damages_told *told)
{
	if (told->rest) {
		output_escaped(stream, told->file, sizeof(told->file));
		fprintf(stream, ": and %" PRIu64 " more damages\n", told->rest);
	}
	*told = (struct damages_told){0};
}

void damages_tell(FILE *stream, const struct logs *logs, struct damages_told *told)
{
	const struct reader_damage *damage = logs_damage(logs);
	const char *file = logs_file(logs);

	if (strncmp(file, told->file, sizeof(told->file) - 1) != 0) {
		damages_tell_rest(stream, told);
		(void)str_format(told->file, sizeof(told->file), "%s", file);
	}
	if (told->count++ >= DAMAGES_MAX) {
		told->rest++;
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

size_t damages_tell_missing(FILE *stream, const struct logs *logs)
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
