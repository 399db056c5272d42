// SPDX-License-Identifier: GPL-2.0-or-later
/* --print-suppressions: for each finding a line that accepts it, for a file that a person edits. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "base/str.h"
#include "model/suppressions.h"
#include "output/sink.h"

struct lines_sink {
	struct sink sink;
	FILE *stream;
};

static int lines_event(struct sink *sink, const struct event *event)
{
	struct lines_sink *lines = (struct lines_sink *)sink;
	const struct event_frame *place = event_place(event);
	char name[32];
	int code;

	if (event->type != EVENT_FINDING || !event_is_alarm(&event->finding))
		return 0;
	str_format(name, sizeof(name), "finding-%" PRIu64, event->finding.number);
	code = suppressions_write_line(lines->stream, name, event->finding.kind,
				       place ? place->file : "", place ? place->function : "");
	if (code == -EMSGSIZE)
		fprintf(lines->stream, "# %s: its names are too long for a line\n", name);
	else if (code)
		return code;
	return fflush(lines->stream) ? -errno : 0;
}

static void lines_free(struct sink *sink)
{
	free(sink);
}

struct sink *sink_suppression_lines(FILE *stream)
{
	static const struct sink_ops ops = {.event = lines_event, .free = lines_free};
	struct lines_sink *lines = calloc(1, sizeof(*lines));

	if (!lines)
		return NULL;
	lines->sink.ops = &ops;
	lines->stream = stream;
	return &lines->sink;
}
