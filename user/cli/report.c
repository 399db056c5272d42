// SPDX-License-Identifier: GPL-2.0-or-later
#include "report/report.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/str.h"
#include "cli/commands.h"
#include "cli/damages.h"
#include "cli/reports.h"
#include "cli/unknown.h"
#include "report/timeline.h"

#define REASON_SIZE 1024

/* What was read of some files. */
struct source {
	struct logs *logs;
	struct summary *summary;
	uint64_t damages;
	bool no_memory;
	char unknown[REASON_SIZE];
};

static int open_source(struct source *source, char *const *files,
		       const struct summary_filter *filter)
{
	source->logs = logs_new();
	source->summary = summary_new(filter);
	if (!source->logs || !source->summary) {
		log_error("out of memory");
		return EXIT_BAD_USE;
	}
	for (char *const *file = files; *file; file++) {
		int code = logs_add(source->logs, *file);

		if (!code)
			continue;
		log_error("cannot read '%s': %s", *file,
			  code == -ENOENT ? "there is no such file, or no segment in the folder"
					  : strerror(-code));
		return EXIT_BAD_USE;
	}
	return EXIT_OK;
}

static void close_source(struct source *source)
{
	summary_free(source->summary);
	logs_free(source->logs);
}

static void add_reason(char *text, const char *what, uint64_t count)
{
	size_t length = strlen(text);

	if (count)
		(void)str_format(text + length, REASON_SIZE - length, "%s%s: %" PRIu64,
				 length ? "; " : "", what, count);
}

/* Whatever keeps "nothing was found" from meaning that there was nothing. */
static void find_unknown(struct source *source, const struct summary_filter *filter)
{
	const struct summary_facts *facts = summary_facts(source->summary);
	const struct logs_state *state = logs_state(source->logs);
	const struct unknown_facts live = {
		.totals = &facts->totals,
		.skipped = facts->skipped,
		.too_late = facts->too_late,
		.lost_output = facts->totals.lost_output,
	};
	char *text = source->unknown, reason[REASON_SIZE / 2];
	uint64_t gaps = 0, running = 0;

	for (size_t i = 0; i < logs_runs(source->logs); i++) {
		gaps += logs_run_at(source->logs, i)->gap_records;
		running += logs_run_at(source->logs, i)->live;
	}
	add_reason(text, "damaged or missing in the log", source->damages);
	add_reason(text, "records that could not be written", gaps);
	add_reason(text, "records of an unknown type", state->unknown);
	add_reason(text, "records of a newer schema", state->newer);
	add_reason(text, "records that could not be understood", facts->undecoded);
	add_reason(text, "findings whose record is missing", facts->orphans);
	add_reason(text, "runs whose totals differ from their records", facts->contradictions);
	add_reason(text, "runs that go on", running);
	add_reason(text, "runs without an end", facts->runs_without_end - running);
	add_reason(text, "out of memory", source->no_memory || state->no_memory);
	if ((!facts->runs_without_end || facts->totals.coverage.probed) && !filter->pid &&
	    unknown_reason(&live, reason, sizeof(reason)))
		(void)str_format(text + strlen(text), REASON_SIZE - strlen(text), "%s%s",
				 *text ? "; " : "", reason);
}

/* Damages go to standard error as they are met: the report has their number. */
static void read_source(struct source *source, const struct summary_filter *filter,
			struct timeline *timeline, bool fast)
{
	struct damages_told told = {0};
	struct progress progress;
	enum logs_item item;

	if (fast)
		logs_set_fast(source->logs);
	progress_begin(&progress);
	while ((item = logs_next(source->logs)) != LOGS_END) {
		const struct run *run = logs_run(source->logs);

		progress_step(&progress, source->logs);
		if (item == LOGS_DAMAGE) {
			source->damages++;
			damages_tell(stderr, source->logs, &told);
		}
		if (item != LOGS_RECORD)
			continue;
		if (!run || summary_add(source->summary, run, logs_record(source->logs)))
			source->no_memory = true;
		if (timeline && run && summary_wants(filter, logs_record(source->logs)) &&
		    timeline_add(timeline, run, logs_record(source->logs)))
			source->no_memory = true;
	}
	progress_end(&progress);
	damages_tell_rest(stderr, &told);
	source->damages += damages_tell_missing(stderr, source->logs);
	if (summary_finish(source->summary, source->logs))
		source->no_memory = true;
	find_unknown(source, filter);
}

