// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What page.js reads. Events are columns of numbers, as these compress best; times and numbers that
 * rise are differences to the one before.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "model/advice.h"
#include "output/buffer.h"
#include "output/common.h"
#include "output/text.h"
#include "output/text_finding.h"
#include "report/encode.h"
#include "report/page.h"

/* JSON under way. */
struct out {
	FILE *stream;
	const char *separator; /* before the next value */
	bool failed;
};

static void key(struct out *out, const char *name)
{
	fprintf(out->stream, "%s\"%s\":", out->separator, name);
	out->separator = "";
}

static void open_list(struct out *out, const char *bracket)
{
	fprintf(out->stream, "%s%s", out->separator, bracket);
	out->separator = "";
}

static void close_list(struct out *out, const char *bracket)
{
	fputs(bracket, out->stream);
	out->separator = ",";
}

static void number(struct out *out, uint64_t value)
{
	fprintf(out->stream, "%s%" PRIu64, out->separator, value);
	out->separator = ",";
}

static void signed_number(struct out *out, int64_t value)
{
	fprintf(out->stream, "%s%" PRId64, out->separator, value);
	out->separator = ",";
}

/* A number of something that there may be none of: -1 then. */
static void index_number(struct out *out, uint32_t value)
{
	signed_number(out, value == HISTORY_NONE ? -1 : (int64_t)value);
}

/* In printable form: \xNN has four characters. */
static void string(struct out *out, const char *text)
{
	char safe[4 * OUTPUT_NAME_BYTES + 1];

	str_escape(safe, sizeof(safe), text, strnlen(text, OUTPUT_NAME_BYTES));
	fputs(out->separator, out->stream);
	out->separator = ",";
	out->failed |= encode_string(out->stream, safe) != 0;
}

static void put_number(struct out *out, const char *name, uint64_t value)
{
	key(out, name);
	number(out, value);
}

static void put_string(struct out *out, const char *name, const char *text)
{
	key(out, name);
	string(out, text);
}

typedef void (*printer)(FILE *stream, const void *what);

/* What a printer prints as a list of its lines; blanks at their begin are not the page's. */
static void put_lines(struct out *out, const char *name, printer print, const void *what)
{
	struct buffer buffer = {0};
	FILE *stream = buffer_stream(&buffer);
	char *text = NULL, *rest, *line;
	size_t length;

	key(out, name);
	open_list(out, "[");
	if (stream) {
		print(stream, what);
		fclose(stream);
	}
	if (!stream || buffer_take(&buffer, &text, &length))
		out->failed = true;
	rest = text;
	while ((line = strsep(&rest, "\n"))) {
		line += strspn(line, " ");
		if (*line)
			string(out, line);
	}
	free(text);
	close_list(out, "]");
}

static void print_body(FILE *stream, const void *what)
{
	text_finding_body(stream, what, false);
}

static void print_totals(FILE *stream, const void *what)
{
	text_totals(stream, what);
}

static void print_verdict(FILE *stream, const void *what)
{
	report_verdict(stream, what);
}

static void print_basis(FILE *stream, const void *what)
{
	report_basis(stream, what);
}

static void put_finding(struct out *out, const struct report *report,
			const struct summary_finding *finding, struct history *history)
{
	const struct event *event = finding->event;
	const struct event_frame *place = event_place(event);
	const char *advice = advice_text(event->finding.advice);

	open_list(out, "{");
	put_string(out, "title", text_finding_title(&event->finding));
	put_string(out, "severity", output_severity(event->finding.severity));
	put_string(out, "kind", kind_name(event->finding.kind));
	put_string(out, "change", report_change_word(report, finding));
	put_string(out, "fingerprint", finding->fingerprint);
	put_number(out, "count", finding->count);
	put_number(out, "processes", finding->processes);
	put_number(out, "runs", finding->runs);
	put_lines(out, "body", print_body, event);
	put_string(out, "advice", advice ? advice : "");
	put_string(out, "file", place ? place->file : "");
	put_string(out, "function", place ? place->function : "");
	put_number(out, "line", place ? (uint64_t)place->line : 0);
	put_string(out, "host", finding->host);
	put_number(out, "pid", event->process.pid);
	put_string(out, "comm", event->process.comm);
	put_string(out, "torch", event->torch.version);
	put_string(out, "first", finding->first);
	put_string(out, "last", finding->last);
	key(out, "stack");
	index_number(out, history_stack(history, &event->stack));
	put_number(out, "cut", event->stack.status == GW_STACK_CUT);
	close_list(out, "}");
}

