// SPDX-License-Identifier: GPL-2.0-or-later
#include "output/sink.h"

#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "model/input_code.h"
#include "output/input_line.h"

#define GATHERED_MAX (48u << 10) /* bytes of inputs that are one record */

struct log_sink {
	struct sink sink;
	const struct sink_context *context;
	enum log_detail level;
	struct segments *segments;
	/* Of LOG_DETAIL_ALL: */
	struct input_writer *inputs; /* those that are gathered; NULL: another level */
	struct input_line line;      /* how many, and from which on */
	int64_t utc_offset;          /* that was written last */
	bool utc_known;
	uint64_t lost_output; /* of END */
};

const char *const log_detail_name[LOG_DETAIL_MAX] = {
	[LOG_DETAIL_FINDINGS] = "findings",
	[LOG_DETAIL_CHANGES] = "changes",
	[LOG_DETAIL_ALL] = "all",
};

/* Whether a level keeps events of this type. */
static bool keeps(enum log_detail level, enum event_type type)
{
	switch (type) {
	case EVENT_TRACE_BEGIN:
	case EVENT_TRACE_END:
		return level >= LOG_DETAIL_CHANGES;
	case EVENT_CHANGE:
	case EVENT_AGAIN:
		return level == LOG_DETAIL_CHANGES;
	default:
		return true;
	}
}

static int log_format(struct sink *sink, const struct event *event, char **text, size_t *length)
{
	struct log_sink *log = (struct log_sink *)sink;

	if (!keeps(log->level, event->type))
		return 0;
	if (event->type == EVENT_END)
		log->lost_output = event->totals.lost_output;
	*text = event_to_json(log->context, event, length);
	return *text ? 0 : -ENOMEM;
}

static void gather(struct log_sink *log, const struct model_input *input)
{
	int code = input_writer_put(log->inputs, input);

	if (code)
		writer_lose(log->sink.writer);
	log->line.lost |= code != 0;
	log->line.count++;
}

bool sink_log_flush(struct sink *sink, uint64_t now)
{
	struct log_sink *log = (struct log_sink *)sink;
	char *text = NULL;
	size_t length = 0;

	if (!log || !log->inputs || !log->line.count)
		return false;
	log->line.bytes = input_writer_bytes(log->inputs, &log->line.size);
	/* Without one of them the others are of no use: that is seen by their numbers. */
	if (!log->line.lost)
		text = input_line(log->context, &log->line, now, &length);
	if (!text || writer_put(sink->writer, text, length))
		log->line.lost = true;
	free(text);
	log->line.first += log->line.count;
	log->line.count = 0;
	input_writer_clear(log->inputs);
	return true;
}

void sink_log_input(struct sink *sink, const struct model_input *input)
{
	struct log_sink *log = (struct log_sink *)sink;
	struct model_input own = *input;
	size_t size;

	if (!log || !log->inputs)
		return;
	if (!log->utc_known || log->utc_offset != log->context->utc_offset) {
		log->utc_known = true;
		log->utc_offset = log->context->utc_offset;
		gather(log, &(struct model_input){.type = MODEL_INPUT_UTC,
						  .utc_offset = log->utc_offset});
	}
	if (input->type == MODEL_INPUT_FINISH)
		own.lost_output = log->lost_output;
	gather(log, &own);
	input_writer_bytes(log->inputs, &size);
	if (size >= GATHERED_MAX || input->type == MODEL_INPUT_FINISH)
		sink_log_flush(sink, input->time ? input->time : clock_monotonic());
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
	input_writer_free(log->inputs);
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
		if (level == LOG_DETAIL_ALL)
			log->inputs = input_writer_new();
		if (log->inputs || level != LOG_DETAIL_ALL)
			log->sink.writer = writer_new_for(&target, WRITER_LIMIT);
		if (log->sink.writer)
			return &log->sink;
		input_writer_free(log->inputs);
	}
	free(log);
	err_set(err, -ENOMEM, "out of memory, or no thread can be made");
	return NULL;
}
