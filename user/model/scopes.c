// SPDX-License-Identifier: GPL-2.0-or-later
#include "model/scopes.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/table.h"
#include "model/codes.h"

/* A scope that is open. */
struct open_scope {
	struct scope scope;
	void *data, *operator_data; /* of codes_keep(); scope.data and scope.operator_data */
};

/* The open scopes of one trace, outermost first. */
struct trace_scopes {
	struct table_item item;
	uint64_t id;
	struct open_scope open[SCOPES_MAX_DEPTH];
	size_t depth;
	uint64_t changes; /* sequence number of the last change */
	bool gap;         /* changes before it were not sent, and what they left open is unknown */
	uint64_t apply_place, apply_guard; /* of the last change by Function.apply; guard 0: none */
};

struct scopes {
	struct table traces; /* by id */
	struct codes *codes;
	scope_handler handler;
	void *context;
};

static void clear(struct scopes *scopes, struct open_scope *open)
{
	codes_drop(scopes->codes, open->data, open->scope.size);
	codes_drop(scopes->codes, open->operator_data, open->scope.operator_size);
	*open = (struct open_scope){0};
}

static void free_trace(struct scopes *scopes, struct trace_scopes *trace)
{
	for (size_t i = 0; i < trace->depth; i++)
		clear(scopes, &trace->open[i]);
	free(trace);
}

struct scopes *scopes_new(struct codes *codes, scope_handler handler, void *context)
{
	struct scopes *scopes = calloc(1, sizeof(*scopes));

	if (!scopes)
		return NULL;
	scopes->traces.capacity = SCOPES_MAX_TRACES;
	scopes->codes = codes;
	scopes->handler = handler;
	scopes->context = context;
	return scopes;
}

void scopes_free(struct scopes *scopes)
{
	struct table_item *item;

	if (!scopes)
		return;
	while ((item = table_pop(&scopes->traces)))
		free_trace(scopes, (struct trace_scopes *)item);
	free(scopes);
}

/* Where a change ends that is not in a record: when, and how far the trace had come. */
struct moment {
	uint64_t time, operators;
	bool after_gap; /* changes before it were not sent */
};

/* Those inside the scope move down; nothing of them stays in the place that gets free. */
static void take_out(struct scopes *scopes, struct trace_scopes *trace, size_t index)
{
	struct open_scope *open = &trace->open[index];

	clear(scopes, open);
	memmove(open, open + 1, (trace->depth - index - 1) * sizeof(*open));
	trace->open[--trace->depth] = (struct open_scope){0};
}

/* Tells of an open scope that is over, and takes it out. Those inside it move down. */
static void hand_out(struct scopes *scopes, struct trace_scopes *trace, size_t index,
		     const struct moment *at, enum restored restored)
{
	struct open_scope *open = &trace->open[index];
	struct scope *scope = &open->scope;

	scope->end = at->time > scope->record.header.time ? at->time : scope->record.header.time;
	scope->uncounted = at->after_gap;
	scope->operators = at->operators > scope->record.operators
				   ? at->operators - scope->record.operators
				   : 0;
	scope->restored = restored;
	scope->data = open->data;
	scope->operator_data = open->operator_data;
	scopes->handler(scopes->context, scope);
	take_out(scopes, trace, index);
}

static bool is_inverse(const struct open_scope *a, const struct open_scope *b)
{
	return a->scope.record.from == b->scope.record.to &&
	       a->scope.record.to == b->scope.record.from;
}

/* Takes two scopes that lie next to each other for one, which the second puts back. */
static void join(struct scopes *scopes, struct trace_scopes *trace, size_t first)
{
	struct open_scope *second = &trace->open[first + 1];
	struct moment at = {second->scope.record.header.time, second->scope.record.operators,
			    false};

	take_out(scopes, trace, first + 1);
	hand_out(scopes, trace, first, &at, RESTORED_YES);
}

