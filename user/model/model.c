// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The model keeps little state: which traces have begun and ended, which processes were seen, and
 * how many losses were reported. Everything else about a trace is in the struct gw_trace that BPF
 * keeps, so an event never mixes values of different times.
 */
#include "model/model.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "base/table.h"
#include "model/advice.h"
#include "model/begins.h"
#include "model/codes.h"
#include "model/findings.h"
#include "model/frames.h"
#include "model/inputs.h"
#include "model/recent.h"
#include "model/private.h"
#include "model/scopes.h"

/*
 * Traces that are begun but not ended: what the trace map can hold, twice, since records of a
 * trace may still be in the ring buffer when its place in the map is already another's.
 */
#define MAX_OPEN (2 * GW_MAX_TRACES)

/* Ended traces that are remembered, for the records that were still under way. */
#define MAX_ENDED       1024

#define TOTALS_EVERY_NS 10000000000ull /* of EVENT_TOTALS */

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
	model->mixed = recent_new(MAX_OPEN);
	model->processes = recent_new(MODEL_MAX_SEEN);
	model->leaving.capacity = MODEL_MAX_SEEN;
	model->codes = codes_new();
	model->begins = begins_new(MAX_OPEN, model->codes);
	model->scopes = scopes_new(model->codes, model_on_scope, model);
	model->findings = findings_new(options->each, handler, context);
	if (!model->open || !model->ended || !model->mixed || !model->processes || !model->begins ||
	    !model->codes || !model->scopes || !model->findings) {
		model_free(model);
		return NULL;
	}
	return model;
}

void model_free(struct model *model)
{
	if (!model)
		return;
	model_forget_all_ended(model);
	recent_free(model->open);
	recent_free(model->ended);
	recent_free(model->mixed);
	recent_free(model->processes);
	begins_free(model->begins);
	scopes_free(model->scopes);
	codes_free(model->codes); /* after those that keep some of them */
	findings_free(model->findings);
	inputs_close(&model->inputs);
	free(model);
}

void model_set(struct model *model, unsigned int kinds, bool began_on, uint64_t idle_ns)
{
	model->options.kinds = kinds;
	model->options.began_on = began_on;
	model->options.idle_ns = idle_ns;
	inputs_hand_out(model, &(struct model_input){
				       .type = MODEL_INPUT_SET,
				       .options = &model->options,
			       });
}

static void resolve_process(struct model *model, struct event_process *process)
{
	const struct model_resolver *resolver = &model->resolver;

	if (!resolver->process)
		return;
	resolver->process(resolver->context, process->pid, process->start_time, process);
	inputs_note_names(model, process);
}

void model_resolve_torch(struct model *model, uint32_t file_id, struct event_torch *torch)
{
	const struct model_resolver *resolver = &model->resolver;

	memset(torch, 0, sizeof(*torch));
	if (!resolver->torch)
		return;
	resolver->torch(resolver->context, file_id, torch);
	inputs_note_torch(model, file_id, torch);
}

void model_complete(struct model *model, struct event *event, uint32_t file_id)
{
	model_count_process(model, event->process.pid, event->process.start_time);
	resolve_process(model, &event->process);
	model_resolve_torch(model, file_id, &event->torch);
}

static void emit_of_process(struct model *model, struct event *event, uint32_t file_id)
{
	model_complete(model, event, file_id);
	model->handler(model->context, event);
}

/* Records of several CPUs arrive out of order, so the count may step back: only an increase is
 * reported. */
static void report_lost(struct model *model, uint64_t lost, uint64_t time)
{
	struct event event = {.type = EVENT_LOST, .time = time};

	if (lost <= model->totals.lost)
		return;
	event.lost.count = lost - model->totals.lost;
	event.lost.total = lost;
	model->totals.lost = lost;
	model->handler(model->context, &event);
}

void model_process_of_trace(struct event_process *process, const struct gw_trace *trace)
{
	process->pid = trace->pid;
	process->tid = trace->tid;
	process->ns_pid = trace->ns_pid;
	process->ns_tid = trace->ns_tid;
	process->uid = trace->uid;
	process->start_time = trace->start_time;
	memcpy(process->comm, trace->comm, GW_COMM_LEN);
}

