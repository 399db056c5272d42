/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Scopes: a change of the grad mode inside a trace, together with the change that puts it back.
 *
 * Changes come one by one, with the Python stack of each. `with torch.no_grad():` is two of them,
 * `with torch.set_grad_enabled(x):` too (its third call changes nothing), a bare call may have a
 * counterpart or none, and all of them nest. What a change is, its frames in
 * torch/autograd/grad_mode.py tell (model/frames.h); scopes pairs them. A pair of bare calls cannot
 * be told from two nested ones until the trace goes on or ends: such a scope is told then.
 *
 * Drifts (see bpf/trace.bpf.h) have no stack of the change, only of the next operator: they are
 * paired by value.
 *
 * Pure. Bounded: SCOPES_MAX_DEPTH per trace, SCOPES_MAX_TRACES.
 */
#ifndef GRADWATCH_MODEL_SCOPES_H
#define GRADWATCH_MODEL_SCOPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gradwatch/abi.h"
#include "model/frames.h"

#define SCOPES_MAX_DEPTH  32   /* open scopes of one trace; the innermost pair makes room */
#define SCOPES_MAX_TRACES 4096 /* traces with an open scope; the oldest makes room */

struct scope {
	struct gw_event_record record; /* of the change */
	const void *data;              /* the same with its frames, for codes_stack() */
	size_t size;
	const void *operator_data; /* record of the first operator in it, NULL: none */
	size_t operator_size;
	uint64_t end;       /* ns, when it was put back or its trace ended */
	uint64_t operators; /* traced in it */
	enum restored restored;
	bool drift;
};

/* Receives a scope that is over. It is gone after the call. */
typedef void (*scope_handler)(void *context, const struct scope *scope);

struct scopes;

/* NULL when out of memory; free is NULL-safe and tells nothing. */
struct scopes *scopes_new(scope_handler handler, void *context);
void scopes_free(struct scopes *scopes);

/*
 * Takes a change, of a GW_RECORD_VIOLATION or GW_RECORD_DRIFT with a session; data[0..size) is the
 * record with its frames. -ENOMEM: the change is in no scope.
 */
int scopes_change(struct scopes *scopes, const struct gw_event_record *record, const void *data,
		  size_t size, const struct change_role *role);

/*
 * A drift: returns whether it is none, as the state is that of the operator before, or what an open
 * scope made of it. Then calls in between were undone by other ways than the setter (they were made
 * within inference_mode, say), and their scopes, in which no operator was traced, are over.
 */
bool scopes_undone(struct scopes *scopes, const struct gw_event_record *record);

/* Takes a GW_RECORD_OPERATOR: it belongs to the innermost scope that is open. -ENOMEM. */
int scopes_operator(struct scopes *scopes, const struct gw_event_record *record, const void *data,
		    size_t size);

/* The last change of a trace was not made after all: the process ended before it. */
void scopes_prevented(struct scopes *scopes, uint64_t trace);

/* What is known of a trace at its end. */
struct scopes_trace_end {
	uint64_t time; /* ns */
	uint64_t operators, violations;
	uint8_t state; /* GW_STATE_ bits */
};

/* The trace is over: what is open is told. */
void scopes_end(struct scopes *scopes, uint64_t trace, const struct scopes_trace_end *end);

#endif