/* Whether a C++ guard made the change. */
static bool is_guard(const struct change_role *role)
{
	return role->owner != OWNER_USER;
}

/*
 * Whether nobody has to put the change back: a call made it, or the end of a block that did not
 * make a change when it was entered.
 */
static bool is_bare(const struct change_role *role)
{
	return !is_guard(role) && role->kind != CHANGE_ENTER;
}

/* Whether two scopes that lie next to each other can be one, which the second puts back. */
static bool is_pair(const struct open_scope *first, bool only_bare)
{
	const struct open_scope *second = first + 1;

	return !first->scope.drift && is_inverse(first, second) &&
	       (!only_bare || (!second->scope.drift && is_bare(&first->scope.role) &&
			       is_bare(&second->scope.role)));
}

static void join_pairs(struct scopes *scopes, struct trace_scopes *trace, size_t index,
		       bool only_bare)
{
	while (index + 1 < trace->depth) {
		if (is_pair(&trace->open[index], only_bare))
			join(scopes, trace, index);
		else
			index++;
	}
}

/* Whether a state is what it was before a scope, in what the scope changed. */
static enum restored is_restored(const struct scope *scope, uint8_t state)
{
	const struct gw_event_record *record = &scope->record;

	if (state & GW_STATE_UNKNOWN)
		return RESTORED_UNKNOWN;
	return (record->from ^ state) & (record->from ^ record->to) ? RESTORED_NO : RESTORED_YES;
}

/*
 * Ends the scopes from an index on: bare calls that undo each other are pairs, of the others it is
 * said whether the state is what it was before.
 */
static void unwind(struct scopes *scopes, struct trace_scopes *trace, size_t index,
		   const struct moment *at, uint8_t state)
{
	join_pairs(scopes, trace, index, true);
	join_pairs(scopes, trace, index, false);
	while (trace->depth > index)
		hand_out(scopes, trace, trace->depth - 1, at,
			 is_restored(&trace->open[trace->depth - 1].scope, state));
}

static void end(struct scopes *scopes, struct trace_scopes *trace, const struct moment *at,
		uint8_t state)
{
	unwind(scopes, trace, 0, at, state);
}

/* The trace's scopes, NULL when it has had none. */
static struct trace_scopes *find(const struct scopes *scopes, uint64_t id)
{
	return (struct trace_scopes *)table_find(&scopes->traces, &id, sizeof(id));
}

static void forget(struct scopes *scopes, struct trace_scopes *trace)
{
	table_remove(&scopes->traces, &trace->item);
	free_trace(scopes, trace);
}

/* The oldest trace gives up its place when there is no other. */
static void make_room(struct scopes *scopes, uint64_t time)
{
	struct trace_scopes *oldest = (struct trace_scopes *)table_surplus(&scopes->traces);
	const struct moment now = {time, 0, true};

	if (!oldest)
		return;
	end(scopes, oldest, &now, GW_STATE_UNKNOWN);
	forget(scopes, oldest);
}

/* The same, made if need be; NULL when out of memory. */
static struct trace_scopes *get(struct scopes *scopes, const struct gw_event_record *record)
{
	struct trace_scopes *trace = find(scopes, record->trace);

	if (trace)
		return trace;
	make_room(scopes, record->header.time);
	trace = calloc(1, sizeof(*trace));
	if (!trace)
		return NULL;
	trace->id = record->trace;
	if (!table_add(&scopes->traces, &trace->item, &trace->id, sizeof(trace->id)))
		return trace;
	free(trace);
	return NULL;
}