void model_process_of_record(struct event_process *process, const struct gw_event_record *record)
{
	process->pid = record->pid;
	process->tid = record->tid;
	process->ns_pid = record->ns_pid;
	process->ns_tid = record->ns_tid;
	process->uid = record->uid;
	process->start_time = record->start_time;
	memcpy(process->comm, record->comm, GW_COMM_LEN);
}

static void trace_of(struct event_trace *out, const struct gw_trace *trace)
{
	out->id = trace->id;
	out->first_push_ns = trace->first_push;
	out->last_push_ns = trace->last_push;
	out->last_pop_ns = trace->last_pop;
	out->pushes = trace->pushes;
	out->pops = trace->pops;
	out->operators = trace->operators;
	out->changes = trace->changes;
	out->seen_from_start = trace->seen_from_start;
	out->depth = trace->depth;
}

enum trace_kind model_kind(const struct model *model, uint64_t id, uint64_t mode)
{
	const struct begin *begin;

	if (mode == GW_MODE_PRE_DISPATCH)
		return TRACE_KIND_PRE_DISPATCH;
	begin = begins_get(model->begins, id);
	return begin ? begin->kind : TRACE_KIND_UNKNOWN;
}

bool model_is_info(const struct model *model, enum trace_kind kind, uint8_t began)
{
	bool began_off = !(began & (GW_STATE_UNKNOWN | GW_STATE_GRAD));

	return !(model->options.kinds >> kind & 1) || (model->options.began_on && began_off);
}

static bool is_ended(const struct model *model, uint64_t id)
{
	return recent_contains(model->ended, (struct recent_key){.first = id});
}

/* Notes that a trace exists. Returns whether its begin is to be reported. */
static bool begin_trace(struct model *model, uint64_t id)
{
	struct recent_key key = {.first = id};

	if (is_ended(model, id) || !recent_add(model->open, key))
		return false;
	model->totals.traces++;
	return true;
}

static void note_begin(struct model *model, const struct gw_event_record *record,
		       const struct event_stack *stack, const void *data, size_t size,
		       struct model_decision *decision)
{
	enum trace_kind kind = frames_kind(stack);

	begins_note(model->begins, record->trace, kind, data, size);
	if (!decision)
		return;
	decision->subject = MODEL_SUBJECT_TRACE;
	decision->record = *record;
	decision->kind = kind;
	decision->info = model_is_info(model, kind, record->began);
}

/* False: it has begun before. */
static bool begin_from_trace(struct model *model, const struct gw_trace *trace,
			     const struct event_stack *stack)
{
	struct event event = {.type = EVENT_TRACE_BEGIN, .time = trace->first_push};

	if (!begin_trace(model, trace->id))
		return false;
	model_process_of_trace(&event.process, trace);
	trace_of(&event.trace, trace);
	event.trace.kind = model_kind(model, trace->id, trace->mode);
	if (stack)
		event.stack = *stack;
	emit_of_process(model, &event, trace->file_id);
	return true;
}

/* The trace is not in the map any more, or never was: this record is the first sight of it. */
static void begin_from_record(struct model *model, const struct gw_event_record *record,
			      const struct event_stack *stack)
{
	struct event event = {.type = EVENT_TRACE_BEGIN, .time = record->header.time};

	if (!begin_trace(model, record->trace))
		return;
	model_process_of_record(&event.process, record);
	event.trace.id = record->trace;
	event.trace.first_push_ns = record->header.time;
	event.trace.last_push_ns = record->header.time;
	event.trace.changes = record->header.type == GW_RECORD_CHANGE;
	event.trace.kind = model_kind(model, record->trace, record->mode);
	if (stack)
		event.stack = *stack;
	emit_of_process(model, &event, record->file_id);
}

static void count_changes(struct model *model, bool info, uint64_t count)
{
	if (info)
		model->totals.infos += count;
	else
		model->totals.violations += count;
}

