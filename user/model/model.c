// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What the model remembers is little: which traces were begun, which were ended, which processes
 * were seen, and how many losses were told. Everything else about a trace is in the session that
 * BPF keeps, so an event never mixes what was seen at different times.
 */
#include "model/model.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "model/recent.h"

/*
 * Traces that are begun but not ended: what the session map can hold, twice, since records of a
 * session may still be in the ring buffer when its place in the map is already another's.
 */
#define MAX_OPEN (2 * GW_MAX_SESSIONS)

/* Ended traces that are remembered, for the records that were still under way. */
#define MAX_ENDED 1024

/* Processes that are told apart. A process that returns after so many others counts again. */
#define MAX_SEEN 65536

/*
 * The kernel shows start times of processes in /proc in ticks of USER_HZ, BPF sees nanoseconds:
 * both name the same process.
 */
#define START_TIME_TICK 10000000

struct model {
	struct model_options options;
	struct model_resolver resolver;
	event_handler handler;
	void *context;

	struct recent *open;
	struct recent *ended;
	struct recent *processes;
	struct event_totals totals; /* totals.lost: losses told so far */
	uint64_t bad_records;
	bool finished;
};

struct model *model_new(const struct model_options *options, const struct model_resolver *resolver,
			event_handler handler, void *context)
{
	struct model *model = calloc(1, sizeof(*model));

	if (!model)
		return NULL;
	model->options = *options;
	if (resolver)
		model->resolver = *resolver;
	model->handler = handler;
	model->context = context;
	model->open = recent_new(MAX_OPEN);
	model->ended = recent_new(MAX_ENDED);
	model->processes = recent_new(MAX_SEEN);
	if (!model->open || !model->ended || !model->processes) {
		model_free(model);
		return NULL;
	}
	return model;
}

void model_free(struct model *model)
{
	if (!model)
		return;
	recent_free(model->open);
	recent_free(model->ended);
	recent_free(model->processes);
	free(model);
}

/* Sends an event after filling in what BPF does not know. */
static void emit_of_process(struct model *model, struct event *event, uint32_t file_id)
{
	const struct model_resolver *resolver = &model->resolver;

	model_process(model, event->process.pid, event->process.start_time);
	if (resolver->process)
		resolver->process(resolver->context, event->process.pid, event->process.start_time,
				  &event->process);
	if (resolver->torch)
		resolver->torch(resolver->context, file_id, &event->torch);
	model->handler(model->context, event);
}

/* Records of several CPUs arrive out of order, so the count may step back: only news is told. */
static void tell_lost(struct model *model, uint64_t lost, uint64_t time)
{
	struct event event = {.type = EVENT_LOST, .time = time};

	if (lost <= model->totals.lost)
		return;
	event.lost.count = lost - model->totals.lost;
	event.lost.total = lost;
	model->totals.lost = lost;
	model->handler(model->context, &event);
}

static void process_of_session(struct event_process *process, const struct gw_session *session)
{
	process->pid = session->pid;
	process->tid = session->tid;
	process->ns_pid = session->ns_pid;
	process->ns_tid = session->ns_tid;
	process->uid = session->uid;
	process->start_time = session->start_time;
	memcpy(process->comm, session->comm, GW_COMM_LEN);
}

static void process_of_violation(struct event_process *process,
				 const struct gw_violation *violation)
{
	process->pid = violation->pid;
	process->tid = violation->tid;
	process->ns_pid = violation->ns_pid;
	process->ns_tid = violation->ns_tid;
	process->uid = violation->uid;
	process->start_time = violation->start_time;
	memcpy(process->comm, violation->comm, GW_COMM_LEN);
}

static void trace_of_session(struct event_trace *trace, const struct gw_session *session)
{
	trace->id = session->id;
	trace->first_push_ns = session->first_push;
	trace->last_push_ns = session->last_push;
	trace->last_pop_ns = session->last_pop;
	trace->pushes = session->pushes;
	trace->pops = session->pops;
	trace->operators = session->operators;
	trace->violations = session->violations;
	trace->seen_from_start = session->seen_from_start;
	trace->depth = session->depth;
}

/* Notes that a trace exists. Returns true when its begin is to be told. */
static bool begin_trace(struct model *model, uint64_t id)
{
	struct recent_key key = {.first = id};

	if (recent_contains(model->ended, key) || !recent_add(model->open, key))
		return false;
	model->totals.traces++;
	return true;
}

static void begin_from_session(struct model *model, const struct gw_session *session)
{
	struct event event = {.type = EVENT_TRACE_BEGIN, .time = session->first_push};

	if (!begin_trace(model, session->id))
		return;
	process_of_session(&event.process, session);
	trace_of_session(&event.trace, session);
	emit_of_process(model, &event, session->file_id);
}

/* The session is not in the map any more, or never was: the violation is the first sight of it. */
static void begin_from_violation(struct model *model, const struct gw_violation *violation)
{
	struct event event = {.type = EVENT_TRACE_BEGIN, .time = violation->header.time};

	if (!begin_trace(model, violation->session))
		return;
	process_of_violation(&event.process, violation);
	event.trace.id = violation->session;
	event.trace.first_push_ns = violation->header.time;
	event.trace.last_push_ns = violation->header.time;
	event.trace.violations = 1;
	emit_of_process(model, &event, violation->file_id);
}