static int open_scope(struct scopes *scopes, struct trace_scopes *trace,
		      const struct gw_event_record *record, const void *data, size_t size,
		      const struct change_role *role)
{
	struct moment at = {record->header.time, record->operators, false};
	struct open_scope *open;

	if (trace->depth == SCOPES_MAX_DEPTH)
		unwind(scopes, trace, trace->depth - 2, &at, GW_STATE_UNKNOWN);
	open = &trace->open[trace->depth];
	open->data = codes_keep(scopes->codes, data, size);
	if (!open->data)
		return -ENOMEM;
	open->scope.record = *record;
	open->scope.size = size;
	open->scope.drift = record->header.type == GW_RECORD_DRIFT;
	open->scope.engine = open->scope.drift &&
			     role->backward > (trace->depth ? open[-1].scope.role.backward : 0);
	open->scope.role = *role;
	trace->depth++;
	return 0;
}

static bool is_same_manager(const struct change_role *a, const struct change_role *b)
{
	return !a->name[0] || !b->name[0] || !strcmp(a->name, b->name);
}

/* A guard's constructor and destructor run in one native frame. */
static bool is_same_guard(const struct change_role *a, const struct change_role *b)
{
	if (a->guard && b->guard)
		return a->guard == b->guard;
	return a->owner == b->owner && a->place == b->place;
}

/* Whether a change may be the one that puts back an open scope, as the end of its block or guard.
 */
static bool closes(const struct open_scope *open, const struct gw_event_record *record,
		   const struct change_role *role, bool same_place)
{
	if (open->scope.drift || open->scope.record.from != record->to)
		return false;
	if (is_guard(role))
		return same_place && is_same_guard(&open->scope.role, role);
	if (same_place && open->scope.role.place != role->place)
		return false;
	if (role->kind != CHANGE_LEAVE)
		return false;
	return (open->scope.role.kind == CHANGE_ENTER || open->scope.role.kind == CHANGE_CALL) &&
	       is_same_manager(&open->scope.role, role);
}

/* The open scope whose block or guard ends with a change, depth: none. */
static size_t find_closed(const struct trace_scopes *trace, const struct gw_event_record *record,
			  const struct change_role *role, bool same_place)
{
	for (size_t i = trace->depth; i > 0; i--)
		if (closes(&trace->open[i - 1], record, role, same_place))
			return i - 1;
	return trace->depth;
}

/* Where the scopes of bare calls begin that lie on top of the others. */
static size_t first_bare(const struct trace_scopes *trace)
{
	size_t index = trace->depth;

	while (index && !trace->open[index - 1].scope.drift &&
	       is_bare(&trace->open[index - 1].scope.role))
		index--;
	return index;
}

/*
 * Whether it is open which bare calls are pairs: one of set_grad_enabled() may be the first part of
 * a block, and the calls that follow are in it.
 */
static bool is_ambiguous(const struct trace_scopes *trace, size_t first)
{
	for (size_t i = first; i < trace->depth; i++)
		if (trace->open[i].scope.role.kind == CHANGE_CALL)
			return true;
	return false;
}

/*
 * Whether a change puts back the innermost scope, that of a bare call: by another call of
 * torch._C's function, or as the end of a block that the call was made in.
 */
static bool is_bare_end(struct scopes *scopes, struct trace_scopes *trace,
			const struct gw_event_record *record, const struct change_role *role)
{
	size_t first = first_bare(trace);
	const struct open_scope *last;

	if (is_guard(role) || (role->kind != CHANGE_DIRECT && role->kind != CHANGE_LEAVE))
		return false;
	if (role->kind == CHANGE_LEAVE)
		join_pairs(scopes, trace, first, true);
	else if (is_ambiguous(trace, first))
		return false;
	if (trace->depth <= first)
		return false;
	last = &trace->open[trace->depth - 1];
	return last->scope.record.from == record->to;
}

static bool is_drift_end(const struct trace_scopes *trace, const struct gw_event_record *record)
{
	const struct open_scope *last = trace->depth ? &trace->open[trace->depth - 1] : NULL;

	return last && record->header.type == GW_RECORD_DRIFT && last->scope.drift &&
	       last->scope.record.from == record->to;
}

