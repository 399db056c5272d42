// SPDX-License-Identifier: GPL-2.0-or-later
#include "output/sink.h"

#include <errno.h>
#include <stdlib.h>

struct log_sink {
	struct sink sink;
	const struct sink_context *context;
	enum log_detail level;
	struct segments *segments;
};

const char *const log_detail_name[LOG_DETAIL_MAX] = {
	[LOG_DETAIL_FINDINGS] = "findings",
	[LOG_DETAIL_CHANGES] = "changes",
};

/* Whether a level keeps events of this type. */
static bool keeps(enum log_detail level, enum event_type type)
{
	switch (type) {
	case EVENT_TRACE_BEGIN:
	case EVENT_TRACE_END:
	case EVENT_CHANGE:
	case EVENT_AGAIN:
		return level >= LOG_DETAIL_CHANGES;
	default:
		return true;
	}
}

static int log_format(struct sink *sink, const struct event *event, char **text, size_t *length)
{
	struct log_sink *log = (struct log_sink *)sink;

	if (!keeps(log->level, event->type))
		return 0;
	*text = event_to_json(log->context, event, length);
	return *text ? 0 : -ENOMEM;
}

static int target_write(void *context, const char *line, size_t length)
{
	return segments_put(context, line, length);
}

static void target_idle(void *context)
{
	segments_idle(context);
}

static void target_renew(void *context)
{
	segments_rotate(context);
}

static void log_renew(struct sink *sink)
{
	writer_renew(sink->writer);
}

static int log_free(struct sink *sink, const char **what)
{
	struct log_sink *log = (struct log_sink *)sink;
	int code = -EIO;

	*what = "its disk does not answer";
	if (writer_free(sink->writer))
		code = segments_close(log->segments, what);
	free(log);
	return code;
}

struct sink *sink_log(const struct sink_context *context, enum log_detail level,
		      struct segments *segments, struct err *err)
{
	static const struct sink_ops ops = {
		.format = log_format,
		.renew = log_renew,
		.free = log_free,
	};
	const struct writer_target target = {target_write, target_idle, target_renew, segments};
	struct log_sink *log;

	if (segments_start(segments, err))
		return NULL;
	log = calloc(1, sizeof(*log));
	if (log) {
		log->sink.ops = &ops;
		log->context = context;
		log->level = level;
		log->segments = segments;
		log->sink.writer = writer_new_for(&target, WRITER_LIMIT);
		if (log->sink.writer)
			return &log->sink;
	}
	free(log);
	err_set(err, -ENOMEM, "out of memory, or no thread can be made");
	return NULL;
}
