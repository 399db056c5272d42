/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * output: one file per form. Each form is a sink that is given every event in order, makes lines of
 * it and puts them into the queue of a writer.
 */
#ifndef GRADWATCH_OUTPUT_SINK_H
#define GRADWATCH_OUTPUT_SINK_H

#include <stdbool.h>
#include <stdio.h>
#include <sys/types.h>

#include "base/err.h"
#include "log/identity.h"
#include "log/segments.h"
#include "model/inputs.h"
#include "output/writer.h"

struct sink;

struct sink_ops {
	/* The event's lines, malloc'ed; NULL where this form does not show it. 0 or -ENOMEM. */
	int (*format)(struct sink *sink, const struct event *event, char **text, size_t *length);
	void (*renew)(struct sink *sink); /* SIGHUP; may be NULL */
	int (*free)(struct sink *sink, const char **what);
};

struct sink {
	const struct sink_ops *ops;
	struct writer *writer;
};

/* What an output needs besides the event. The caller owns it and may change it. */
struct sink_context {
	struct log_identity identity;
	int64_t utc_offset; /* ns, see base/clock.h */
};

/*
 * Readable lines. colour: ANSI colours; verbosity 0, 1 (-v: traces too). The writer of this and the
 * next two stays the caller's.
 */
struct sink *sink_text(const struct sink_context *context, struct writer *writer, bool colour,
		       int verbosity);

/* JSON Lines. */
struct sink *sink_json(const struct sink_context *context, struct writer *writer);

/* A line for a suppression file per finding. */
struct sink *sink_suppression_lines(struct writer *writer);

/* What of the events a log keeps. */
enum log_detail {
	LOG_DETAIL_FINDINGS, /* findings, losses, what is watched, totals */
	LOG_DETAIL_CHANGES,  /* each change, trace, and occurrence of a finding too */
	LOG_DETAIL_ALL,      /* traces, and the model's inputs, which make the rest again */
	LOG_DETAIL_MAX,
};

/* "findings", "changes", "all". */
extern const char *const log_detail_name[LOG_DETAIL_MAX];

/*
 * JSON Lines in a log of segments (log/segments.h), by a writer of its own; renew() begins a new
 * segment. The log is started here. NULL with *err: it cannot be, and stays the caller's.
 */
struct sink *sink_log(const struct sink_context *context, enum log_detail level,
		      struct segments *segments, struct err *err);

/*
 * An input of the model, for a log of LOG_DETAIL_ALL. Inputs are gathered, and many of them written
 * as one record, when there are enough or sink_log_flush() says so. The events of an input may come
 * before or behind it; of each kind the order is kept. NULL-safe.
 */
void sink_log_input(struct sink *sink, const struct model_input *input);

/* Writes what is gathered. Returns whether anything was. */
bool sink_log_flush(struct sink *sink, uint64_t now);

/*
 * The event as one line of JSON (docs: README, "JSON schema"), with a final newline. The text is
 * malloc'ed, *length without the NUL. NULL when out of memory.
 */
char *event_to_json(const struct sink_context *context, const struct event *event, size_t *length);

/*
 * The operations of any sink, NULL-safe. Lines that are lost are counted by the writer; the next
 * event that fits has a lost_output event before it, if the sink does not tell of them itself.
 * sink_free() returns negative errno when a log could not be finished, and *what says what of it.
 */
void sink_event(struct sink *sink, const struct event *event);
void sink_renew(struct sink *sink);
int sink_free(struct sink *sink, const char **what);

#endif