/* A drift whose effect is gone, as a later look at the state shows, was put back unseen. */
static void end_drifts(struct scopes *scopes, struct trace_scopes *trace, uint8_t state,
		       const struct moment *at)
{
	while (trace->depth) {
		const struct scope *last = &trace->open[trace->depth - 1].scope;

		if (!last->drift || is_restored(last, state) != RESTORED_YES)
			return;
		hand_out(scopes, trace, trace->depth - 1, at, RESTORED_YES);
	}
}

/* The state that a change was made in. */
static uint8_t state_before(const struct gw_event_record *record)
{
	return (record->from & GW_STATE_GRAD) | (record->inference ? GW_STATE_INFERENCE : 0);
}

/* What is open when changes were not sent: what became of it is not known. */
static void end_at_gap(struct scopes *scopes, struct trace_scopes *trace, struct moment at)
{
	at.after_gap = true;
	end(scopes, trace, &at, GW_STATE_UNKNOWN);
	trace->gap = true;
}

/*
 * Whether a change with no scope to put back is the second part of a change that was not sent: the
 * end of a block, or a call that brings back the grad mode of the trace's begin.
 */
static bool is_second_part(struct trace_scopes *trace, const struct gw_event_record *record,
			   const struct change_role *role, const struct scopes_origin *origin)
{
	if (!trace->gap || trace->depth || record->header.type == GW_RECORD_DRIFT)
		return false;
	if (!(origin->state & GW_STATE_UNKNOWN) && (origin->state & GW_STATE_GRAD) == record->to) {
		trace->gap = false; /* the trace is where it began: nothing is open */
		return true;
	}
	return role->kind == CHANGE_LEAVE;
}

/* The end of a block whose begin gradwatch did not see, as it came later. */
static void report_before_attach(struct scopes *scopes, const struct gw_event_record *record,
				 const void *data, size_t size, const struct change_role *role)
{
	const struct scope scope = {
		.record = *record,
		.role = *role,
		.data = data,
		.size = size,
		.end = record->header.time,
		.restored = RESTORED_UNKNOWN,
		.uncounted = true,
		.before_attach = true,
	};

	scopes->handler(scopes->context, &scope);
}

/* Closes the scope of the block or guard that ends with a change. Returns false: there is none. */
static bool close_block(struct scopes *scopes, struct trace_scopes *trace,
			const struct gw_event_record *record, const struct change_role *role,
			const struct moment *at, bool same_place)
{
	size_t index = find_closed(trace, record, role, same_place);

	if (index == trace->depth)
		return false;
	unwind(scopes, trace, index + 1, at, state_before(record));
	hand_out(scopes, trace, index, at, RESTORED_YES);
	return true;
}

/* The same for the innermost scope, if a bare call or a drift has opened it. */
static bool close_last(struct scopes *scopes, struct trace_scopes *trace, const struct moment *at,
		       bool ends)
{
	if (ends)
		hand_out(scopes, trace, trace->depth - 1, at, RESTORED_YES);
	return ends;
}

/*
 * Closes the scope that a change puts back; returns false when there is none. A block ends at the
 * place where it began, unless somebody else ends it, like an ExitStack.
 */
static bool close_scope(struct scopes *scopes, struct trace_scopes *trace,
			const struct gw_event_record *record, const struct change_role *role,
			const struct moment *at)
{
	if (record->header.type == GW_RECORD_DRIFT)
		return close_last(scopes, trace, at, is_drift_end(trace, record));
	if (close_block(scopes, trace, record, role, at, true))
		return true;
	if (role->direct && close_last(scopes, trace, at, is_bare_end(scopes, trace, record, role)))
		return true;
	return close_block(scopes, trace, record, role, at, false) ||
	       close_last(scopes, trace, at, is_bare_end(scopes, trace, record, role));
}

