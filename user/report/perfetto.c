// SPDX-License-Identifier: GPL-2.0-or-later
#include "report/perfetto.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "output/common.h"
#include "report/encode.h"

#define NS_PER_S 1000000000u

/* What is being written. */
struct out {
	FILE *stream;
	const struct history *history;
	uint64_t base; /* ns */
	bool failed;
	bool some; /* an event is there */
};

/* The number of a thread's lane; those of a process begin with the process's own. */
static uint32_t lane_id(uint32_t thread, uint32_t lane)
{
	return PERFETTO_FIRST_ID + thread * HISTORY_LANES + lane;
}

/* A process is known by its first thread in the history. */
static uint32_t process_id(const struct history *history, uint32_t thread)
{
	const struct history_thread *wanted = history_thread_at(history, thread);
	uint32_t first = 0;

	for (; first < thread; first++) {
		const struct history_thread *one = history_thread_at(history, first);

		if (one->run == wanted->run && one->pid == wanted->pid &&
		    one->start == wanted->start && one->host == wanted->host)
			break;
	}
	return lane_id(first, 0);
}

static void string(struct out *out, const char *text)
{
	out->failed |= encode_string(out->stream, text) != 0;
}

/* us with three digits behind the point, which is exact. */
static void put_time(struct out *out, const char *key, uint64_t ns)
{
	fprintf(out->stream, ",\"%s\":%" PRIu64 ".%03u", key, ns / 1000, (unsigned int)(ns % 1000));
}

static void put_frame(struct out *out, uint32_t number)
{
	const struct history_frame *frame = history_frame_at(out->history, number);
	const char *file = history_name_at(out->history, frame->file);
	const char *function = history_name_at(out->history, frame->function);
	char *text;

	if (asprintf(&text, "%s:%d in %s", file, frame->line, function) < 0) {
		out->failed = true;
		return;
	}
	string(out, text);
	free(text);
}

/* The innermost frame of the user's own code. */
static void put_place(struct out *out, uint32_t stack)
{
	size_t count, at = 0;
	const uint32_t *number = history_stack_at(out->history, stack, &count);

	while (at < count && history_frame_at(out->history, number[at])->whose != ORIGIN_USER)
		at++;
	if (at == count)
		return;
	fputs(",\"at\":", out->stream);
	put_frame(out, number[at]);
}

/* All frames, innermost first: Perfetto shows keys in the order of their text. */
static void put_stack(struct out *out, uint32_t stack)
{
	size_t count;
	const uint32_t *number = history_stack_at(out->history, stack, &count);

	fputs(",\"stack\":{", out->stream);
	for (size_t i = 0; i < count; i++) {
		fprintf(out->stream, "%s\"frame %02zu\":", i ? "," : "", i);
		put_frame(out, number[i]);
	}
	fputc('}', out->stream);
}

static void begin_event(struct out *out, const char *phase, uint32_t process, uint32_t lane)
{
	fprintf(out->stream, "%s{\"ph\":\"%s\",\"pid\":%u,\"tid\":%u", out->some ? ",\n" : "\n",
		phase, process, lane);
	out->some = true;
}

static void put_name(struct out *out, const char *phase, const char *kind, uint32_t process,
		     uint32_t lane, const char *text)
{
	begin_event(out, phase, process, lane);
	fprintf(out->stream, ",\"name\":\"%s\",\"args\":{\"name\":", kind);
	string(out, text);
	fputs("}}", out->stream);
}

static void put_thread(struct out *out, uint32_t thread, uint32_t process, uint32_t lanes)
{
	const struct history_thread *is = history_thread_at(out->history, thread);

	for (uint32_t lane = 0; lane < lanes; lane++) {
		char text[64];

		if (lane)
			snprintf(text, sizeof(text), "thread %u, nested %u", is->tid, lane);
		else
			snprintf(text, sizeof(text), "thread %u", is->tid);
		put_name(out, "M", "thread_name", process, lane_id(thread, lane), text);
	}
}

static void put_process(struct out *out, uint32_t thread, uint32_t process)
{
	const struct history_thread *is = history_thread_at(out->history, thread);
	char *text;

	if (asprintf(&text, "gradwatch: %s[%u] on %s", history_name_at(out->history, is->comm),
		     is->pid, history_name_at(out->history, is->host)) < 0) {
		out->failed = true;
		return;
	}
	put_name(out, "M", "process_name", process, process, text);
	free(text);
}

static void put_off(struct out *out, uint32_t process, uint32_t lane, uint64_t time,
		    uint64_t length, uint32_t stack, bool info)
{
	if (!length)
		return;
	begin_event(out, "X", process, lane);
	fputs(",\"cat\":\"grad\",\"name\":\"grad off\"", out->stream);
	put_time(out, "ts", time - out->base);
	put_time(out, "dur", length);
	fprintf(out->stream, ",\"args\":{\"information\":%s", info ? "true" : "false");
	put_place(out, stack);
	fputs("}}", out->stream);
}