static void emit_violation(struct model *model, const struct gw_violation *violation)
{
	struct event event = {.type = EVENT_VIOLATION, .time = violation->header.time};

	process_of_violation(&event.process, violation);
	event.violation.trace = violation->session;
	event.violation.from = violation->from;
	event.violation.to = violation->to;
	event.violation.certain = violation->certain;
	model->totals.violations++;
	emit_of_process(model, &event, violation->file_id);
}

/* Copies a record to where it is aligned. Returns false when it is not of this ABI. */
static bool read_violation(struct gw_violation *violation, const void *record, size_t size)
{
	if (size < sizeof(*violation))
		return false;
	memcpy(violation, record, sizeof(*violation));
	return violation->header.type == GW_RECORD_VIOLATION &&
	       violation->header.version == GW_ABI_VERSION &&
	       violation->header.size == sizeof(*violation);
}

int model_record(struct model *model, const void *record, size_t size,
		 const struct gw_session *session)
{
	struct gw_violation violation;

	if (!read_violation(&violation, record, size)) {
		model->bad_records++;
		return -EBADMSG;
	}
	if (model->finished)
		return 0;

	tell_lost(model, violation.header.lost, violation.header.time);
	if (violation.session) {
		if (session && session->id == violation.session)
			begin_from_session(model, session);
		else
			begin_from_violation(model, &violation);
	}
	emit_violation(model, &violation);
	return 0;
}

/* Why a session is over, GW_END_NONE when it is not, and when that was. */
static enum gw_end_reason end_of_session(const struct model *model,
					 const struct gw_session *session,
					 enum model_mode_state mode, uint64_t now, uint64_t *end)
{
	bool popped = session->last_pop && session->last_pop >= session->last_push;

	*end = now;
	if (session->end_reason != GW_END_NONE) {
		if (session->end)
			*end = session->end;
		return session->end_reason;
	}
	if (!popped)
		return GW_END_NONE;
	if (mode == MODEL_MODE_GONE)
		return GW_END_GONE;
	/* The snapshot may be younger than now. */
	if (now > session->last_pop && now - session->last_pop > model->options.idle_ns)
		return GW_END_IDLE;
	return GW_END_NONE;
}

static void end_trace(struct model *model, const struct gw_session *session,
		      enum gw_end_reason reason, uint64_t end)
{
	struct event event = {.type = EVENT_TRACE_END, .time = end};
	struct recent_key key = {.first = session->id};

	if (!recent_add(model->ended, key))
		return;
	recent_remove(model->open, key);
	process_of_session(&event.process, session);
	trace_of_session(&event.trace, session);
	event.trace.reason = reason;
	emit_of_process(model, &event, session->file_id);
}

bool model_session(struct model *model, const struct gw_session *session,
		   enum model_mode_state mode, uint64_t now)
{
	enum gw_end_reason reason;
	uint64_t end;

	if (model->finished)
		return false;
	/* Told already, but still in the map: it only remains to remove it. */
	if (recent_contains(model->ended, (struct recent_key){.first = session->id}))
		return true;

	begin_from_session(model, session);
	reason = end_of_session(model, session, mode, now, &end);
	if (reason == GW_END_NONE)
		return false;
	end_trace(model, session, reason, end);
	return true;
}

void model_session_detach(struct model *model, const struct gw_session *session, uint64_t now)
{
	/* A session that ended by itself, but was not collected yet, keeps its own reason. */
	if (model_session(model, session, MODEL_MODE_UNKNOWN, now) || model->finished)
		return;
	end_trace(model, session, GW_END_DETACHED, now);
}

void model_process(struct model *model, uint32_t pid, uint64_t start_time)
{
	struct recent_key key = {.first = pid, .second = start_time / START_TIME_TICK};

	if (!model->finished && recent_add(model->processes, key))
		model->totals.processes++;
}

void model_counters(struct model *model, const uint64_t counter[GW_COUNTER_MAX], uint64_t now)
{
	if (model->finished)
		return;
	memcpy(model->totals.counter, counter, sizeof(model->totals.counter));
	tell_lost(model, counter[GW_LOST], now);
}

void model_finish(struct model *model, uint64_t now)
{
	struct event event = {.type = EVENT_END, .time = now};

	if (model->finished)
		return;
	model->finished = true;
	model_totals(model, &event.totals);
	model->handler(model->context, &event);
}

void model_totals(const struct model *model, struct event_totals *totals)
{
	*totals = model->totals;
}

uint64_t model_bad_records(const struct model *model)
{
	return model->bad_records;
}

bool model_ledger_balances(const uint64_t counter[GW_COUNTER_MAX])
{
	uint64_t sum = counter[GW_REPORTED] + counter[GW_REDUNDANT] + counter[GW_OUTSIDE] +
		       counter[GW_FILTERED] + counter[GW_LOST];

	return counter[GW_HITS] == sum;
}