static void put_findings(struct out *out, const struct report *report, struct history *history,
			 size_t max)
{
	size_t count = summary_findings(report->summary);

	key(out, "findings");
	open_list(out, "[");
	for (size_t i = 0; i < count && i < max; i++)
		put_finding(out, report, summary_finding(report->summary, i), history);
	close_list(out, "]");
	put_number(out, "findings_left_out", count > max ? count - max : 0);
}

static void put_runs(struct out *out, const struct report *report)
{
	size_t count = logs_runs(report->logs);

	key(out, "runs");
	open_list(out, "[");
	for (size_t i = 0; i < count && i < PAGE_FINDINGS_MAX; i++) {
		const struct run *run = logs_run_at(report->logs, i);

		open_list(out, "{");
		put_string(out, "id", run->id);
		put_string(out, "host", run->host);
		put_string(out, "first", run->first);
		put_string(out, "last", run->last);
		put_string(out, "gradwatch", run->gradwatch);
		put_string(out, "kernel", run->kernel);
		close_list(out, "}");
	}
	close_list(out, "]");
}

static void put_names(struct out *out, const struct history *history)
{
	key(out, "names");
	open_list(out, "[");
	for (uint32_t i = 0; i < history->names.count; i++)
		string(out, history_name_at(history, i));
	close_list(out, "]");
	key(out, "frames"); /* four numbers each */
	open_list(out, "[");
	for (uint32_t i = 0; i < history->frames.count; i++) {
		const struct history_frame *frame = history_frame_at(history, i);

		number(out, frame->file);
		number(out, frame->function);
		signed_number(out, frame->line);
		number(out, frame->whose);
	}
	close_list(out, "]");
	key(out, "stacks"); /* a list of frames each */
	open_list(out, "[");
	for (uint32_t i = 0; i < history->stacks.count; i++) {
		size_t count;
		const uint32_t *frame = history_stack_at(history, i, &count);

		open_list(out, "[");
		for (size_t j = 0; j < count; j++)
			number(out, frame[j]);
		close_list(out, "]");
	}
	close_list(out, "]");
	key(out, "threads"); /* six numbers each */
	open_list(out, "[");
	for (uint32_t i = 0; i < history->threads.count; i++) {
		const struct history_thread *thread = history_thread_at(history, i);

		number(out, thread->run);
		index_number(out, thread->host);
		index_number(out, thread->comm);
		number(out, thread->pid);
		number(out, thread->tid);
		number(out, thread->start);
	}
	close_list(out, "]");
}

/* A column of the first `count` elements of an array. */
#define COLUMN(out, name, count, put_one)                                                          \
	do {                                                                                       \
		key(out, name);                                                                    \
		open_list(out, "[");                                                               \
		for (size_t i = 0; i < (count); i++)                                               \
			put_one;                                                                   \
		close_list(out, "]");                                                              \
	} while (0)

static void put_traces(struct out *out, const struct history *history, size_t count)
{
	const struct history_trace *trace = history->trace;

	key(out, "traces");
	open_list(out, "{");
	COLUMN(out, "thread", count, number(out, trace[i].thread));
	COLUMN(out, "lane", count, number(out, trace[i].lane));
	COLUMN(out, "begin", count,
	       signed_number(
		       out, (int64_t)(trace[i].begin - (i ? trace[i - 1].begin : history->first))));
	COLUMN(out, "length", count, number(out, trace[i].end - trace[i].begin));
	COLUMN(out, "off", count, number(out, trace[i].off));
	COLUMN(out, "id", count,
	       signed_number(out, (int64_t)(trace[i].id - (i ? trace[i - 1].id : 0))));
	COLUMN(out, "kind", count, number(out, trace[i].kind));
	COLUMN(out, "operators", count, number(out, trace[i].operators));
	COLUMN(out, "stack", count, index_number(out, trace[i].stack));
	COLUMN(out, "flags", count, number(out, trace[i].began | trace[i].ended << 1));
	close_list(out, "}");
	COLUMN(out, "kinds", TRACE_KIND_MAX, string(out, kind_name((enum trace_kind)i)));
}

