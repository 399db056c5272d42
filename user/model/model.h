/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * model: records and trace snapshots in, events and totals out.
 *
 * Pure and deterministic: no system calls, the clock is an argument; a resolver that the caller
 * provides describes processes and files.
 */
#ifndef GRADWATCH_MODEL_MODEL_H
#define GRADWATCH_MODEL_MODEL_H

#include <stddef.h>

#include "model/event.h"
#include "model/suppressions.h"

struct model;

/* Fills the names that BPF does not know; both may leave fields empty. */
struct model_resolver {
	void (*process)(void *context, uint32_t pid, uint64_t start_time,
			struct event_process *process); /* exe, cgroup */
	void (*torch)(void *context, uint32_t file_id, struct event_torch *torch);
	void *context;
};

struct model_options {
	uint64_t idle_ns;   /* a popped trace without push or pop for so long is over */
	unsigned int kinds; /* set of model/kinds.h: others are only informed of */
	bool began_on;      /* changes in traces that began with grad off are no violations */
	bool for_log;       /* EVENT_TOTALS is handed out */
	bool each;          /* EVENT_AGAIN is */
	bool no_changes;    /* EVENT_CHANGE is not: nobody wants it */
	struct suppressions *suppressions; /* the caller's; NULL: none */
};

/* What a change is that BPF asks about. */
enum model_verdict {
	MODEL_VERDICT_VIOLATION,
	MODEL_VERDICT_INFO,     /* of a kind that was not chosen, or autograd's own */
	MODEL_VERDICT_ACCEPTED, /* the finding is a known one */
	MODEL_VERDICT_WAY_BACK, /* it ends a scope: to prevent it would leave the wrong mode */
	MODEL_VERDICT_UNSURE,   /* it may end a scope that was not seen to begin */
};

enum model_subject {
	MODEL_SUBJECT_NONE,
	MODEL_SUBJECT_TRACE,  /* a trace has begun: its changes are to be acted on, or not */
	MODEL_SUBJECT_CHANGE, /* BPF asks about a change, or says what it did about it (gw_ask) */
};

/*
 * A decision that a record asks for. The model fills in what it knows and does nothing itself: its
 * caller passes this to the code that acts on violations, after the record's events are written.
 */
struct model_decision {
	enum model_subject subject;
	struct gw_event_record record;
	enum trace_kind kind;
	bool info;                  /* TRACE: its changes are no violations */
	enum model_verdict verdict; /* CHANGE */
	struct event event;         /* CHANGE: an EVENT_ACTION, filled but for what is done */
};

/* NULL when out of memory. handler and resolver contexts stay the caller's. */
struct model *model_new(const struct model_options *options, const struct model_resolver *resolver,
			event_handler handler, void *context);
void model_free(struct model *model);

/* Changes options; what was reported before stays as it is. */
void model_set(struct model *model, unsigned int kinds, bool began_on, uint64_t idle_ns);

/* Counts the outcome of an action, and emits it. */
void model_action(struct model *model, const struct event *event);

/*
 * One record of the ring buffer: emits LOST (when its counter shows a gap), TRACE_BEGIN (when its
 * trace is new; `trace` is the map's snapshot of it, NULL if there is none) and the event itself.
 * -EBADMSG for a record that is not of this ABI; it is counted (model_bad_records).
 *
 * *decision is set in any case; NULL: nobody acts. The stack of its event is the model's, and good
 * until the next call of model_record().
 */
int model_record(struct model *model, const void *record, size_t size, const struct gw_trace *trace,
		 struct model_decision *decision);

/* What the caller found out about a trace's mode object by looking at the process. */
enum model_mode_state { MODEL_MODE_UNKNOWN, MODEL_MODE_ALIVE, MODEL_MODE_GONE };

/*
 * A snapshot of a trace, at time now: emits TRACE_BEGIN when new, TRACE_END when it is over (its
 * end_reason, `mode` gone while it is popped, or idle). Returns true when it is over. The last 1024
 * ended traces are remembered, so that records that were still under way do not begin them again.
 */
bool model_trace(struct model *model, const struct gw_trace *trace, enum model_mode_state mode,
		 uint64_t now);

/* What model_trace() would return: then the caller first removes the trace from the map. */
bool model_trace_is_over(const struct model *model, const struct gw_trace *trace,
			 enum model_mode_state mode, uint64_t now);

/* The trace ends here because gradwatch does. */
void model_trace_detach(struct model *model, const struct gw_trace *trace, uint64_t now);

/*
 * A process was seen (for the number of processes in the totals); pid and start time identify it.
 * A start time from /proc, in whole ticks, and one from BPF are the same. Processes of records and
 * traces count by themselves. Exact up to 65536; one that returns after so many others counts
 * again.
 */
void model_process(struct model *model, uint32_t pid, uint64_t start_time);

/*
 * A process has ended at time now. What is known of it is forgotten 2 s later, at the next call of
 * this or of model_counters(), as its last records may be taken after its end is seen.
 */
void model_process_ended(struct model *model, uint32_t pid, uint64_t start_time, uint64_t now);

/*
 * The ledger's counters: emits LOST if records were lost since the last event, and for logs TOTALS
 * if they have changed and were not handed out for 10 s.
 */
void model_counters(struct model *model, const uint64_t counter[GW_COUNTER_MAX], uint64_t now);

/* What the caller knows of what was looked at, for the totals; bad_records is the model's. */
void model_coverage(struct model *model, const struct event_coverage *coverage);

/* Emits END with the totals; nothing after that. */
void model_finish(struct model *model, uint64_t now);

/* Totals so far. */
void model_totals(const struct model *model, struct event_totals *totals);
uint64_t model_bad_records(const struct model *model);

/* hits == reported + redundant + outside + filtered + lost + throttled */
bool model_ledger_balances(const uint64_t counter[GW_COUNTER_MAX]);

#endif
