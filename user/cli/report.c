// SPDX-License-Identifier: GPL-2.0-or-later
#include "report/report.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/str.h"
#include "cli/commands.h"
#include "cli/damages.h"
#include "cli/inputs.h"
#include "cli/reports.h"
#include "cli/torch_trace.h"
#include "cli/unknown.h"
#include "cli/whole_file.h"
#include "report/history.h"
#include "report/page.h"
#include "report/perfetto.h"
#include "report/replay.h"
#include "report/timeline.h"

#define REASON_SIZE 1024

/* What was read of some files. */
struct source {
	struct logs *logs;
	struct summary *summary;
	struct history *history;   /* NULL: no picture is asked for */
	struct timeline *timeline; /* NULL: nor this one */
	struct replay *replay;     /* NULL: what was logged counts */
	uint64_t damages;
	bool fast; /* its stacks are not read */
	bool no_memory;
	char unknown[REASON_SIZE];
};

static int open_source(struct source *source, char *const *files,
		       const struct summary_filter *filter)
{
	source->logs = inputs_open(files);
	if (!source->logs)
		return EXIT_BAD_USE;
	source->summary = summary_new(filter);
	if (source->summary)
		return EXIT_OK;
	log_error("out of memory");
	return EXIT_BAD_USE;
}

static void close_source(struct source *source)
{
	replay_free(source->replay);
	timeline_free(source->timeline);
	history_free(source->history);
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
	uint64_t gaps = 0, running = 0, different = 0, incomparable = 0;

	for (size_t i = 0; i < logs_runs(source->logs); i++) {
		const struct replay_result *result = NULL;

		gaps += logs_run_at(source->logs, i)->gap_records;
		running += logs_run_at(source->logs, i)->live;
		if (source->replay)
			result = replay_result(source->replay, i);
		different += result ? result->differences : 0;
		incomparable += result && *result->why;
	}
	add_reason(text, "damaged or missing in the log", source->damages);
	add_reason(text, "records that could not be written", gaps);
	add_reason(text, "records of an unknown type", state->unknown);
	add_reason(text, "records of a newer schema", state->newer);
	add_reason(text, "records that could not be understood", facts->undecoded);
	add_reason(text, "findings whose record is missing", facts->orphans);
	add_reason(text, "runs whose totals differ from their records", facts->contradictions);
	add_reason(text, "events that differ in the replay", different);
	add_reason(text, "runs whose replay cannot be compared", incomparable);
	add_reason(text, "runs that go on", running);
	add_reason(text, "runs without an end", facts->runs_without_end - running);
	add_reason(text, "out of memory", source->no_memory || state->no_memory);
	if ((!facts->runs_without_end || facts->totals.coverage.probed) && !filter->pid &&
	    unknown_reason(&live, reason, sizeof(reason)))
		(void)str_format(text + strlen(text), REASON_SIZE - strlen(text), "%s%s",
				 *text ? "; " : "", reason);
}

static int add_record(struct source *source, const struct summary_filter *filter,
		      const struct run *run, const struct record *record)
{
	int code;

	if (!run)
		return -ENOMEM;
	code = summary_add(source->summary, run, record);
	if (source->history && !code)
		code = history_add(source->history, run, record);
	if (source->timeline && !code && summary_wants(filter, record))
		code = timeline_add(source->timeline, run, record);
	return code;
}

/* The next item, with its stack if that is needed. */
static enum logs_item next_item(const struct source *source)
{
	enum logs_item item = logs_next(source->logs);

	if (item == LOGS_RECORD && logs_record(source->logs)->head &&
	    summary_needs_stack(source->summary, logs_record(source->logs)) &&
	    !logs_complete(source->logs))
		item = LOGS_DAMAGE;
	return item;
}

/* What the model makes of a record's inputs comes behind the record. */
static int take_record(struct source *source, const struct summary_filter *filter,
		       const struct run *run, const struct record *record)
{
	const struct record *made;
	const char *line;
	size_t length;
	int code;

	if (!source->replay || !run)
		return add_record(source, filter, run, record);
	line = logs_line(source->logs, &length);
	code = replay_take(source->replay, run, record, line, length);
	if (!code)
		code = add_record(source, filter, run, record);
	while (code >= 0 && (made = replay_next(source->replay)))
		code = add_record(source, filter, run, made);
	return code < 0 ? code : 0;
}

