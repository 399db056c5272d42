// SPDX-License-Identifier: GPL-2.0-or-later
/* --print-suppressions: for each finding a line that accepts it, for a file that a person edits. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "base/str.h"
#include "model/suppressions.h"
#include "output/buffer.h"
#include "output/sink.h"

static int print_line(FILE *stream, const struct event *event)
{
	const struct event_frame *place = event_place(event);
	char name[32];
	int code;

	str_format(name, sizeof(name), "finding-%" PRIu64, event->finding.number);
	code = suppressions_write_line(stream, name, event->finding.kind, place ? place->file : "",
				       place ? place->function : "");
	if (code == -EMSGSIZE)
		fprintf(stream, "# %s: its names are too long for a line\n", name);
	return code == -EMSGSIZE ? 0 : code;
}

static int lines_format(struct sink *sink, const struct event *event, char **text, size_t *length)
{
	struct buffer buffer = {0};
	FILE *stream;
	int code = 0;

	(void)sink;
	if (event->type != EVENT_LOST_OUTPUT &&
	    (event->type != EVENT_FINDING || !event_is_alarm(&event->finding)))
		return 0;
	stream = buffer_stream(&buffer);
	if (!stream)
		return -ENOMEM;
	if (event->type == EVENT_FINDING)
		code = print_line(stream, event);
	else
		fprintf(stream, "# lines lost here: %" PRIu64 "\n", event->lost.count);
	fclose(stream);
	buffer.failed |= code != 0;
	return buffer_take(&buffer, text, length);
}

static int lines_free(struct sink *sink, const char **what)
{
	(void)what;
	free(sink);
	return 0;
}

struct sink *sink_suppression_lines(struct writer *writer)
{
	static const struct sink_ops ops = {.format = lines_format, .free = lines_free};
	struct sink *lines = calloc(1, sizeof(*lines));

	if (!lines)
		return NULL;
	lines->ops = &ops;
	lines->writer = writer;
	return lines;
}
