// SPDX-License-Identifier: GPL-2.0-or-later
#include "output/text.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/str.h"
#include "output/buffer.h"
#include "output/common.h"
#include "output/text_action.h"
#include "output/text_finding.h"

#define NS_PER_SEC  1000000000ull
#define NS_PER_MSEC 1000000ull

struct text_sink {
	struct sink sink;
	const struct sink_context *context;
	FILE *stream; /* while an event is formatted */
	bool colour;
	int verbosity;
};

enum tint { TINT_ALARM, TINT_WARNING, TINT_ASIDE, TINT_GOOD };

/* A word in colour, where there is colour. */
static void print_tinted(const struct text_sink *text, enum tint tint, const char *word)
{
	static const char *const code[] = {
		[TINT_ALARM] = "1;31",
		[TINT_WARNING] = "33",
		[TINT_ASIDE] = "2",
		[TINT_GOOD] = "32",
	};

	if (text->colour)
		fprintf(text->stream, "\033[%sm%s\033[0m", code[tint], word);
	else
		fputs(word, text->stream);
}

/* Local time, since a person compares it with the clock on the wall. */
static void print_time(const struct text_sink *text, uint64_t monotonic)
{
	uint64_t utc = output_utc(text->context, monotonic);
	time_t seconds = (time_t)(utc / NS_PER_SEC);
	char clock[16], stamp[32];
	struct tm tm = {0};

	localtime_r(&seconds, &tm);
	strftime(clock, sizeof(clock), "%H:%M:%S", &tm);
	snprintf(stamp, sizeof(stamp), "%s.%03u", clock,
		 (unsigned int)(utc % NS_PER_SEC / NS_PER_MSEC));
	print_tinted(text, TINT_ASIDE, stamp);
	fputs("  ", text->stream);
}

static void print_process(const struct text_sink *text, const struct event_process *process)
{
	FILE *stream = text->stream;

	if (!process->pid)
		return;
	fputs("  ", stream);
	output_escaped(stream, process->comm, sizeof(process->comm));
	fprintf(stream, "[%" PRIu32 "]", process->pid);
	if (process->tid && process->tid != process->pid)
		fprintf(stream, " thread %" PRIu32, process->tid);
	if (process->cgroup.container && *process->cgroup.container) {
		fputs(" in container ", stream);
		output_container(stream, &process->cgroup);
		if (process->ns_pid && process->ns_pid != process->pid)
			fprintf(stream, " (pid %" PRIu32 " there)", process->ns_pid);
	} else if (process->ns_pid && process->ns_pid != process->pid) {
		fprintf(stream, " (pid %" PRIu32 " in its namespace)", process->ns_pid);
	}
}

static void print_torch(const struct text_sink *text, const struct event_torch *torch)
{
	fputs("  torch ", text->stream);
	if (torch->version[0])
		output_escaped(text->stream, torch->version, sizeof(torch->version));
	else
		fputs("of unknown version", text->stream);
}

/* The last part of the library's path; all of it is in the JSON form. */
static void print_library(const struct text_sink *text, const struct event_torch *torch)
{
	size_t length = strnlen(torch->file, sizeof(torch->file));
	const char *slash = memrchr(torch->file, '/', length);
	const char *name = slash ? slash + 1 : torch->file;

	output_escaped(text->stream, name, length - (size_t)(name - torch->file));
}

static void print_attached(const struct text_sink *text, const struct event *event)
{
	const struct event_attached *attached = &event->attached;
	FILE *stream = text->stream;

	print_tinted(text, TINT_GOOD, "attached");
	fputs("  ", stream);
	print_library(text, &event->torch);
	print_torch(text, &event->torch);
	print_process(text, &event->process);
	fprintf(stream, "  %" PRIu32 " %s", attached->sites,
		output_plural(attached->sites, "probe", "probes"));
	if (attached->too_late) {
		fputs("  ", stream);
		print_tinted(text, TINT_WARNING, "too late: the process has ended");
	}
	if (attached->certain)
		return;
	fputs("  ", stream);
	print_tinted(text, TINT_WARNING, "uncertain");
	if (attached->doubt[0]) {
		fputs(": ", stream);
		output_escaped(stream, attached->doubt, sizeof(attached->doubt));
	}
}

