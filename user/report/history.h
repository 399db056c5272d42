/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What happened when, for pictures: traces, changes of the grad mode in them, and findings as
 * marks, of all runs on one clock. Names and stacks that are there often are kept once.
 *
 * Pure. Bounded: HISTORY_MAX events and the bytes below; what has no room is counted. A finding
 * takes the place of a change.
 */
#ifndef GRADWATCH_REPORT_HISTORY_H
#define GRADWATCH_REPORT_HISTORY_H

#include "base/table.h"
#include "report/decode.h"
#include "report/intern.h"
#include "report/summary.h"

#define HISTORY_MAX          100000
#define HISTORY_NAME_BYTES   (256u << 10) /* of names */
#define HISTORY_FRAMES       16384        /* different ones */
#define HISTORY_STACK_FRAMES 100000       /* of all different stacks */
#define HISTORY_THREADS      10000
#define HISTORY_LANES        64 /* of a thread: traces that go on at the same time */
#define HISTORY_NONE         INTERN_NONE

/* A frame of a stack. */
struct history_frame {
	uint32_t file, function; /* names */
	int32_t line;
	uint32_t whose; /* enum origin */
};

struct history_thread {
	uint32_t run, host, comm; /* host, comm: names */
	uint32_t pid, tid, ns_pid;
	uint64_t start; /* of the process */
};

/* Times are ns since 1970 in UTC. */
struct history_trace {
	uint64_t id, run; /* run: its index */
	uint64_t begin, end, operators;
	uint64_t off; /* ns from the begin on that grad was off, before the first change */
	uint32_t thread, stack;
	uint32_t lane;   /* those of a thread's lane do not overlap */
	uint32_t number; /* its place among those that were met, for changes and marks */
	enum trace_kind kind;
	bool began, ended; /* its begin was seen, its end was */
};

struct history_change {
	uint64_t time;
	uint64_t off; /* ns that grad was off from it on; 0: it was turned on */
	uint32_t trace, stack;
	bool from, to, info;
};

struct history_mark {
	uint64_t time, duration;
	uint32_t run, thread, stack;
	uint32_t trace;       /* may be HISTORY_NONE */
	uint32_t fingerprint; /* a name */
	enum severity severity;
	enum finding_category category;
	bool first; /* its record has the stack; not: it has occurred again */
};

struct history_left_out {
	uint64_t traces, changes, marks, stacks;
};

struct history {
	struct summary_filter filter;
	struct intern names, frames, stacks, threads;
	struct history_trace *trace; /* after history_finish: in order of begin */
	struct history_change *change;
	struct history_mark *mark;
	size_t traces, changes, marks;
	size_t max; /* of all three; HISTORY_MAX, less in tests */
	struct history_left_out left_out;
	uint64_t first; /* the earliest time; 0: there is none */
	/* private */
	struct table trace_by_key, finding_by_key, run_by_index;
	size_t trace_room, change_room, mark_room;
	struct decoded *decoded;
};

/* The filter's strings stay the caller's. NULL when out of memory; free is NULL-safe. */
struct history *history_new(const struct summary_filter *filter);
void history_free(struct history *history);

/* -ENOMEM: the history lacks it. */
int history_add(struct history *history, const struct run *run, const struct record *record);

/* Brings all into order, and finds when grad was off. -ENOMEM. After that nothing is added. */
int history_finish(struct history *history);

/* The number of a name, in printable UTF-8. */
uint32_t history_name(struct history *history, const char *text);

/* The number of a stack. */
uint32_t history_stack(struct history *history, const struct event_stack *stack);

const char *history_name_at(const struct history *history, uint32_t number);
const struct history_frame *history_frame_at(const struct history *history, uint32_t number);
/* The frames of a stack, by number, innermost first. */
const uint32_t *history_stack_at(const struct history *history, uint32_t number, size_t *count);
const struct history_thread *history_thread_at(const struct history *history, uint32_t number);

#endif