/* Pairs the bare calls of a backward pass that has ended; returns whether there were any. */
static bool join_ended(struct scopes *scopes, struct trace_scopes *trace, unsigned int backward)
{
	size_t index = trace->depth, before = trace->depth;

	while (index && !trace->open[index - 1].scope.drift &&
	       trace->open[index - 1].scope.role.backward > backward)
		index--;
	join_pairs(scopes, trace, index, true);
	return trace->depth < before;
}

/*
 * Ends scopes that the grad mode contradicts, and that nobody has to put back by a call: those of
 * bare calls, and those made in a backward pass that has ended, which restores the state by itself.
 * While a backward pass is under way that began in the scope, it has a mode of its own. backward:
 * how many are, where the state was seen.
 */
static void end_undone(struct scopes *scopes, struct trace_scopes *trace, uint8_t state,
		       unsigned int backward, const struct moment *at)
{
	while (trace->depth) {
		const struct open_scope *last = &trace->open[trace->depth - 1];

		if (last->scope.drift || !((last->scope.record.to ^ state) & GW_STATE_GRAD) ||
		    backward > last->scope.role.backward ||
		    (!is_bare(&last->scope.role) && backward == last->scope.role.backward))
			return;
		if (!join_ended(scopes, trace, backward))
			hand_out(scopes, trace, trace->depth - 1, at, RESTORED_YES);
	}
}

static void note_apply(struct trace_scopes *trace, const struct change_role *role)
{
	if (role->caller != GW_CALLER_APPLY)
		return;
	trace->apply_place = role->place;
	trace->apply_guard = role->guard;
}

bool scopes_in_apply(const struct scopes *scopes, const struct gw_event_record *record,
		     const struct change_role *role)
{
	const struct trace_scopes *trace = find(scopes, record->trace);

	return trace && role->guard && role->guard < trace->apply_guard &&
	       role->place == trace->apply_place;
}

/* What is over without a change, as the state shows: each that ends may uncover another. */
static void end_unseen(struct scopes *scopes, struct trace_scopes *trace, uint8_t state,
		       unsigned int backward, const struct moment *at)
{
	size_t depth;

	do {
		depth = trace->depth;
		end_drifts(scopes, trace, state, at);
		end_undone(scopes, trace, state, backward, at);
	} while (trace->depth < depth);
}

int scopes_change(struct scopes *scopes, const struct gw_event_record *record, const void *data,
		  size_t size, const struct change_role *role, const struct scopes_origin *origin)
{
	struct trace_scopes *trace = get(scopes, record);
	struct moment at = {record->header.time, record->operators, false};
	bool drift = record->header.type == GW_RECORD_DRIFT;

	if (!trace)
		return -ENOMEM;
	if (!drift)
		end_drifts(scopes, trace, state_before(record), &at);
	/* A drift has the number of the change before it. A jump: changes that were not sent. */
	if (record->changes > trace->changes + !drift)
		end_at_gap(scopes, trace, at);
	trace->changes = record->changes;
	note_apply(trace, role);
	if (!drift)
		end_unseen(scopes, trace, state_before(record), role->backward, &at);
	if (close_scope(scopes, trace, record, role, &at) ||
	    is_second_part(trace, record, role, origin))
		return 0;
	if (role->kind == CHANGE_LEAVE && !trace->depth && !origin->seen_from_start) {
		report_before_attach(scopes, record, data, size, role);
		return 0;
	}
	return open_scope(scopes, trace, record, data, size, role);
}

/* Whether a call undoes one of the open calls that no call since has undone. */
static bool undoes_call(const struct trace_scopes *trace, const struct gw_event_record *record)
{
	const struct open_scope *call[SCOPES_MAX_DEPTH];
	size_t count = 0;

	for (size_t i = 0; i < trace->depth; i++) {
		const struct open_scope *open = &trace->open[i];

		if (open->scope.drift || open->scope.role.kind == CHANGE_ENTER)
			count = 0;
		else if (count && is_inverse(call[count - 1], open))
			count--;
		else
			call[count++] = open;
	}
	return count && call[count - 1]->scope.record.from == record->to;
}

