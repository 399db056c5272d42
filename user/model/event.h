/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An event is what gradwatch tells: every output form (text, JSON, log) is a function of it.
 * Strings are the raw bytes of the target, ended by NUL; outputs escape them.
 */
#ifndef GRADWATCH_MODEL_EVENT_H
#define GRADWATCH_MODEL_EVENT_H

#include <stdbool.h>
#include <stdint.h>

#include "gradwatch/abi.h"

enum event_type {
	EVENT_START,       /* gradwatch is ready: what it watches is probed from here on */
	EVENT_ATTACHED,    /* probes placed in a libtorch file */
	EVENT_SKIPPED,     /* a libtorch file that cannot be watched, with the reason */
	EVENT_TRACE_BEGIN, /* a trace session; sent late, with the true time of its first push */
	EVENT_TRACE_END,   /* its end; sent late, with the true time of its last pop */
	EVENT_VIOLATION,   /* the grad mode changed inside a trace */
	EVENT_LOST,        /* records were lost here */
	EVENT_END,         /* totals and ledger */
};

/* Who. Fields that could not be read are 0 or "". */
struct event_process {
	uint32_t pid, tid;
	uint32_t ns_pid, ns_tid;
	uint32_t uid;
	uint64_t start_time; /* ns since boot */
	char comm[GW_COMM_LEN + 1];
	char exe[4096];
};

/* In which library. */
struct event_torch {
	char file[4096];
	char version[64];
};

struct event_attached {
	uint32_t sites; /* probes placed */
	bool certain;
	char doubt[256];         /* why not certain, or why skipped */
	uint64_t armed_after_ns; /* from the mapping to the probes; 0: was mapped before start */
};

struct event_trace {
	uint64_t id;
	uint64_t first_push_ns, last_push_ns, last_pop_ns; /* monotonic */
	uint64_t pushes, pops, operators, violations;
	bool seen_from_start;
	uint8_t depth;
	enum gw_end_reason reason;
};

struct event_violation {
	uint64_t trace;
	bool from, to, certain;
};

struct event_totals {
	uint64_t processes, traces, violations, lost;
	uint64_t counter[GW_COUNTER_MAX];
};

struct event {
	enum event_type type;
	uint64_t time; /* monotonic ns */
	struct event_process process;
	struct event_torch torch;
	union {
		struct event_attached attached; /* ATTACHED, SKIPPED */
		struct event_trace trace;       /* TRACE_BEGIN, TRACE_END */
		struct event_violation violation;
		struct {
			uint64_t count, total;
		} lost;
		struct event_totals totals; /* END */
	};
};

/* Receives events in order. The event is the sender's and gone after the call. */
typedef void (*event_handler)(void *context, const struct event *event);

#endif