/* A change is counted, and its process, whether it is handed out or not. */
static void emit_change(struct model *model, const struct gw_event_record *record,
			const struct event_stack *stack)
{
	enum trace_kind kind = model_kind(model, record->trace, record->mode);
	bool info = model_is_info(model, kind, record->began);
	struct event event;

	count_changes(model, info, 1);
	model_count_process(model, record->pid, record->start_time);
	if (model->options.no_changes)
		return;
	event = (struct event){.type = EVENT_CHANGE, .time = record->header.time, .stack = *stack};
	model_process_of_record(&event.process, record);
	event.change.trace = record->trace;
	event.change.kind = kind;
	event.change.from = record->from;
	event.change.to = record->to;
	event.change.certain = record->certain;
	event.change.began = record->began;
	event.change.info = info;
	emit_of_process(model, &event, record->file_id);
}

/* Copies a record to where it is aligned. Returns false when it is not of this ABI. */
static bool read_event(struct gw_event_record *record, const void *data, size_t size)
{
	if (size < sizeof(*record))
		return false;
	memcpy(record, data, sizeof(*record));
	return (record->header.type == GW_RECORD_CHANGE || record->header.type == GW_RECORD_TRACE ||
		record->header.type == GW_RECORD_OPERATOR ||
		record->header.type == GW_RECORD_DRIFT || record->header.type == GW_RECORD_ASK) &&
	       record->ask < GW_ASK_MAX && record->caller < GW_CALLER_MAX &&
	       record->header.version == GW_ABI_VERSION && record->frames <= GW_MAX_FRAMES &&
	       record->stack < GW_STACK_MAX &&
	       record->header.size == sizeof(*record) + record->frames * sizeof(struct gw_frame) &&
	       size >= record->header.size;
}

/* A change whose trace is not known, or over, is a scope without an end. */
static void take_change(struct model *model, const struct gw_event_record *record, const void *data,
			size_t size, const struct event_stack *stack,
			const struct scopes_origin *origin)
{
	struct change_role role;
	int code = -ENOENT;

	model_role(model, record, stack, &role);
	if (record->trace && !is_ended(model, record->trace))
		code = scopes_change(model->scopes, record, data, size, &role, origin);
	if (code) {
		struct scope scope = {
			.record = *record,
			.data = data,
			.size = size,
			.end = record->header.time,
			.restored = RESTORED_UNKNOWN,
			.uncounted = true,
			.drift = record->header.type == GW_RECORD_DRIFT,
			.role = role,
		};

		model_on_scope(model, &scope);
	}
}

static void begin_of_record(struct model *model, const struct gw_event_record *record,
			    const struct gw_trace *trace, const struct event_stack *stack)
{
	if (trace && trace->id == record->trace)
		begin_from_trace(model, trace, stack);
	else
		begin_from_record(model, record, stack);
}

/* A trace that is not in the map any more is taken for one that was seen from its start.
 */
static struct scopes_origin origin_of(const struct gw_trace *trace, uint64_t id)
{
	if (!trace || trace->id != id)
		return (struct scopes_origin){GW_STATE_UNKNOWN, true};
	/* A pre-dispatch one is seen from its first call of the setter on: nothing is open before.
	 */
	return (struct scopes_origin){
		trace->state_begin, trace->seen_from_start || trace->mode == GW_MODE_PRE_DISPATCH};
}

static void take_event(struct model *model, struct gw_event_record *record, const void *data,
		       size_t size, const struct gw_trace *trace, struct model_decision *decision)
{
	const struct scopes_origin origin = origin_of(trace, record->trace);
	bool is_trace = record->header.type == GW_RECORD_TRACE;
	struct change_role role;
	struct event_stack stack;

	model_stack(model, record->file_id, data, size, &model->frames, &stack);
	if (!is_trace && frames_has_backward(&stack))
		model_note_mixed(model, record->trace);
	if (is_trace && record->trace)
		note_begin(model, record, &stack, data, size, decision);
	if (record->trace)
		begin_of_record(model, record, trace, is_trace ? &stack : NULL);
	if (record->ask && !is_trace && decision)
		model_ask(model, record, trace, &stack, decision);
	switch (record->header.type) {
	case GW_RECORD_CHANGE:
		model->totals.stacks[stack.status]++;
		emit_change(model, record, &stack);
		take_change(model, record, data, size, &stack, &origin);
		break;
	case GW_RECORD_DRIFT:
		model_role(model, record, &stack, &role);
		if (scopes_undone(model->scopes, record, &role, &origin))
			break;
		model->totals.stacks[stack.status]++;
		take_change(model, record, data, size, &stack, &origin);
		break;
	case GW_RECORD_OPERATOR:
		scopes_operator(model->scopes, record, data, size);
		break;
	}
}