/* Damages go to standard error as they are met: the report has their number. */
static void read_source(struct source *source, const struct summary_filter *filter)
{
	struct damages_printed printed = {0};
	struct progress progress;
	enum logs_item item;

	if (source->fast)
		logs_set_fast(source->logs);
	progress_begin(&progress);
	while ((item = next_item(source)) != LOGS_END) {
		progress_step(&progress, source->logs);
		if (item == LOGS_DAMAGE) {
			source->damages++;
			damages_print(stderr, source->logs, &printed);
		}
		if (item != LOGS_RECORD)
			continue;
		if (take_record(source, filter, logs_run(source->logs), logs_record(source->logs)))
			source->no_memory = true;
	}
	progress_end(&progress);
	damages_print_rest(stderr, &printed);
	source->damages += damages_print_missing(stderr, source->logs);
	if (source->replay)
		replay_finish(source->replay, source->logs);
	if (summary_finish(source->summary, source->logs) ||
	    (source->history && history_finish(source->history)))
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

static void report_left_out(const char *path, const struct history *history)
{
	const struct history_left_out *left_out = &history->left_out;

	if (left_out->traces || left_out->changes || left_out->marks)
		log_warn("'%s' has not all: left out are %" PRIu64 " traces, %" PRIu64
			 " changes, %" PRIu64
			 " marks of findings; --since, --until, --pid or --kinds choose less",
			 path, left_out->traces, left_out->changes, left_out->marks);
}

static int write_page(int folder, const char *path, mode_t mode, const struct report *report,
		      struct history *history)
{
	struct whole_file file;
	int code = whole_file_open(&file, folder, path, mode);

	return code ? code : whole_file_close(&file, page_write(file.stream, report, history));
}

static int write_perfetto(int folder, const char *path, mode_t mode, const struct history *history)
{
	struct whole_file file;
	int code = whole_file_open(&file, folder, path, mode);

	if (!code)
		code = whole_file_close(&file, perfetto_write(file.stream, history));
	if (!code)
		report_left_out(path, history);
	return code;
}

static int write_text(int folder, const char *path, mode_t mode, const struct report *report,
		      bool json)
{
	struct whole_file file;
	int code = whole_file_open(&file, folder, path, mode);

	return code ? code : whole_file_close(&file, print_report(file.stream, report, json));
}

static void make_report(struct report *report, const struct source *source)
{
	report->summary = source->summary;
	report->logs = source->logs;
	report->replay = source->replay;
	report->damages = source->damages;
	report->unknown = source->unknown;
}

int reports_write(int folder, const char *path, bool replay)
{
	const mode_t mode = 0600; /* as the log */
	const struct summary_filter filter = {0};
	char *const files[] = {(char *)path, NULL};
	struct source source = {.history = history_new(&filter),
				.replay = replay ? replay_new() : NULL};
	struct report report = {.filtered = false};
	bool failed = !source.history || (replay && !source.replay);
	int code = 0;

	if (failed)
		log_error("out of memory");
	if (failed || open_source(&source, files, &filter)) {
		code = -EIO;
	} else {
		read_source(&source, &filter);
		make_report(&report, &source);
		code = write_text(folder, "report.txt", mode, &report, false);
		if (!code)
			code = write_text(folder, "report.json", mode, &report, true);
		if (!code)
			code = write_page(folder, "page.html", mode, &report, source.history);
		if (!code)
			code = write_perfetto(folder, "trace.perfetto.json", mode, source.history);
	}
	close_source(&source);
	return code;
}

/* The files that are asked for beside the report. */
static int write_pictures(const struct report_options *options, const struct report *report,
			  struct history *history)
{
	const mode_t mode = 0666; /* less umask */

	if (options->html && write_page(AT_FDCWD, options->html, mode, report, history))
		return EXIT_BAD_USE;
	if (options->perfetto && write_perfetto(AT_FDCWD, options->perfetto, mode, history))
		return EXIT_BAD_USE;
	if (options->torch_trace &&
	    torch_trace_folder(options->torch_trace, history, report->summary))
		return EXIT_BAD_USE;
	return EXIT_OK;
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

/* What is wanted besides the summary. */
static int prepare(struct source *source, const struct report_options *options,
		   const struct summary_filter *filter)
{
	bool history = options->html || options->perfetto || options->torch_trace;

	if (history)
		source->history = history_new(filter);
	if (options->trace)
		source->timeline = timeline_new(options->trace);
	if (options->replay)
		source->replay = replay_new();
	if ((!history || source->history) && (!options->trace || source->timeline) &&
	    (!options->replay || source->replay))
		return EXIT_OK;
	log_error("out of memory");
	return EXIT_BAD_USE;
}

static int run(const struct options *options, const struct summary_filter *filter,
	       struct source *source, struct source *baseline)
{
	struct report report = {.filtered = false};
	int status = open_source(source, options->files, filter);

	if (!status)
		status = prepare(source, &options->report, filter);
	if (!status && options->report.baseline) {
		char *const files[] = {options->report.baseline, NULL};

		status = open_source(baseline, files, filter);
		if (!status)
			read_source(baseline, filter);
	}
	if (status)
		return status;
	read_source(source, filter);
	make_report(&report, source);
	report.baseline = baseline->summary;
	report.unknown_baseline = baseline->unknown;
	status = write_report(options, &report, source->timeline);
	if (!status)
		status = write_pictures(&options->report, &report, source->history);
	return status ? status : report_failures(failures(&report) & options->fail_on);
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
	struct source source = {.fast = options->report.fast};
	struct source baseline = {.fast = options->report.fast};
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
