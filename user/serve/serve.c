// SPDX-License-Identifier: GPL-2.0-or-later
#include "serve/serve.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>

#include "base/clock.h"
#include "base/log.h"
#include "output/buffer.h"
#include "serve/http.h"
#include "serve/metrics.h"
#include "serve/status_json.h"
#include "serve/status_socket.h"
#include "serve/textfile.h"

#define TEXTFILE_NS 15000000000ull
#define NOTIFY_NS   10000000000ull /* at most, between status texts for systemd */
#define NS_PER_US   1000ul

struct serve {
	const struct serve_options *options;
	const struct sink_context *context;
	const struct watch *watch;
	struct loop *loop;
	struct status_socket *socket;
	struct http *http;
	struct textfile *textfile;
	struct loop_source *writing, *notifying;
	struct snapshot_findings findings;
	uint64_t notify_ns; /* between signs of life */
	bool write_failed;  /* it was reported */
};

bool serve_is_wanted(const struct serve_options *options)
{
	return options->socket || options->metrics || options->textfile || getenv("NOTIFY_SOCKET");
}

struct serve *serve_new(const struct serve_options *options, const struct sink_context *context)
{
	struct serve *serve = calloc(1, sizeof(*serve));

	if (serve) {
		serve->options = options;
		serve->context = context;
	}
	return serve;
}

void serve_free(struct serve *serve)
{
	free(serve);
}

static char *answer_status(void *context, size_t *length)
{
	const struct serve *serve = context;
	struct snapshot snapshot;

	snapshot_take(&snapshot, serve->context, serve->watch, &serve->findings);
	return status_json(&snapshot, length);
}

static char *answer_metrics(void *context, size_t *length)
{
	const struct serve *serve = context;
	struct snapshot snapshot;
	struct buffer buffer = {0};
	FILE *stream = buffer_stream(&buffer);
	char *text = NULL;

	if (!stream)
		return NULL;
	snapshot_take(&snapshot, serve->context, serve->watch, &serve->findings);
	metrics_write(stream, &snapshot);
	fclose(stream);
	return buffer_take(&buffer, &text, length) ? NULL : text;
}

/* Once until it works again. */
static void report_textfile(struct serve *serve)
{
	int code = textfile_error(serve->textfile);

	if (code && !serve->write_failed)
		log_error("cannot write '%s': %s; it is tried again", serve->options->textfile,
			  strerror(-code));
	serve->write_failed = code != 0;
}

static bool serve_textfile(void *context)
{
	struct serve *serve = context;
	size_t length = 0;
	char *text = answer_metrics(serve, &length);

	report_textfile(serve);
	if (text)
		textfile_put(serve->textfile, text, length);
	loop_wake_at(serve->writing, clock_monotonic() + TEXTFILE_NS);
	return false;
}

/* The loop itself says that it lives: what hangs there is seen by systemd. */
static bool serve_notify(void *context)
{
	struct serve *serve = context;
	struct snapshot snapshot;

	snapshot_take(&snapshot, serve->context, serve->watch, &serve->findings);
	sd_notifyf(0,
		   "WATCHDOG=1\nSTATUS=%s%" PRIu64 " processes watched, %" PRIu64
		   " partly, %" PRIu64 " not; %" PRIu64 " traces, %" PRIu64 " violations",
		   snapshot.load.armed ? "" : "starting; ", snapshot.covered[COVERAGE_WATCHED],
		   snapshot.covered[COVERAGE_PARTIAL] + snapshot.covered[COVERAGE_WAITING],
		   snapshot.covered[COVERAGE_UNSUPPORTED], snapshot.totals.traces,
		   snapshot.totals.violations);
	loop_wake_at(serve->notifying, clock_monotonic() + serve->notify_ns);
	return false;
}

static int start_notify(struct serve *serve, int order, struct err *err)
{
	uint64_t watchdog_us = 0;

	if (!getenv("NOTIFY_SOCKET"))
		return 0;
	serve->notify_ns = NOTIFY_NS;
	if (sd_watchdog_enabled(0, &watchdog_us) > 0 && watchdog_us * NS_PER_US / 2 < NOTIFY_NS)
		serve->notify_ns = watchdog_us * NS_PER_US / 2;
	serve->notifying = loop_add(serve->loop, -1, order, serve_notify, serve);
	if (!serve->notifying)
		return err_set(err, -ENOMEM, "out of memory");
	loop_wake_at(serve->notifying, clock_monotonic());
	return 0;
}

static int start_textfile(struct serve *serve, int order, struct err *err)
{
	int code;

	if (!serve->options->textfile)
		return 0;
	code = textfile_open(&serve->textfile, serve->options->textfile, err);
	if (code)
		return code;
	serve->writing = loop_add(serve->loop, -1, order, serve_textfile, serve);
	if (!serve->writing)
		return err_set(err, -ENOMEM, "out of memory");
	loop_wake_at(serve->writing, clock_monotonic());
	return 0;
}

static void stop(void *context)
{
	struct serve *serve = context;

	sd_notify(0, "STOPPING=1");
	status_socket_close(serve->socket);
	http_close(serve->http);
	textfile_close(serve->textfile);
	serve->socket = NULL;
	serve->http = NULL;
	serve->textfile = NULL;
}

static int start(void *context, const struct watch *watch, struct loop *loop, int order,
		 struct err *err)
{
	struct serve *serve = context;
	const struct serve_options *options = serve->options;
	int code = 0;

	serve->watch = watch;
	serve->loop = loop;
	if (options->socket)
		code = status_socket_open(&serve->socket, options->socket, loop, order,
					  answer_status, serve, err);
	if (!code && options->metrics)
		code = http_open(&serve->http, options->metrics, loop, order, answer_metrics, serve,
				 err);
	if (!code)
		code = start_textfile(serve, order, err);
	if (!code)
		code = start_notify(serve, order, err);
	if (code)
		stop(serve);
	return code;
}

static void ready(void *context)
{
	(void)context;
	sd_notify(0, "READY=1");
}

void serve_reloading(struct serve *serve, bool begins)
{
	(void)serve;
	if (begins)
		sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64,
			   clock_monotonic() / NS_PER_US);
	else
		sd_notify(0, "READY=1");
}

static void on_event(void *context, const struct event *event)
{
	struct serve *serve = context;
	const struct event_finding *finding = &event->finding;

	if ((event->type == EVENT_FINDING || event->type == EVENT_AGAIN) &&
	    (unsigned int)finding->kind < TRACE_KIND_MAX &&
	    (unsigned int)finding->severity < SEVERITY_MAX)
		serve->findings.count[finding->kind][finding->severity]++;
}

void serve_service(struct serve *serve, struct watch_service *service)
{
	*service = (struct watch_service){
		.start = start, .ready = ready, .event = on_event, .stop = stop, .context = serve};
}
