/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An event is what gradwatch reports: every output form (text, JSON, log) is a function of it.
 * Strings are the raw bytes of the target, ended by NUL; outputs escape them.
 */
#ifndef GRADWATCH_MODEL_EVENT_H
#define GRADWATCH_MODEL_EVENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gradwatch/abi.h"
#include "model/kinds.h"

struct suppressions;

enum event_type {
	EVENT_START,       /* gradwatch is ready: what it watches is probed from here on */
	EVENT_ATTACHED,    /* probes placed in a libtorch file */
	EVENT_SKIPPED,     /* a libtorch file that cannot be watched, with the reason */
	EVENT_TRACE_BEGIN, /* a trace; sent late, with the true time of its first push */
	EVENT_TRACE_END,   /* its end; sent late, with the true time of its last pop */
	EVENT_CHANGE,      /* the grad mode changed inside a trace */
	EVENT_FINDING,     /* a scope with another grad mode inside a trace, for people to read */
	EVENT_REPEATED,    /* a finding that was reported has occurred again */
	EVENT_AGAIN,       /* the same, each time: for logs */
	EVENT_ACTION,      /* something was done about a violation, or could not be */
	EVENT_LOST,        /* records were lost here */
	EVENT_LOST_OUTPUT, /* lines of this output were lost here; only outputs make it */
	EVENT_TOTALS,      /* totals and ledger so far: for logs */
	EVENT_END,         /* totals and ledger */
};

/* What the control groups of a process say. NULL or "": not known. */
struct event_cgroup {
	const char *path;
	const char *container; /* the container's id */
	const char *runtime;   /* "docker", "containerd", ... */
	const char *pod;       /* its uid in Kubernetes */
	const char *unit;      /* of systemd */
};

/* Who. Fields that could not be read are 0 or "". */
struct event_process {
	uint32_t pid, tid;
	uint32_t ns_pid, ns_tid;
	uint32_t uid;
	uint64_t start_time; /* ns since boot */
	char comm[GW_COMM_LEN + 1];
	char exe[4096];
	struct event_cgroup cgroup;
};

/* In which library. */
struct event_torch {
	char file[4096];
	char version[64];
};

/*
 * A name that is longer than GW_NAME_BYTES ends with this, so that it equals no whole name, and no
 * pattern of a whole one fits it by mistake.
 */
#define EVENT_CUT "\u2026"

/* A frame of a Python stack; UTF-8. */
struct event_frame {
	const char *file, *function; /* "?" when unknown */
	int line;                    /* 0: unknown */
	bool file_cut, function_cut;
};

/* Whose code a frame is. */
enum origin {
	ORIGIN_USER,
	ORIGIN_TORCH,     /* torch, functorch, torchgen */
	ORIGIN_LIBRARY,   /* Python's standard library */
	ORIGIN_GENERATED, /* made by torch.fx: a graph's code, and what make_fx calls it through */
	ORIGIN_UNKNOWN,
};

struct event_origin {
	enum origin whose;
	const char
		*package;   /* ORIGIN_TORCH: the path from "torch/" or "functorch/" on; else NULL */
	const char *beside; /* the path from the folder above torch on; NULL: elsewhere */
};

/* The Python stack at the event, innermost first. */
struct event_stack {
	enum gw_stack_status status;
	size_t count;
	const struct event_frame *frame;
	const struct event_origin *origin; /* of each frame */
	int user; /* the innermost frame of the user's own code, -1: none */
};

struct event_attached {
	uint32_t sites; /* probes placed */
	bool certain;
	char doubt[256];         /* why not certain, or why skipped */
	uint64_t armed_after_ns; /* from the mapping to the probes; 0: was mapped before start */
	bool too_late;           /* the process had ended when the probes were in place */
};

struct event_trace {
	uint64_t id;
	uint64_t first_push_ns, last_push_ns, last_pop_ns; /* monotonic */
	uint64_t pushes, pops, operators, changes;
	bool seen_from_start;
	uint8_t depth;
	enum trace_kind kind;
	enum gw_end_reason reason;
};

