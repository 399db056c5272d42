// SPDX-License-Identifier: GPL-2.0-or-later
#include <inttypes.h>
#include <string.h>

#include "output/common.h"
#include "output/text.h"
#include "output/text_finding.h"
#include "report/report.h"

#define SKIPPED_SHOWN 20
#define RUNS_SHOWN    20

static void print_count(FILE *stream, uint64_t count, const char *one, const char *many)
{
	fprintf(stream, "%" PRIu64 " %s", count, output_plural(count, one, many));
}

/* "2026-01-02 03:04:05" of a time in RFC 3339. */
static void print_time(FILE *stream, const char *time)
{
	char text[20];

	snprintf(text, sizeof(text), "%.19s", time);
	if (strlen(text) == 19)
		text[10] = ' ';
	output_escaped(stream, *text ? text : "?", sizeof(text));
}

/* "3 times in 2 processes of 2 runs". */
static void print_times(FILE *stream, const struct summary_finding *finding)
{
	print_count(stream, finding->count, "time", "times");
	fputs(" in ", stream);
	print_count(stream, finding->processes, "process", "processes");
	if (finding->runs > 1)
		fprintf(stream, " of %" PRIu64 " runs", finding->runs);
}

/* Where it is: the whole path, as the report is read elsewhere. */
static void print_place(FILE *stream, const struct event *event)
{
	const struct event_frame *place = event_place(event);

	if (!place)
		return;
	fputs("    at ", stream);
	output_escaped(stream, place->file, OUTPUT_NAME_BYTES);
	if (place->line)
		fprintf(stream, ":%d", place->line);
	fputc('\n', stream);
}

static void print_container(FILE *stream, const struct event_cgroup *cgroup)
{
	if (!cgroup->container || !*cgroup->container)
		return;
	fputs(" in container ", stream);
	output_container(stream, cgroup);
	if (!cgroup->pod || !*cgroup->pod)
		return;
	fputs(" of pod ", stream);
	output_escaped(stream, cgroup->pod, OUTPUT_NAME_BYTES);
}

static void print_finding(FILE *stream, const struct report *report, size_t number,
			  const struct summary_finding *finding)
{
	const struct event *event = finding->event;
	const struct event_process *process = &event->process;

	const bool differs = report_change(report, finding) != REPORT_SAME;

	fprintf(stream, "%zu. %s%s%s  %s  %s  ", number,
		differs ? report_change_word(report, finding) : "", differs ? ": " : "",
		text_finding_title(&event->finding), kind_name(event->finding.kind),
		finding->fingerprint);
	print_times(stream, finding);
	text_finding_body(stream, event, false);
	fputc('\n', stream);
	print_place(stream, event);
	fputs("    first in ", stream);
	output_escaped(stream, process->comm, sizeof(process->comm));
	fprintf(stream, "[%u] on ", process->pid);
	output_escaped(stream, finding->host, OUTPUT_NAME_BYTES);
	print_container(stream, &process->cgroup);
	fputs(", torch ", stream);
	output_escaped(stream, *event->torch.version ? event->torch.version : "of unknown version",
		       sizeof(event->torch.version));
	fputs(", at ", stream);
	print_time(stream, finding->first);
	fputs("; last at ", stream);
	print_time(stream, finding->last);
	fputs("\n\n", stream);
}

static void print_findings(FILE *stream, const struct report *report)
{
	size_t number = 0;

	for (size_t i = 0; i < summary_findings(report->summary); i++) {
		const struct summary_finding *finding = summary_finding(report->summary, i);

		if (event_is_shown(&finding->event->finding))
			print_finding(stream, report, ++number, finding);
	}
}

/* What the baseline has, and this does not. */
static void print_gone(FILE *stream, const struct report *report)
{
	if (!report->baseline)
		return;
	for (size_t i = 0; i < summary_findings(report->baseline); i++) {
		const struct summary_finding *before = summary_finding(report->baseline, i);
		const struct event_frame *place = event_place(before->event);

		if (!event_is_shown(&before->event->finding) ||
		    summary_find(report->summary, before->fingerprint))
			continue;
		fprintf(stream, "gone: %s  %s  %s  ", text_finding_title(&before->event->finding),
			kind_name(before->event->finding.kind), before->fingerprint);
		if (place)
			output_place(stream, place);
		fputs("\n", stream);
	}
}

static void print_others(FILE *stream, const struct report *report)
{
	uint64_t info = 0, suppressed = 0;

	for (size_t i = 0; i < summary_findings(report->summary); i++) {
		const struct summary_finding *finding = summary_finding(report->summary, i);

		info += finding->event->finding.severity == SEVERITY_INFO;
		suppressed += finding->event->finding.severity == SEVERITY_SUPPRESSED;
	}
	if (info)
		fprintf(stream, "not shown: %" PRIu64 " for information only\n", info);
	if (suppressed)
		fprintf(stream, "not shown: %" PRIu64 " accepted\n", suppressed);
}

static void print_traces(FILE *stream, const struct summary_facts *facts)
{
	const char *separator = "traces: ";

	for (int i = 0; i < TRACE_KIND_MAX; i++) {
		if (!facts->traces_by_kind[i])
			continue;
		fprintf(stream, "%s%" PRIu64 " %s", separator, facts->traces_by_kind[i],
			kind_name((enum trace_kind)i));
		separator = ", ";
	}
	if (separator[0] == ',')
		fputc('\n', stream);
}

