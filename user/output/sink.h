/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * output: one file per form. Each form is a sink that is given every event in order.
 *
 * A reader that goes away is an error (-EPIPE) only where SIGPIPE is ignored: the caller does that.
 */
#ifndef GRADWATCH_OUTPUT_SINK_H
#define GRADWATCH_OUTPUT_SINK_H

#include <stdbool.h>
#include <stdio.h>

#include "model/event.h"

struct sink;

struct sink_ops {
	/* 0, or negative errno of the write */
	int (*event)(struct sink *sink, const struct event *event);
	int (*reopen)(struct sink *sink); /* SIGHUP; may be NULL */
	void (*free)(struct sink *sink);
};

struct sink {
	const struct sink_ops *ops;
};

/* What an output needs besides the event. */
struct sink_context {
	char host[256];
	int64_t utc_offset; /* ns, see base/clock.h */
};

/* Readable lines on stream (not owned). colour: ANSI colours; verbosity 0, 1 (-v: traces too). */
struct sink *sink_text(const struct sink_context *context, FILE *stream, bool colour,
		       int verbosity);

/* JSON Lines on a descriptor (not owned): one write(2) per event. */
struct sink *sink_json(const struct sink_context *context, int fd);

/* A line for a suppression file per finding, on stream (not owned). */
struct sink *sink_suppression_lines(FILE *stream);

/*
 * The same JSON Lines appended to a file: created 0600, O_APPEND, reopened by path on reopen().
 * NULL with *error = negative errno when it cannot be opened.
 */
struct sink *sink_log(const struct sink_context *context, const char *path, int *error);

/*
 * The event as one line of JSON (docs: README, "JSON schema"), with a final newline. The text is
 * malloc'ed, *length without the NUL. NULL when out of memory.
 */
char *event_to_json(const struct sink_context *context, const struct event *event, size_t *length);

/* The operations of any sink, NULL-safe; a sink with nothing to reopen returns 0 for it. */
int sink_event(struct sink *sink, const struct event *event);
int sink_reopen(struct sink *sink);
void sink_free(struct sink *sink);

#endif