struct event_change {
	uint64_t trace;
	enum trace_kind kind;
	bool from, to, certain;
	uint8_t began; /* GW_STATE_ bits the trace began with, or GW_STATE_UNKNOWN */
	bool info;     /* in a trace of a kind that was not chosen, or see --began */
};

enum finding_category {
	FINDING_SCOPE,      /* the grad mode was changed by the setter */
	FINDING_DRIFT,      /* by other ways: seen at the next operator */
	FINDING_UNBALANCED, /* a trace ended with another grad mode than it began with */
	FINDING_CATEGORY_MAX,
};

enum restored {
	RESTORED_NO,
	RESTORED_YES,
	RESTORED_UNKNOWN, /* records between were lost, or not sent as there were too many */
};

/* How bad a finding is, the worst first. The model decides; outputs and --fail go by it. */
enum severity {
	SEVERITY_VIOLATION,
	SEVERITY_LOW,  /* a violation, but no operator was traced in it: no graph is affected */
	SEVERITY_NOTE, /* PyTorch records it as a region of the graph, which tools may skip */
	SEVERITY_INFO, /* PyTorch's own change, or in a trace of a kind that was not chosen */
	SEVERITY_SUPPRESSED, /* the user accepts it */
	SEVERITY_MAX,
};

/* Whose code made a change. */
enum owner {
	OWNER_USER,     /* Python code, or C++ code where the two cannot be distinguished */
	OWNER_AUTOGRAD, /* PyTorch's autograd: a backward pass, or Function.apply */
	OWNER_CPP,      /* C++ code that Python called: a guard of functorch's, of an extension */
	OWNER_MAX,
};

/* What can be done about a finding: advice.h. */
enum advice {
	ADVICE_NONE,
	ADVICE_NOTHING,
	ADVICE_COMPILE,
	ADVICE_RECORDED,
	ADVICE_REGION,
	ADVICE_PRE_DISPATCH_OR_NO_GRAD,
	ADVICE_PRE_DISPATCH,
	ADVICE_NO_GRAD,
	ADVICE_ENABLE_GRAD,
	ADVICE_EXPORT,
	ADVICE_INFERENCE,
	ADVICE_INFERENCE_TRUE,
	ADVICE_NO_INFERENCE,
	ADVICE_INFERENCE_FALSE,
	ADVICE_BALANCE,
	ADVICE_MAX,
};

#define FINGERPRINT_SIZE 21 /* "fp1:", 16 digits, NUL */

struct event_finding {
	uint64_t number; /* of this finding among all: 1, 2, ... */
	uint64_t count;  /* how often it has occurred */
	uint64_t trace;
	enum trace_kind kind;
	enum finding_category category;
	uint8_t from, to; /* GW_STATE_ bits */
	uint8_t began;    /* those that the trace began with, or GW_STATE_UNKNOWN */
	bool certain;
	enum severity severity;
	enum owner owner;
	enum advice advice;
	enum restored restored;
	uint64_t duration_ns;
	uint64_t operators;   /* traced in it; 0: an empty scope */
	bool uncounted;       /* operators is not known */
	bool before_attach;   /* the end of a block that was begun before gradwatch came */
	uint64_t throttled;   /* changes in its traces that were not sent (--rate); of REPEATED */
	char manager[32];     /* "no_grad", ...; "" when not known */
	bool decorator;       /* it was used as one */
	bool decorates_torch; /* on a function of torch's own */
	const struct event_frame *decorated; /* on this function; NULL: not seen */
	const struct event_frame *caller;   /* user of the user's own context manager; NULL: none */
	const char *suppression;            /* name of the one that accepts it; NULL: none */
	char fingerprint[FINGERPRINT_SIZE]; /* fingerprint.h */
};

enum action_outcome {
	ACTION_PERFORMED, /* verified: the change was not made, or not yet (hold) */
	ACTION_TOO_LATE,  /* the process ran on, and made the change */
	ACTION_REFUSED,   /* not possible for this call: detail says why */
	ACTION_DRY_RUN,   /* would have been done */
	ACTION_LET_GO,    /* a held process runs again: detail says why */
	ACTION_OUTCOME_MAX,
};

