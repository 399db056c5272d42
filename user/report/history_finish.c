// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <stdlib.h>

#include "report/history.h"

static int order(uint64_t one, uint64_t other)
{
	return (one > other) - (one < other);
}

/* By thread, then by time. */
static int compare_traces(const void *one, const void *other)
{
	const struct history_trace *a = one, *b = other;
	int by_thread = order(a->thread, b->thread), by_time = order(a->begin, b->begin);

	if (by_thread)
		return by_thread;
	return by_time ? by_time : order(a->number, b->number);
}

static int compare_changes(const void *one, const void *other)
{
	const struct history_change *a = one, *b = other;
	int by_trace = order(a->trace, b->trace);

	return by_trace ? by_trace : order(a->time, b->time);
}

static int compare_marks(const void *one, const void *other)
{
	const struct history_mark *a = one, *b = other;
	int by_thread = order(a->thread, b->thread);

	return by_thread ? by_thread : order(a->time, b->time);
}

/* A change, by run and time. */
struct moment {
	uint64_t run, time;
	const struct history_change *change;
};

static int compare_moments(const void *one, const void *other)
{
	const struct moment *a = one, *b = other;
	int by_run = order(a->run, b->run);

	return by_run ? by_run : order(a->time, b->time);
}

/* Traces are in order of arrival, as changes say: after that in that of threads and times. */
static int sort(struct history *history)
{
	uint32_t *place = calloc(history->traces + 1, sizeof(*place));

	if (!place)
		return -ENOMEM;
	for (size_t i = 0; i < history->traces; i++) /* in logs of unknown make */
		if (history->trace[i].end < history->trace[i].begin)
			history->trace[i].end = history->trace[i].begin;
	if (history->traces)
		qsort(history->trace, history->traces, sizeof(*history->trace), compare_traces);
	for (size_t i = 0; i < history->traces; i++)
		place[history->trace[i].number] = (uint32_t)i;
	for (size_t i = 0; i < history->changes; i++)
		history->change[i].trace = place[history->change[i].trace];
	for (size_t i = 0; i < history->marks; i++)
		if (history->mark[i].trace != HISTORY_NONE)
			history->mark[i].trace = place[history->mark[i].trace];
	free(place);
	if (history->changes)
		qsort(history->change, history->changes, sizeof(*history->change), compare_changes);
	return 0;
}

/* Gives marks that have no thread that of the change of their time; without one they are left out.
 */
static int place_marks(struct history *history)
{
	struct moment *moment = calloc(history->changes + 1, sizeof(*moment));
	size_t kept = 0;

	if (!moment)
		return -ENOMEM;
	for (size_t i = 0; i < history->changes; i++)
		moment[i] = (struct moment){
			.run = history->trace[history->change[i].trace].run,
			.time = history->change[i].time,
			.change = &history->change[i],
		};
	qsort(moment, history->changes, sizeof(*moment), compare_moments);
	for (size_t i = 0; i < history->marks; i++) {
		struct history_mark mark = history->mark[i];
		const struct moment wanted = {.run = mark.run, .time = mark.time};
		const struct moment *found = mark.thread == HISTORY_NONE
						     ? bsearch(&wanted, moment, history->changes,
							       sizeof(*moment), compare_moments)
						     : NULL;

		if (found) {
			mark.trace = found->change->trace;
			mark.thread = history->trace[mark.trace].thread;
			mark.stack = found->change->stack;
		}
		if (mark.thread == HISTORY_NONE)
			history->left_out.marks++;
		else
			history->mark[kept++] = mark;
	}
	history->marks = kept;
	free(moment);
	if (history->marks)
		qsort(history->mark, history->marks, sizeof(*history->mark), compare_marks);
	return 0;
}

/*
 * How long grad was off in a trace: from a change to off until its next change, or its end. A trace
 * whose first change comes from off began so.
 */
static void find_spans(struct history *history)
{
	for (size_t i = 0; i < history->changes; i++) {
		struct history_change *change = &history->change[i];
		struct history_trace *trace = &history->trace[change->trace];
		bool first = !i || change[-1].trace != change->trace;
		bool last = i + 1 == history->changes || change[1].trace != change->trace;
		uint64_t end = last || change[1].time > trace->end ? trace->end : change[1].time;

		if (first && !change->from && change->time > trace->begin)
			trace->off = (change->time < trace->end ? change->time : trace->end) -
				     trace->begin;
		if (!change->to && end > change->time)
			change->off = end - change->time;
	}
}

/* Each trace goes into the first lane of its thread where none is going on. */
static void find_lanes(struct history *history)
{
	uint64_t end[HISTORY_LANES];
	size_t lanes = 0;

	for (size_t i = 0; i < history->traces; i++) {
		struct history_trace *trace = &history->trace[i];
		size_t lane = 0;

		if (!i || trace->thread != trace[-1].thread)
			lanes = 0;
		while (lane < lanes && end[lane] > trace->begin)
			lane++;
		if (lane == HISTORY_LANES)
			lane--; /* they cover each other there */
		else if (lane == lanes)
			lanes++;
		end[lane] = trace->end;
		trace->lane = (uint32_t)lane;
	}
}

static void find_first(struct history *history)
{
	for (size_t i = 0; i < history->traces; i++)
		if (!history->first || history->trace[i].begin < history->first)
			history->first = history->trace[i].begin;
	for (size_t i = 0; i < history->marks; i++)
		if (!history->first || history->mark[i].time < history->first)
			history->first = history->mark[i].time;
}

int history_finish(struct history *history)
{
	int code = sort(history);

	if (!code)
		code = place_marks(history);
	if (code)
		return code;
	find_spans(history);
	find_lanes(history);
	find_first(history);
	return 0;
}
