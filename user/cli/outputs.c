// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/outputs.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "output/buffer.h"
#include "output/text.h"
#include "watch/invoking_user.h"

#define DRAIN_NS    5000000000ull /* for readers, at the end */
#define PATIENCE_NS 5000000000ull /* for readers, in a storm of events */
#define FLUSH_NS    10000000ull   /* between records of inputs, while they come fast */

static void put_message(void *context, const char *line, size_t length)
{
	writer_put(context, line, length);
}

/* A forked child has no threads: it writes its messages itself. */
static void in_child(void)
{
	log_set_writer(NULL, NULL);
}

/* Descriptor of what --output says, or negative errno. */
static int open_output(const struct options *options)
{
	int fd;

	if (!options->output_path)
		return options->child ? STDERR_FILENO : STDOUT_FILENO;
	if (!strcmp(options->output_path, "-"))
		return STDOUT_FILENO;
	fd = open(options->output_path,
		  O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC | O_NOCTTY, 0666);
	return fd < 0 ? -errno : fd;
}

/* Whether the command inherits a descriptor that leads to the same file, pipe or terminal. */
static bool is_inherited(int fd)
{
	struct stat ours, theirs;

	if (fstat(fd, &ours))
		return false;
	for (int i = STDOUT_FILENO; i <= STDERR_FILENO; i++)
		if (!fstat(i, &theirs) && ours.st_dev == theirs.st_dev &&
		    ours.st_ino == theirs.st_ino)
			return true;
	return false;
}

static bool has_colours(int fd)
{
	const char *terminal = getenv("TERM");

	return isatty(fd) && !getenv("NO_COLOR") && !(terminal && !strcmp(terminal, "dumb"));
}

static const char *name_of_output(const struct options *options)
{
	if (options->output_path && strcmp(options->output_path, "-"))
		return options->output_path;
	return options->child && !options->output_path ? "standard error" : "standard output";
}

static int start_events(struct outputs *outputs, struct err *err)
{
	const struct options *options = outputs->options;
	struct outputs_sink *sink = &outputs->sink[outputs->count++];
	int fd = outputs->events_fd;

	outputs->shared = options->child && is_inherited(fd);
	outputs->events = fd == STDERR_FILENO ? outputs->errors
					      : writer_new(fd, fd > STDERR_FILENO, WRITER_LIMIT);
	if (!outputs->events)
		return err_set(err, -ENOMEM, "out of memory, or no thread can be made");
	outputs->events_fd = -1;
	sink->name = name_of_output(options);
	if (options->json)
		sink->sink = sink_json(&outputs->context, outputs->events);
	else if (options->print_suppressions)
		sink->sink = sink_suppression_lines(outputs->events);
	else
		sink->sink = sink_text(&outputs->context, outputs->events, has_colours(fd),
				       options->verbosity);
	return sink->sink ? 0 : err_set(err, -ENOMEM, "out of memory");
}

static int start_log(struct outputs *outputs, struct err *err)
{
	struct outputs_sink *sink = &outputs->sink[outputs->count];

	if (!outputs->log)
		return 0;
	sink->name = outputs->options->log.segments.path;
	sink->sink = sink_log(&outputs->context, outputs->options->log.level, outputs->log, err);
	if (!sink->sink)
		return err->code;
	outputs->log = NULL;
	outputs->count++;
	if (outputs->options->log.level == LOG_DETAIL_ALL)
		outputs->inputs = sink->sink;
	return 0;
}

static int open_log(struct outputs *outputs, struct err *err)
{
	const struct log_options *options = &outputs->options->log;
	struct segments_config config = options->segments;
	gid_t group;

	if (!config.path)
		return 0;
	config.owner = geteuid();
	invoking_user_ids(&config.owner, &group);
	config.identity = &outputs->context.identity;
	config.level = log_detail_name[options->level];
	outputs->log = segments_open(&config, err);
	return outputs->log ? 0 : err->code;
}