static int take_record(struct model *model, const void *data, size_t size,
		       const struct gw_trace *trace, struct model_decision *decision)
{
	struct gw_event_record record;

	if (decision)
		decision->subject = MODEL_SUBJECT_NONE;
	if (!codes_add(model->codes, data, size))
		return 0;
	if (!read_event(&record, data, size)) {
		model->bad_records++;
		return -EBADMSG;
	}
	if (model->finished)
		return 0;
	report_lost(model, record.header.lost, record.header.time);
	take_event(model, &record, data, size, trace, decision);
	return 0;
}

int model_record(struct model *model, const void *data, size_t size, const struct gw_trace *trace,
		 struct model_decision *decision)
{
	int code = take_record(model, data, size, trace, decision);

	inputs_hand_out(model, &(struct model_input){
				       .type = MODEL_INPUT_RECORD,
				       .data = data,
				       .size = size,
				       .trace = trace,
				       .decides = decision != NULL,
			       });
	return code;
}

/* Why a trace is over, GW_END_NONE when it is not, and when that was. */
static enum gw_end_reason end_of_trace(const struct model *model, const struct gw_trace *trace,
				       enum model_mode_state mode, uint64_t now, uint64_t *end)
{
	bool popped = trace->last_pop && trace->last_pop >= trace->last_push;

	*end = now;
	if (trace->end_reason != GW_END_NONE) {
		if (trace->end)
			*end = trace->end;
		return trace->end_reason;
	}
	if (!popped)
		return GW_END_NONE;
	if (mode == MODEL_MODE_GONE)
		return GW_END_GONE;
	/* The snapshot may be younger than now. */
	if (clock_between(trace->last_pop, now) > model->options.idle_ns)
		return GW_END_IDLE;
	return GW_END_NONE;
}

static void report_findings_at_end(struct model *model, const struct gw_trace *trace, uint64_t end)
{
	struct scopes_trace_end at = {end, trace->operators, trace->changes, trace->state_end};

	scopes_end(model->scopes, trace->id, &at);
	if (trace->state_end & GW_STATE_UNKNOWN || trace->state_begin & GW_STATE_UNKNOWN)
		return;
	if (trace->seen_from_start && (trace->state_begin ^ trace->state_end) & GW_STATE_GRAD)
		model_tell_unbalanced(model, trace, end);
}

static uint8_t began_of_trace(const struct gw_trace *trace)
{
	return trace->seen_from_start || trace->mode == GW_MODE_PRE_DISPATCH ? trace->began
									     : GW_STATE_UNKNOWN;
}

static void end_trace(struct model *model, const struct gw_trace *trace, enum gw_end_reason reason,
		      uint64_t end)
{
	struct event event = {.type = EVENT_TRACE_END, .time = end};
	struct recent_key key = {.first = trace->id};

	if (!recent_add(model->ended, key))
		return;
	recent_remove(model->open, key);
	report_findings_at_end(model, trace, end);
	recent_remove(model->mixed, key);
	event.trace.kind = model_kind(model, trace->id, trace->mode);
	count_changes(model, model_is_info(model, event.trace.kind, began_of_trace(trace)),
		      trace->throttled);
	model->throttled += trace->throttled;
	if (trace->throttled)
		findings_note_throttled(model->findings, trace->id, trace->throttled);
	begins_forget(model->begins, trace->id);
	model_process_of_trace(&event.process, trace);
	trace_of(&event.trace, trace);
	event.trace.reason = reason;
	emit_of_process(model, &event, trace->file_id);
}

bool model_trace_is_over(const struct model *model, const struct gw_trace *trace,
			 enum model_mode_state mode, uint64_t now)
{
	uint64_t end;

	return !model->finished &&
	       (is_ended(model, trace->id) || end_of_trace(model, trace, mode, now, &end));
}