/* What --fail-on can name and there is: a set of FAIL_. */
static unsigned int failures(const struct report *report)
{
	const struct event_totals *totals = &summary_facts(report->summary)->totals;
	unsigned int found = 0;

	for (size_t i = 0; i < summary_findings(report->summary); i++) {
		const struct summary_finding *one = summary_finding(report->summary, i);
		const struct event_finding *finding = &one->event->finding;

		if (!report_counts(report, one))
			continue;
		if (finding->severity == SEVERITY_NOTE)
			found |= FAIL_NOTE;
		if (event_is_alarm(finding))
			found |= finding->category == FINDING_DRIFT ? FAIL_DRIFT : FAIL_VIOLATION;
	}
	if (!report->baseline &&
	    (totals->actions[ACTION_PERFORMED] || totals->actions[ACTION_TOO_LATE]))
		found |= FAIL_VIOLATION;
	if (*report->unknown || (report->baseline && *report->unknown_baseline))
		found |= FAIL_UNKNOWN;
	return found;
}

static int report_failures(unsigned int found)
{
	if (!found)
		return EXIT_OK;
	log_error("--fail-on: there were%s%s%s%s", found & FAIL_VIOLATION ? " violations" : "",
		  found & FAIL_DRIFT ? " drifts" : "", found & FAIL_NOTE ? " notes" : "",
		  found & FAIL_UNKNOWN ? " things that are not known" : "");
	return EXIT_VIOLATIONS;
}

static int print_report(FILE *stream, const struct report *report, bool json)
{
	int code = 0;

	if (json)
		code = report_json(stream, report);
	else
		report_text(stream, report);
	if (!code && (fflush(stream) || ferror(stream)))
		code = errno ? -errno : -EIO;
	return code;
}

int reports_write(FILE *stream, const char *path, bool json)
{
	const struct summary_filter filter = {0};
	struct source source = {.logs = logs_new(), .summary = summary_new(&filter)};
	struct report report = {.summary = source.summary, .logs = source.logs};
	int code = source.logs && source.summary ? logs_add(source.logs, path) : -ENOMEM;

	if (!code) {
		read_source(&source, &filter, NULL, false);
		report.damages = source.damages;
		report.unknown = source.unknown;
		code = print_report(stream, &report, json);
	}
	close_source(&source);
	return code;
}

static int write_report(const struct options *options, const struct report *report,
			struct timeline *timeline)
{
	int code = 0;

	if (timeline && !options->json)
		timeline_text(stdout, timeline);
	else
		code = print_report(stdout, report, options->json);
	if (timeline && !timeline_count(timeline) && !options->json)
		log_warn("no trace %" PRIu64 " in the log", options->report.trace);
	if (code || fflush(stdout) || ferror(stdout)) {
		log_error("cannot write the report: %s", strerror(code ? -code : errno));
		return EXIT_BAD_USE;
	}
	return EXIT_OK;
}

static int run(const struct options *options, const struct summary_filter *filter,
	       struct source *source, struct source *baseline)
{
	struct timeline *timeline = options->report.trace ? timeline_new(options->report.trace)
							  : NULL;
	struct report report = {.filtered = false};
	int status = open_source(source, options->files, filter);

	if (!status && options->report.baseline) {
		char *const files[] = {options->report.baseline, NULL};

		status = open_source(baseline, files, filter);
		if (!status)
			read_source(baseline, filter, NULL, options->report.fast);
	}
	if (!status) {
		read_source(source, filter, timeline, options->report.fast);
		report.summary = source->summary;
		report.logs = source->logs;
		report.baseline = baseline->summary;
		report.damages = source->damages;
		report.unknown = source->unknown;
		report.unknown_baseline = baseline->unknown;
		status = write_report(options, &report, timeline);
	}
	if (!status)
		status = report_failures(failures(&report) & options->fail_on);
	timeline_free(timeline);
	return status;
}

int command_report(const struct options *options)
{
	struct summary_filter filter = {
		.since = options->report.since,
		.until = options->report.until,
		.host = options->report.host,
		.pid = options->pid_count ? options->pids[0] : 0,
		.kinds = options->kinds_given ? options->kinds : 0,
	};
	struct source source = {0}, baseline = {0};
	struct err err;
	int status;

	if (options->suppress_path) {
		filter.suppressions = suppressions_load(options->suppress_path, &err);
		if (!filter.suppressions) {
			log_error("%s", err.text);
			return EXIT_BAD_USE;
		}
	}
	status = run(options, &filter, &source, &baseline);
	close_source(&source);
	close_source(&baseline);
	suppressions_free(filter.suppressions);
	return status;
}
