// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A record is a line of glog's form with an object, and below it, each after a tab, the lines of
 * its payload, whose MD5 is in the object. The payload is an object of one line.
 */
#include "report/torch_trace.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "model/advice.h"
#include "output/common.h"
#include "output/text_finding.h"
#include "report/md5.h"

#define NS_PER_S 1000000000u

uint32_t torch_trace_pid(const char *line)
{
	unsigned int pid;

	/* V1126 16:17:17.602000 28014 torch/_logging/structured.py:28] */
	return sscanf(line, "%*1[VDIWEC]%*4u %*2u:%*2u:%*u.%*u %u ", &pid) == 1 ? pid : 0;
}

static json_t *make_frames(const struct history *history, uint32_t stack)
{
	size_t count;
	const uint32_t *number = history_stack_at(history, stack, &count);
	json_t *list = json_array();

	for (size_t i = 0; i < count; i++) {
		const struct history_frame *frame = history_frame_at(history, number[i]);

		if (json_array_append_new(list,
					  json_pack("{s:s, s:i, s:s}", "file",
						    history_name_at(history, frame->file), "line",
						    (int)frame->line, "function",
						    history_name_at(history, frame->function)))) {
			json_decref(list);
			return NULL;
		}
	}
	return list;
}

/* The payload; NULL when out of memory. */
static char *make_payload(const struct history *history, const struct history_mark *mark,
			  const struct summary_finding *finding)
{
	const struct history_trace *trace = mark->trace == HISTORY_NONE
						    ? NULL
						    : &history->trace[mark->trace];
	const char *advice = advice_text(finding->event->finding.advice);
	json_t *frames = make_frames(history, mark->stack);
	json_t *object = NULL;
	char *text;

	if (frames)
		object = json_pack("{s:s, s:s, s:s, s:s, s:I, s:s*, s:o}", "finding",
				   text_finding_title(&finding->event->finding), "severity",
				   output_severity(mark->severity), "kind",
				   kind_name(finding->event->finding.kind), "fingerprint",
				   history_name_at(history, mark->fingerprint), "trace",
				   (json_int_t)(trace ? trace->id : 0), "advice", advice, "stack",
				   frames);
	text = object ? json_dumps(object, JSON_COMPACT) : NULL;
	json_decref(object);
	return text;
}

static int put_record(FILE *stream, const struct history *history, const struct history_mark *mark,
		      const struct summary_finding *finding, size_t number, uint32_t ns_pid)
{
	char *payload = make_payload(history, mark, finding), digest[MD5_TEXT_SIZE], when[32];
	time_t seconds = (time_t)(mark->time / NS_PER_S);
	struct tm tm;

	if (!payload)
		return -ENOMEM;
	md5_text(digest, payload, strlen(payload));
	localtime_r(&seconds, &tm); /* as Python's logging */
	strftime(when, sizeof(when), "%m%d %H:%M:%S", &tm);
	fprintf(stream,
		"V%s.%06u %u gradwatch/report:1] {\"artifact\": {\"name\": \"gradwatch_%s_%zu\", "
		"\"encoding\": \"json\"}, \"has_payload\": \"%s\"}\n\t%s\n",
		when, (unsigned int)(mark->time % NS_PER_S / 1000), ns_pid,
		output_severity(mark->severity), number, digest, payload);
	free(payload);
	return 0;
}

int torch_trace_write(FILE *stream, const struct history *history, const struct summary *summary,
		      uint32_t ns_pid, size_t *count)
{
	*count = 0;
	for (size_t i = 0; i < history->marks; i++) {
		const struct history_mark *mark = &history->mark[i];
		const struct summary_finding *finding =
			summary_find(summary, history_name_at(history, mark->fingerprint));
		int code;

		if (!mark->first || !finding || mark->severity > SEVERITY_NOTE ||
		    history_thread_at(history, mark->thread)->ns_pid != ns_pid)
			continue;
		code = put_record(stream, history, mark, finding, ++*count, ns_pid);
		if (code)
			return code;
	}
	return 0;
}