int outputs_open(struct outputs *outputs, const struct options *options, struct err *err)
{
	int code;

	*outputs = (struct outputs){.options = options, .events_fd = -1};
	log_identity_make(&outputs->context.identity);
	code = open_log(outputs, err);
	if (code)
		return code;
	outputs->events_fd = open_output(options);
	if (outputs->events_fd < 0)
		return err_set(err, outputs->events_fd, "cannot write to '%s': %s",
			       options->output_path, strerror(-outputs->events_fd));
	return 0;
}

int outputs_start(struct outputs *outputs, struct err *err)
{
	int code;

	outputs->context.utc_offset = clock_utc_offset();
	outputs->errors = writer_new(STDERR_FILENO, false, WRITER_LIMIT);
	if (!outputs->errors)
		return err_set(err, -ENOMEM, "out of memory, or no thread can be made");
	code = start_log(outputs, err);
	if (!code)
		code = start_events(outputs, err);
	if (code)
		return code;
	pthread_atfork(NULL, NULL, in_child);
	log_set_writer(put_message, outputs->errors);
	return 0;
}

/* Nobody reads, and there is no job whose end is to be awaited: an orderly end, taken by the loop.
 */
static bool ends_without_reader(const struct outputs *outputs)
{
	return !outputs->options->child && outputs->count == 1;
}

static void report_error(struct outputs *outputs, const char *name, int error)
{
	if (error != -EPIPE) {
		log_error("cannot write to %s: %s; lines that are lost are counted", name,
			  strerror(-error));
		return;
	}
	if (ends_without_reader(outputs)) {
		raise(SIGTERM);
		return;
	}
	log_warn("nobody reads %s any more: going on without it", name);
}

/* Once for each output and kind of trouble. */
static void report_troubles(struct outputs *outputs, struct outputs_sink *sink)
{
	struct writer_status status;

	writer_status(sink->sink->writer, &status);
	if (status.error && !sink->error_told) {
		sink->error_told = true;
		report_error(outputs, sink->name, status.error);
	}
	if (status.full && !sink->full_told) {
		sink->full_told = true;
		log_warn("%s is read too slowly: lines that are lost are counted", sink->name);
	}
}

static uint64_t lost_so_far(const struct outputs *outputs)
{
	uint64_t lost = 0;

	for (size_t i = 0; i < outputs->count; i++) {
		struct writer_status status;

		if (!outputs->sink[i].sink)
			continue;
		writer_status(outputs->sink[i].sink->writer, &status);
		lost += status.lost;
	}
	return lost;
}

static void put_event(struct outputs *outputs, const struct event *event)
{
	for (size_t i = 0; i < outputs->count; i++) {
		sink_event(outputs->sink[i].sink, event);
		report_troubles(outputs, &outputs->sink[i]);
	}
}

/* Says once that --on-violation does not act on what is found. */
static void report_not_enforced(struct outputs *outputs, const struct event *event)
{
	const struct enforce_policy *policy = &outputs->options->enforcement;
	const struct event_finding *finding = &event->finding;

	if (policy->bpf.action == GW_ACTION_REPORT || event->type != EVENT_FINDING ||
	    finding->severity > SEVERITY_LOW || outputs->not_enforced ||
	    policy->kinds >> finding->kind & 1)
		return;
	outputs->not_enforced = true;
	log_warn("violations in traces of kind %s are not acted on: --enforce-kinds %s",
		 kind_name(finding->kind), kind_name(finding->kind));
}

void outputs_event(void *context, const struct event *event)
{
	struct outputs *outputs = context;
	struct event end;

	if (!outputs->inputs)
		clock_follow_utc(&outputs->context.utc_offset);
	report_not_enforced(outputs, event);
	outputs->skipped += event->type == EVENT_SKIPPED;
	outputs->too_late += event->type == EVENT_ATTACHED && event->attached.too_late;
	if (event->type == EVENT_END) {
		end = *event;
		end.totals.lost_output = lost_so_far(outputs);
		put_event(outputs, &end);
		return;
	}
	put_event(outputs, event);
	/* From here on the command runs, and may leave lines unfinished. */
	if (event->type == EVENT_START && outputs->options->child) {
		writer_begin_lines(outputs->errors, true);
		writer_begin_lines(outputs->events, outputs->shared);
	}
}