static void print_skipped(const struct text_sink *text, const struct event *event)
{
	const char *reason = event->attached.doubt;
	FILE *stream = text->stream;

	print_tinted(text, TINT_WARNING, "skipped");
	fputs("  ", stream);
	/* The whole path: a person has to find the file to do something about it. */
	output_escaped(stream, event->torch.file, sizeof(event->torch.file));
	print_process(text, &event->process);
	fputs("  ", stream);
	output_escaped(stream, reason[0] ? reason : "reason unknown",
		       sizeof(event->attached.doubt));
}

static void print_change(const struct text_sink *text, const struct event *event)
{
	const struct event_change *change = &event->change;
	FILE *stream = text->stream;

	fprintf(stream, "change  grad mode %s -> %s inside %s", change->from ? "on" : "off",
		change->to ? "on" : "off", output_a_trace(change->kind));
	print_process(text, &event->process);
	print_torch(text, &event->torch);
	if (change->trace)
		fprintf(stream, "  trace %" PRIu64, change->trace);
	else
		fputs("  trace unknown", stream);
	if (!change->certain) {
		fputs("  ", stream);
		print_tinted(text, TINT_WARNING, "uncertain");
	}
}

static void print_finding(const struct text_sink *text, const struct event *event)
{
	const struct event_finding *finding = &event->finding;
	bool alarm = finding->severity == SEVERITY_VIOLATION;

	print_tinted(text, alarm ? TINT_ALARM : TINT_ASIDE, text_finding_title(finding));
	fprintf(text->stream, "  %s", kind_name(finding->kind));
	print_process(text, &event->process);
	print_torch(text, &event->torch);
	if (finding->trace)
		fprintf(text->stream, "  trace %" PRIu64, finding->trace);
	fprintf(text->stream, "  finding %" PRIu64, finding->number);
	if (!finding->certain) {
		fputs("  ", text->stream);
		print_tinted(text, TINT_WARNING, "uncertain");
	}
	text_finding_body(text->stream, event, text->verbosity >= 1);
}

static void print_action(const struct text_sink *text, const struct event *event)
{
	const struct event_action *action = &event->action;
	bool alarm = action->outcome != ACTION_DRY_RUN && action->outcome != ACTION_LET_GO;

	print_tinted(text, alarm ? TINT_ALARM : TINT_ASIDE, text_action_title(action));
	fprintf(text->stream, "  %s", kind_name(action->kind));
	print_process(text, &event->process);
	print_torch(text, &event->torch);
	if (action->trace)
		fprintf(text->stream, "  trace %" PRIu64, action->trace);
	text_action_body(text->stream, event);
}

static void print_repeated(const struct text_sink *text, const struct event *event)
{
	const struct event_finding *finding = &event->finding;

	fprintf(text->stream, "finding %" PRIu64 " again: %" PRIu64 " %s in all", finding->number,
		finding->count, output_plural(finding->count, "time", "times"));
	if (finding->throttled)
		fprintf(text->stream,
			"; %" PRIu64 " more %s in its traces not reported, see --rate",
			finding->throttled,
			output_plural(finding->throttled, "change was", "changes were"));
}

static void print_lost(const struct text_sink *text, const struct event *event)
{
	print_tinted(text, TINT_WARNING, "LOST");
	fprintf(text->stream, "  %" PRIu64 " %s lost here, %" PRIu64 " in all", event->lost.count,
		output_plural(event->lost.count, "violation", "violations"), event->lost.total);
}