/* Returns whether the trace is over. *changed: whether the model knows more than before. */
static bool take_trace(struct model *model, const struct gw_trace *trace,
		       enum model_mode_state mode, uint64_t now, bool *changed)
{
	enum gw_end_reason reason;
	uint64_t end;

	*changed = false;
	if (model->finished)
		return false;
	if (is_ended(model, trace->id))
		return true;
	*changed = begin_from_trace(model, trace, NULL);
	reason = end_of_trace(model, trace, mode, now, &end);
	if (reason == GW_END_NONE)
		return false;
	end_trace(model, trace, reason, end);
	*changed = true;
	return true;
}

bool model_trace(struct model *model, const struct gw_trace *trace, enum model_mode_state mode,
		 uint64_t now)
{
	bool changed, over = take_trace(model, trace, mode, now, &changed);

	if (changed)
		inputs_hand_out(model, &(struct model_input){
					       .type = MODEL_INPUT_TRACE,
					       .trace = trace,
					       .mode = mode,
					       .time = now,
				       });
	return over;
}

void model_trace_detach(struct model *model, const struct gw_trace *trace, uint64_t now)
{
	bool changed;

	if (model->finished)
		return;
	/* A trace that ended by itself, but was not collected yet, keeps its own reason. */
	if (!take_trace(model, trace, MODEL_MODE_UNKNOWN, now, &changed))
		end_trace(model, trace, GW_END_DETACHED, now);
	inputs_hand_out(model, &(struct model_input){
				       .type = MODEL_INPUT_DETACH, .trace = trace, .time = now});
}

/* What is known if gradwatch does not come to its end. */
static void report_totals(struct model *model, uint64_t now)
{
	struct event event = {.type = EVENT_TOTALS, .time = now};

	if (!model->options.for_log ||
	    (model->told_at && clock_between(model->told_at, now) < TOTALS_EVERY_NS))
		return;
	model_totals(model, &event.totals);
	if (!memcmp(&event.totals, &model->told, sizeof(event.totals)))
		return;
	model->told = event.totals;
	model->told_at = now;
	model->handler(model->context, &event);
}

void model_counters(struct model *model, const uint64_t counter[GW_COUNTER_MAX], uint64_t now)
{
	if (model->finished)
		return;
	model_forget_ended(model, now);
	memcpy(model->totals.counter, counter, sizeof(model->totals.counter));
	report_lost(model, counter[GW_LOST], now);
	report_totals(model, now);
	inputs_hand_out(model, &(struct model_input){
				       .type = MODEL_INPUT_COUNTERS,
				       .counter = counter,
				       .time = now,
			       });
}

void model_coverage(struct model *model, const struct event_coverage *coverage)
{
	model->totals.coverage = *coverage;
	inputs_hand_out(model,
			&(struct model_input){.type = MODEL_INPUT_COVERAGE, .coverage = coverage});
}

void model_finish(struct model *model, uint64_t now)
{
	struct event event = {.type = EVENT_END, .time = now};

	if (model->finished)
		return;
	findings_finish(model->findings, now);
	/* Throttled changes without a trace (the map was full): their trace's kind is unknown. */
	if (model->totals.counter[GW_THROTTLED] > model->throttled)
		count_changes(model, model_is_info(model, TRACE_KIND_UNKNOWN, GW_STATE_UNKNOWN),
			      model->totals.counter[GW_THROTTLED] - model->throttled);
	model->finished = true;
	model_totals(model, &event.totals);
	model->handler(model->context, &event);
	inputs_hand_out(model, &(struct model_input){.type = MODEL_INPUT_FINISH, .time = now});
}

void model_totals(const struct model *model, struct event_totals *totals)
{
	*totals = model->totals;
	totals->suppressions = model->options.suppressions;
	totals->coverage.bad_records = model->bad_records;
	totals->findings_forgotten = findings_forgotten(model->findings);
}

uint64_t model_bad_records(const struct model *model)
{
	return model->bad_records;
}

bool model_ledger_balances(const uint64_t counter[GW_COUNTER_MAX])
{
	uint64_t sum = counter[GW_REPORTED] + counter[GW_REDUNDANT] + counter[GW_OUTSIDE] +
		       counter[GW_FILTERED] + counter[GW_LOST] + counter[GW_THROTTLED];

	return counter[GW_HITS] == sum;
}