/* The clock is followed between two inputs only: the events of one have one place in UTC. */
void outputs_input(void *context, const struct model_input *input)
{
	struct outputs *outputs = context;

	sink_log_input(outputs->inputs, input);
	if (input->type == MODEL_INPUT_COUNTERS)
		clock_follow_utc(&outputs->context.utc_offset);
}

uint64_t outputs_flush(void *context)
{
	struct outputs *outputs = context;
	uint64_t now = clock_monotonic();

	if (now < outputs->flushed + FLUSH_NS)
		return outputs->flushed + FLUSH_NS;
	if (sink_log_flush(outputs->inputs, now))
		outputs->flushed = now;
	return 0;
}

bool outputs_need_override(const struct outputs *outputs)
{
	return outputs->log && segments_need_override(outputs->log);
}

bool outputs_are_full(void *context)
{
	const struct outputs *outputs = context;

	for (size_t i = 0; i < outputs->count; i++)
		if (writer_is_full(outputs->sink[i].sink->writer, PATIENCE_NS))
			return true;
	return false;
}

void outputs_renew(void *context)
{
	struct outputs *outputs = context;

	for (size_t i = 0; i < outputs->count; i++)
		sink_renew(outputs->sink[i].sink);
}

/* Ctrl-C while the last lines are written: the event loop has blocked these signals. */
static bool is_interrupted(void)
{
	const struct timespec now = {0};
	sigset_t signals;

	sigemptyset(&signals);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGTERM);
	return sigtimedwait(&signals, NULL, &now) > 0;
}

void outputs_finish(struct outputs *outputs, bool ran)
{
	uint64_t deadline = clock_monotonic() + DRAIN_NS;

	sink_log_flush(outputs->inputs, clock_monotonic());
	outputs->inputs = NULL;
	if (!ran && outputs->errors)
		writer_begin_lines(outputs->errors, false);
	for (size_t i = 0; i < outputs->count; i++) {
		struct sink *sink = outputs->sink[i].sink;
		struct writer_status status;
		const char *what;
		int code;

		if (!sink)
			continue;
		if (!writer_drain(sink->writer, deadline, is_interrupted))
			deadline = 0;
		writer_status(sink->writer, &status);
		outputs->lost += status.lost + status.waiting;
		report_troubles(outputs, &outputs->sink[i]);
		code = sink_free(sink, &what);
		if (code)
			log_error("%s: %s: %s", outputs->sink[i].name, what, strerror(-code));
		outputs->sink[i].sink = NULL;
	}
	if (outputs->events != outputs->errors)
		writer_free(outputs->events);
	outputs->events = NULL;
}

void outputs_totals(struct outputs *outputs, struct event_totals *totals)
{
	char *text = NULL;
	size_t length = 0;
	struct buffer buffer = {0};
	FILE *stream = buffer_stream(&buffer);

	if (!stream)
		return;
	totals->lost_output = outputs->lost;
	text_totals(stream, totals);
	if (totals->suppressions)
		text_suppressions(stream, totals->suppressions);
	fclose(stream);
	if (buffer_take(&buffer, &text, &length))
		log_error("out of memory: the totals cannot be printed");
	else
		writer_put(outputs->errors, text, length);
	free(text);
	/* The command has ended: what follows begins where this line has ended. */
	writer_begin_lines(outputs->errors, false);
}

void outputs_close(struct outputs *outputs)
{
	const char *what;

	segments_close(outputs->log, &what);
	if (outputs->events_fd > STDERR_FILENO)
		close(outputs->events_fd);
	if (!outputs->errors)
		return;
	writer_drain(outputs->errors, clock_monotonic() + DRAIN_NS, is_interrupted);
	log_set_writer(NULL, NULL);
	writer_free(outputs->errors);
	outputs->errors = NULL;
}