static void print_lost_output(const struct text_sink *text, const struct event *event)
{
	print_tinted(text, TINT_WARNING, "LOST");
	fprintf(text->stream, "  %" PRIu64 " %s of this output lost here, %" PRIu64 " in all",
		event->lost.count, output_plural(event->lost.count, "line", "lines"),
		event->lost.total);
}

static void print_trace_begin(const struct text_sink *text, const struct event *event)
{
	const struct event_trace *trace = &event->trace;

	fprintf(text->stream, "trace %" PRIu64 " began", trace->id);
	if (!trace->seen_from_start)
		fputs(" (first seen in the middle)", text->stream);
	else if (trace->depth)
		fprintf(text->stream, " (inside %u other%s)", (unsigned int)trace->depth,
			output_plural(trace->depth, "", "s"));
	print_process(text, &event->process);
	print_torch(text, &event->torch);
}

static void print_trace_end(const struct text_sink *text, const struct event *event)
{
	const struct event_trace *trace = &event->trace;
	uint64_t end = trace->last_pop_ns ? trace->last_pop_ns : event->time;
	FILE *stream = text->stream;

	fprintf(stream, "trace %" PRIu64 " ended (%s): %" PRIu64 " %s, %" PRIu64 " %s, ", trace->id,
		output_end_reason(trace->reason), trace->operators,
		output_plural(trace->operators, "operator", "operators"), trace->changes,
		output_plural(trace->changes, "change", "changes"));
	output_duration(stream, clock_between(trace->first_push_ns, end));
	print_process(text, &event->process);
}

/* The printer of a type, NULL for what text does not show. */
static void (*printer_of(const struct text_sink *text,
			 const struct event *event))(const struct text_sink *text,
						     const struct event *event)
{
	switch (event->type) {
	case EVENT_ATTACHED:
		return print_attached;
	case EVENT_SKIPPED:
		return print_skipped;
	case EVENT_TRACE_BEGIN:
		return text->verbosity >= 1 ? print_trace_begin : NULL;
	case EVENT_TRACE_END:
		return text->verbosity >= 1 ? print_trace_end : NULL;
	case EVENT_CHANGE:
		return text->verbosity >= 2 ? print_change : NULL;
	case EVENT_FINDING:
		return text->verbosity >= 1 || event_is_shown(&event->finding) ? print_finding
									       : NULL;
	case EVENT_REPEATED:
		return text->verbosity >= 1 || event_is_shown(&event->finding) ? print_repeated
									       : NULL;
	case EVENT_ACTION:
		return print_action;
	case EVENT_LOST:
		return print_lost;
	case EVENT_LOST_OUTPUT:
		return print_lost_output;
	case EVENT_START:
	case EVENT_AGAIN:
	case EVENT_TOTALS:
	case EVENT_END:
		break;
	}
	return NULL;
}

static int text_format(struct sink *sink, const struct event *event, char **lines, size_t *length)
{
	struct text_sink *text = (struct text_sink *)sink;
	void (*print)(const struct text_sink *, const struct event *);
	struct buffer buffer = {0};

	print = printer_of(text, event);
	if (!print)
		return 0;
	text->stream = buffer_stream(&buffer);
	if (!text->stream)
		return -ENOMEM;
	print_time(text, event->time);
	print(text, event);
	fputc('\n', text->stream);
	fclose(text->stream);
	return buffer_take(&buffer, lines, length);
}

static int text_free(struct sink *sink, const char **what)
{
	(void)what;
	free(sink);
	return 0;
}

struct sink *sink_text(const struct sink_context *context, struct writer *writer, bool colour,
		       int verbosity)
{
	static const struct sink_ops ops = {.format = text_format, .free = text_free};
	struct text_sink *text = calloc(1, sizeof(*text));

	if (!text)
		return NULL;
	text->sink.ops = &ops;
	text->context = context;
	text->sink.writer = writer;
	text->colour = colour;
	text->verbosity = verbosity;
	return &text->sink;
}
