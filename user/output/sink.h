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
#include "model/event.h"
#include "output/writer.h"

struct sink;

struct sink_ops {
	/* The event's lines, malloc'ed; NULL where this form does not show it. 0 or -ENOMEM. */
	int (*format)(struct sink *sink, const struct event *event, char **text, size_t *length);
	int (*reopen)(struct sink *sink, struct err *err); /* SIGHUP; may be NULL */
	void (*free)(struct sink *sink);
};

struct sink {
	const struct sink_ops *ops;
	struct writer *writer;
};

/* What an output needs besides the event. The caller owns it and may change it. */
struct sink_context {
	char host[256];
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

/*
 * Opens a file to which JSON Lines are appended: created 0600. A file that is there already must
 * have one name, belong to our own user or to `owner`, and be writable by nobody else. Returns the
 * descriptor, or negative errno with the cause.
 */
int sink_log_open(const char *path, uid_t owner, struct err *err);

/*
 * The same JSON Lines for such a file, by a writer of its own, which has the descriptor from then
 * on; the path is opened again on reopen(). NULL: out of memory, or no thread can be made; the
 * descriptor stays the caller's.
 */
struct sink *sink_log(const struct sink_context *context, int fd, const char *path, uid_t owner);

/*
 * The event as one line of JSON (docs: README, "JSON schema"), with a final newline. The text is
 * malloc'ed, *length without the NUL. NULL when out of memory.
 */
char *event_to_json(const struct sink_context *context, const struct event *event, size_t *length);

/*
 * The operations of any sink, NULL-safe; a sink with nothing to reopen returns 0 for it. Lines that
 * are lost are counted by the writer; the next event that fits has a lost_output event before it.
 * *err is filled when reopening fails; the old file is used on then.
 */
void sink_event(struct sink *sink, const struct event *event);
int sink_reopen(struct sink *sink, struct err *err);
void sink_free(struct sink *sink);

#endif