bool scopes_ends(const struct scopes *scopes, const struct gw_event_record *record,
		 const struct change_role *role)
{
	const struct trace_scopes *trace = find(scopes, record->trace);

	if (!trace)
		return false;
	if (find_closed(trace, record, role, true) < trace->depth ||
	    find_closed(trace, record, role, false) < trace->depth)
		return true;
	return (role->kind == CHANGE_DIRECT || role->kind == CHANGE_CALL) &&
	       undoes_call(trace, record);
}

bool scopes_in_block(const struct scopes *scopes, const struct gw_event_record *record)
{
	const struct trace_scopes *trace = find(scopes, record->trace);

	for (size_t i = 0; trace && i < trace->depth; i++)
		if (trace->open[i].scope.role.kind == CHANGE_ENTER && !trace->open[i].scope.drift)
			return true;
	return false;
}

/* The grad mode that the open scopes leave an operator to see; the begin's where there is none. */
static uint8_t expected_grad(const struct trace_scopes *trace, const struct gw_event_record *record,
			     const struct scopes_origin *origin)
{
	if (trace && trace->depth)
		return trace->open[trace->depth - 1].scope.record.to & GW_STATE_GRAD;
	if (origin->state & GW_STATE_UNKNOWN || (trace && trace->gap))
		return record->from & GW_STATE_GRAD;
	return origin->state & GW_STATE_GRAD;
}

bool scopes_undone(struct scopes *scopes, struct gw_event_record *record,
		   const struct change_role *role, const struct scopes_origin *origin)
{
	struct trace_scopes *trace = find(scopes, record->trace);
	struct moment at = {record->header.time, record->operators, false};

	if ((record->from ^ record->to) & GW_STATE_INFERENCE)
		return false;
	if (trace)
		end_undone(scopes, trace, record->to, role->backward, &at);
	record->from = (record->from & GW_STATE_INFERENCE) | expected_grad(trace, record, origin);
	return record->from == record->to;
}

int scopes_operator(struct scopes *scopes, const struct gw_event_record *record, const void *data,
		    size_t size)
{
	struct trace_scopes *trace = find(scopes, record->trace);
	struct open_scope *open;

	if (!trace || !trace->depth)
		return 0;
	open = &trace->open[trace->depth - 1];
	if (open->operator_data || open->scope.record.changes != record->changes)
		return 0;
	open->operator_data = codes_keep(scopes->codes, data, size);
	open->scope.operator_size = size;
	return open->operator_data ? 0 : -ENOMEM;
}

void scopes_prevented(struct scopes *scopes, uint64_t id)
{
	struct trace_scopes *trace = find(scopes, id);

	if (trace && trace->depth)
		clear(scopes, &trace->open[--trace->depth]);
}

/* The end of a pre-dispatch trace is not seen: its state is what the last change made of it. */
static uint8_t state_at_end(const struct trace_scopes *trace,
			    const struct scopes_trace_end *trace_end)
{
	if (trace_end->changes > trace->changes)
		return GW_STATE_UNKNOWN;
	if (trace_end->state & GW_STATE_UNKNOWN && trace->depth)
		return trace->open[trace->depth - 1].scope.record.to;
	return trace_end->state;
}

void scopes_end(struct scopes *scopes, uint64_t id, const struct scopes_trace_end *trace_end)
{
	struct trace_scopes *trace = find(scopes, id);
	struct moment at = {trace_end->time, trace_end->operators, false};

	if (!trace)
		return;
	if (!(trace_end->state & GW_STATE_UNKNOWN))
		end_unseen(scopes, trace, trace_end->state, 0, &at);
	end(scopes, trace, &at, state_at_end(trace, trace_end));
	forget(scopes, trace);
}