static void put_trace(struct out *out, const struct history_trace *trace, uint32_t process)
{
	uint32_t lane = lane_id(trace->thread, trace->lane);

	begin_event(out, "X", process, lane);
	fprintf(out->stream, ",\"cat\":\"trace\",\"name\":\"%s trace %" PRIu64 "\"",
		kind_name(trace->kind), trace->id);
	put_time(out, "ts", trace->begin - out->base);
	put_time(out, "dur", trace->end - trace->begin);
	fprintf(out->stream,
		",\"args\":{\"kind\":\"%s\",\"trace\":%" PRIu64 ",\"operators\":%" PRIu64
		",\"begin seen\":%s,\"end seen\":%s}}",
		kind_name(trace->kind), trace->id, trace->operators,
		trace->began ? "true" : "false", trace->ended ? "true" : "false");
	put_off(out, process, lane, trace->begin, trace->off, HISTORY_NONE, false);
}

static void put_mark(struct out *out, const struct history_mark *mark, uint32_t process)
{
	uint32_t lane = mark->trace == HISTORY_NONE ? 0 : out->history->trace[mark->trace].lane;

	begin_event(out, "i", process, lane_id(mark->thread, lane));
	fprintf(out->stream, ",\"s\":\"t\",\"cat\":\"finding\",\"name\":\"%s: %s\"",
		output_severity(mark->severity), output_category(mark->category));
	put_time(out, "ts", mark->time - out->base);
	fputs(",\"args\":{\"fingerprint\":", out->stream);
	string(out, history_name_at(out->history, mark->fingerprint));
	fprintf(out->stream, ",\"again\":%s,\"duration_ns\":%" PRIu64,
		mark->first ? "false" : "true", mark->duration);
	put_place(out, mark->stack);
	if (mark->first)
		put_stack(out, mark->stack);
	fputs("}}", out->stream);
}

static int put_all(struct out *out)
{
	const struct history *history = out->history;
	size_t threads = history->threads.count;
	uint32_t *process = calloc(threads + 1, sizeof(*process));
	uint32_t *lanes = calloc(threads + 1, sizeof(*lanes));

	for (uint32_t i = 0; process && i < threads; i++)
		process[i] = process_id(history, i);
	for (size_t i = 0; lanes && i < history->marks; i++)
		lanes[history->mark[i].thread] = 1;
	for (size_t i = 0; lanes && i < history->traces; i++)
		if (lanes[history->trace[i].thread] <= history->trace[i].lane)
			lanes[history->trace[i].thread] = history->trace[i].lane + 1;
	if (!process || !lanes) {
		free(process);
		free(lanes);
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < threads; i++) {
		if (process[i] == lane_id(i, 0))
			put_process(out, i, process[i]);
		put_thread(out, i, process[i], lanes[i]);
	}
	for (size_t i = 0; i < history->traces; i++)
		put_trace(out, &history->trace[i], process[history->trace[i].thread]);
	for (size_t i = 0; i < history->changes; i++) {
		const struct history_change *change = &history->change[i];
		const struct history_trace *trace = &history->trace[change->trace];

		put_off(out, process[trace->thread], lane_id(trace->thread, trace->lane),
			change->time, change->off, change->stack, change->info);
	}
	for (size_t i = 0; i < history->marks; i++)
		put_mark(out, &history->mark[i], process[history->mark[i].thread]);
	free(process);
	free(lanes);
	return out->failed ? -ENOMEM : 0;
}

int perfetto_write(FILE *stream, const struct history *history)
{
	const uint64_t quarter = (uint64_t)PERFETTO_QUARTER_S * NS_PER_S;
	struct out out = {
		.stream = stream,
		.history = history,
		.base = history->first / quarter * quarter,
	};
	const struct history_left_out *left_out = &history->left_out;
	int code;

	fprintf(stream,
		"{\"schemaVersion\":1,\"displayTimeUnit\":\"ms\",\"baseTimeNanoseconds\":%" PRIu64
		",\n\"otherData\":{\"made by\":\"gradwatch\",\"clock\":\"ts: us since "
		"baseTimeNanoseconds, which is ns since 1970 in UTC, as in torch.profiler\","
		"\"left out\":\"%" PRIu64 " traces, %" PRIu64 " changes, %" PRIu64
		" marks of findings\"},\n\"traceEvents\":[",
		out.base, left_out->traces, left_out->changes, left_out->marks);
	code = put_all(&out);
	fputs("\n]}\n", stream);
	return code;
}