struct event_action {
	uint64_t trace;
	enum trace_kind kind;
	bool from, to;
	enum gw_action action;
	enum gw_action fallback; /* REFUSED: what is done instead */
	enum action_outcome outcome;
	int signal;           /* SIGNAL, KILL: its number */
	bool by_bpf;          /* done by BPF itself, without asking */
	bool after_change;    /* KILL by --escalate: the change had been made */
	uint64_t duration_ns; /* from the probe to the outcome, or of the hold */
	uint64_t hold_ns;     /* HOLD performed: after which it is let go */
	char detail[160];     /* "" when there is nothing to add */
};

/* What was looked at, and what was not; of END, else zeros. */
struct event_coverage {
	uint64_t probed;        /* times a probed libtorch was met in a process */
	uint64_t missed;        /* processes that had ended before they could be looked at */
	uint64_t mappings_lost; /* records of new mappings */
	uint64_t refused;       /* times that the registry had no room for a process */
	uint64_t files_refused; /* and for a file */
	uint64_t unarmed;       /* runs that ended before what was mapped at the start was probed */
	uint64_t bad_records;   /* of another format */
};

struct event_totals {
	uint64_t processes, traces, violations, lost;
	uint64_t lost_output; /* lines of all outputs that were not written; the caller adds it */
	uint64_t infos;       /* like violations, in traces of kinds that were not chosen */
	uint64_t findings;    /* different ones: violations, those without an operator, drifts */
	uint64_t drifts;      /* of these */
	uint64_t notes;       /* different ones */
	uint64_t suppressed;  /* findings, with repeats */
	uint64_t findings_forgotten; /* evicted: they count as new when they occur again */
	const struct suppressions *suppressions; /* with their counts; NULL: none */
	uint64_t stacks[GW_STACK_MAX];           /* of changes and drifts, by how they ended */
	uint64_t actions[ACTION_OUTCOME_MAX];
	uint64_t counter[GW_COUNTER_MAX];
	struct event_coverage coverage;
};

struct event {
	enum event_type type;
	uint64_t time; /* monotonic ns */
	struct event_process process;
	struct event_torch torch;
	struct event_stack stack; /* TRACE_BEGIN, VIOLATION, ACTION */
	union {
		struct event_attached attached; /* ATTACHED, SKIPPED */
		struct event_trace trace;       /* TRACE_BEGIN, TRACE_END */
		struct event_change change;
		struct event_finding finding; /* FINDING, REPEATED, AGAIN */
		struct event_action action;
		struct {
			uint64_t count, total;
		} lost;                     /* LOST, LOST_OUTPUT */
		struct event_totals totals; /* TOTALS, END */
	};
};

/* The innermost frame of the user's own code; NULL: none. */
static inline const struct event_frame *event_user_frame(const struct event_stack *stack)
{
	if (stack->user < 0 || (size_t)stack->user >= stack->count)
		return NULL;
	return &stack->frame[stack->user];
}

/* The place of a finding: the decorated function if known, else the user's frame; NULL: neither. */
static inline const struct event_frame *event_place(const struct event *event)
{
	if (event->finding.decorated)
		return event->finding.decorated;
	return event_user_frame(&event->stack);
}

/* Whether no operator was traced in the scope of a finding, so that no graph is affected. */
static inline bool event_scope_is_empty(const struct event_finding *finding)
{
	return finding->category != FINDING_UNBALANCED && !finding->operators &&
	       !finding->uncounted;
}

/* Whether a finding is a violation: what --fail and the totals count. */
static inline bool event_is_alarm(const struct event_finding *finding)
{
	return finding->severity <= SEVERITY_LOW;
}

/* A finding that is not accepted, in the totals. */
static inline void event_count_finding(struct event_totals *totals,
				       const struct event_finding *finding)
{
	totals->notes += finding->severity == SEVERITY_NOTE;
	totals->findings += event_is_alarm(finding);
	totals->drifts += event_is_alarm(finding) && finding->category == FINDING_DRIFT;
}

/* Whether a finding is shown without -v. */
static inline bool event_is_shown(const struct event_finding *finding)
{
	return finding->severity <= SEVERITY_NOTE;
}

/* Receives events in order. The event is the sender's and gone after the call. */
typedef void (*event_handler)(void *context, const struct event *event);

#endif