/* Changes of traces that are there: they are in order of these. */
static void put_changes(struct out *out, const struct history *history, size_t count, size_t traces)
{
	const struct history_change *change = history->change;

	while (count && change[count - 1].trace >= traces)
		count--;
	key(out, "changes");
	open_list(out, "{");
	COLUMN(out, "trace", count, number(out, change[i].trace - (i ? change[i - 1].trace : 0)));
	COLUMN(out, "time", count,
	       signed_number(out, (int64_t)(change[i].time -
					    (i && change[i].trace == change[i - 1].trace
						     ? change[i - 1].time
						     : history->trace[change[i].trace].begin))));
	/* Mostly off is until the next change: that is -1. */
	COLUMN(out, "off", count,
	       signed_number(out,
			     i + 1 < count && change[i].trace == change[i + 1].trace &&
					     change[i].off &&
					     change[i].time + change[i].off == change[i + 1].time
				     ? -1
				     : (int64_t)change[i].off));
	COLUMN(out, "stack", count, index_number(out, change[i].stack));
	COLUMN(out, "flags", count,
	       number(out, change[i].from | change[i].to << 1 | change[i].info << 2));
	close_list(out, "}");
}

static void put_marks(struct out *out, const struct history *history, size_t count, size_t traces)
{
	const struct history_mark *mark = history->mark;

	key(out, "marks");
	open_list(out, "{");
	COLUMN(out, "time", count,
	       signed_number(out,
			     (int64_t)(mark[i].time - (i ? mark[i - 1].time : history->first))));
	COLUMN(out, "duration", count, number(out, mark[i].duration));
	COLUMN(out, "thread", count, number(out, mark[i].thread));
	COLUMN(out, "trace", count,
	       index_number(out, mark[i].trace < traces ? mark[i].trace : HISTORY_NONE));
	COLUMN(out, "stack", count, index_number(out, mark[i].stack));
	COLUMN(out, "fingerprint", count, index_number(out, mark[i].fingerprint));
	COLUMN(out, "severity", count, number(out, mark[i].severity));
	close_list(out, "}");
	COLUMN(out, "severities", SEVERITY_MAX, string(out, output_severity((enum severity)i)));
}

static void put_left_out(struct out *out, const struct history *history,
			 const struct page_limits *limits)
{
	const struct history_left_out *left_out = &history->left_out;

	key(out, "left_out");
	open_list(out, "{");
	put_number(out, "traces", left_out->traces + history->traces - limits->traces);
	put_number(out, "changes", left_out->changes + history->changes - limits->changes);
	put_number(out, "marks", left_out->marks + history->marks - limits->marks);
	put_number(out, "stacks", left_out->stacks);
	close_list(out, "}");
}

int page_data(FILE *stream, const struct report *report, struct history *history,
	      const struct page_limits *limits)
{
	struct out out = {.stream = stream, .separator = ""};

	open_list(&out, "{");
	key(&out, "base"); /* ns do not fit into a number of JavaScript */
	fprintf(stream, "\"%" PRIu64 "\"", history->first);
	out.separator = ",";
	put_string(&out, "unknown", report->unknown);
	put_lines(&out, "verdict", print_verdict, report);
	put_lines(&out, "totals", print_totals, &summary_facts(report->summary)->totals);
	put_lines(&out, "basis", print_basis, report);
	put_findings(&out, report, history, limits->findings);
	put_runs(&out, report);
	put_traces(&out, history, limits->traces);
	put_changes(&out, history, limits->changes, limits->traces);
	put_marks(&out, history, limits->marks, limits->traces);
	put_left_out(&out, history, limits);
	put_names(&out, history);
	close_list(&out, "}");
	return out.failed ? -ENOMEM : 0;
}