static void print_coverage(FILE *stream, const struct report *report)
{
	const struct summary_facts *facts = summary_facts(report->summary);
	size_t count = summary_skipped(report->summary);

	fputs("watched: ", stream);
	print_count(stream, facts->attached, "libtorch in a process", "libtorches in processes");
	fprintf(stream, ", skipped: %" PRIu64 ", too late: %" PRIu64 "\n", facts->skipped,
		facts->too_late);
	for (size_t i = 0; i < count && i < SKIPPED_SHOWN; i++) {
		const struct summary_skipped *skipped = summary_skipped_at(report->summary, i);

		fputs("  skipped ", stream);
		output_escaped(stream, skipped->file, sizeof(skipped->file));
		fputs(": ", stream);
		output_escaped(stream, skipped->reason, sizeof(skipped->reason));
		fputc('\n', stream);
	}
	if (count > SKIPPED_SHOWN)
		fprintf(stream, "  and %zu more\n", count - SKIPPED_SHOWN);
}

static void print_runs(FILE *stream, const struct report *report)
{
	size_t count = logs_runs(report->logs);

	for (size_t i = 0; i < count && i < RUNS_SHOWN; i++) {
		const struct run *run = logs_run_at(report->logs, i);

		fputs("run ", stream);
		if (*run->id)
			fprintf(stream, "%.12s on ", run->id);
		else
			fputs("without a name on ", stream);
		output_escaped(stream, *run->host ? run->host : "?", sizeof(run->host));
		fputs(": ", stream);
		print_time(stream, run->first);
		fputs(" to ", stream);
		print_time(stream, run->last);
		if (*run->gradwatch) {
			fputs(", gradwatch ", stream);
			output_escaped(stream, run->gradwatch, sizeof(run->gradwatch));
		}
		if (run->live)
			fputs(", goes on", stream);
		if (run->gap_records)
			fprintf(stream, ", %" PRIu64 " records could not be written",
				run->gap_records);
		fputc('\n', stream);
	}
	if (count > RUNS_SHOWN)
		fprintf(stream, "and %zu more runs\n", count - RUNS_SHOWN);
}

/* The word "clean" is for what was seen whole, and had nothing to be seen. */
void report_verdict(FILE *stream, const struct report *report)
{
	const struct event_totals *totals = &summary_facts(report->summary)->totals;
	uint64_t counted = 0, shown = 0;

	for (size_t i = 0; i < summary_findings(report->summary); i++) {
		const struct summary_finding *finding = summary_finding(report->summary, i);

		shown += event_is_shown(&finding->event->finding);
		counted += event_is_alarm(&finding->event->finding) &&
			   report_counts(report, finding);
	}
	if (*report->unknown)
		fprintf(stream, "not all is known: %s\n", report->unknown);
	if (report->baseline && *report->unknown_baseline)
		fprintf(stream, "not all is known of the baseline: %s\n", report->unknown_baseline);
	if (report->baseline)
		fprintf(stream,
			"compared with the baseline, violations that are new: %" PRIu64 "\n",
			counted);
	if (!*report->unknown && !shown && totals->traces && !totals->violations)
		fprintf(stream, "clean: no change of the grad mode in %" PRIu64 " %s\n",
			totals->traces, output_plural(totals->traces, "trace", "traces"));
	else if (!shown && !totals->traces)
		fputs("no trace was seen: that says nothing\n", stream);
}

void report_basis(FILE *stream, const struct report *report)
{
	const struct logs_state *state = logs_state(report->logs);

	fputs("read: ", stream);
	print_count(stream, state->files, "file", "files");
	fputs(", ", stream);
	print_count(stream, state->records, "record", "records");
	fprintf(stream,
		"; damaged or missing: %" PRIu64 ", of unknown type: %" PRIu64
		", of a newer schema: %" PRIu64 ", there twice: %" PRIu64 "\n",
		report->damages, state->unknown, state->newer, state->duplicates);
}

static void print_replay(FILE *stream, const struct run *run, const struct replay_result *result)
{
	fprintf(stream, "replay of run %.12s: ", *run->id ? run->id : "(without a name)");
	print_count(stream, result->inputs, "input", "inputs");
	fputs(", ", stream);
	print_count(stream, result->compared, "event", "events");
	fprintf(stream, " compared, different: %" PRIu64, result->differences);
	if (*result->why)
		fprintf(stream, "; not all is comparable: %s", result->why);
	fputc('\n', stream);
	for (size_t i = 0; i < result->shown_count; i++) {
		const struct replay_difference *one = &result->shown[i];

		fprintf(stream, "  record %" PRIu64 ": logged ", one->seq);
		output_escaped(stream, *one->logged ? one->logged : "nothing", sizeof(one->logged));
		fputs("\n    replayed ", stream);
		output_escaped(stream, *one->made ? one->made : "nothing", sizeof(one->made));
		fputc('\n', stream);
	}
}

void report_replays(FILE *stream, const struct report *report)
{
	for (size_t i = 0; report->replay && i < logs_runs(report->logs); i++) {
		const struct replay_result *result = replay_result(report->replay, i);

		if (result)
			print_replay(stream, logs_run_at(report->logs, i), result);
	}
}

/* A log with inputs has its changes in them. */
static void print_hint(FILE *stream, const struct report *report)
{
	bool inputs = false;

	for (size_t i = 0; i < logs_runs(report->logs); i++)
		inputs |= !strcmp(logs_run_at(report->logs, i)->level, "all");
	if (inputs && !report->replay)
		fputs("single changes are in the log's inputs: --replay shows them\n", stream);
}

void report_text(FILE *stream, const struct report *report)
{
	const struct summary_facts *facts = summary_facts(report->summary);

	print_findings(stream, report);
	print_gone(stream, report);
	print_others(stream, report);
	text_totals(stream, &facts->totals);
	print_traces(stream, facts);
	print_coverage(stream, report);
	print_runs(stream, report);
	report_basis(stream, report);
	report_replays(stream, report);
	print_hint(stream, report);
	report_verdict(stream, report);
}
