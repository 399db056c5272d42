/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Scopes: a change of the grad mode inside a trace, together with the change that puts it back.
 *
 * Changes come one by one, with the Python stack of each. `with torch.no_grad():` is two of them,
 * `with torch.set_grad_enabled(x):` too (its third call changes nothing), a bare call may have a
 * counterpart or none, and all of them nest. The frames in torch/autograd/grad_mode.py show what a
 * change is (model/frames.h); scopes pairs them. A pair of bare calls looks like two nested ones
 * until the trace goes on or ends: such a scope is reported then.
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

#define SCOPES_MAX_DEPTH  32 /* open scopes of one trace; above it the innermost pair is dropped */
#define SCOPES_MAX_TRACES 4096 /* traces with an open scope; above it the oldest is dropped */

struct scope {
	struct gw_event_record record; /* of the change */
	struct change_role role;
	const void *data; /* the same with its frames, for codes_stack() */
	size_t size;
	const void *operator_data; /* record of the first operator in it, NULL: none */
	size_t operator_size;
	uint64_t end;       /* ns, when it was put back or its trace ended */
	uint64_t operators; /* traced in it */
	enum restored restored;
	bool drift;
	bool engine;    /* a drift that a backward pass has made, which runs in a mode of its own */
	bool uncounted; /* operators is not known: changes in between were not sent */
	bool before_attach; /* the change ends a block that was begun before gradwatch came */
};

/* What is known of a trace's begin. */
struct scopes_origin {
	uint8_t state;        /* GW_STATE_ bits at its begin; GW_STATE_UNKNOWN */
	bool seen_from_start; /* not first seen in its middle */
};

/* Receives a scope that is over. It is gone after the call. */
typedef void (*scope_handler)(void *context, const struct scope *scope);

struct scopes;
struct codes;

/*
 * codes: what the frames of kept records refer to; the caller's, NULL: none. NULL when out of
 * memory; free is NULL-safe and reports nothing.
 */
struct scopes *scopes_new(struct codes *codes, scope_handler handler, void *context);
void scopes_free(struct scopes *scopes);

/*
 * Takes a change, of a GW_RECORD_CHANGE or GW_RECORD_DRIFT with a trace; data[0..size) is the
 * record with its frames. After changes that were not sent, one that can only be the second part of
 * one of those is in no scope: it is dropped. -ENOMEM: the change is in no scope.
 */
int scopes_change(struct scopes *scopes, const struct gw_event_record *record, const void *data,
		  size_t size, const struct change_role *role, const struct scopes_origin *origin);

/*
 * Whether a change that is about to be made puts back an open scope: it leaves the scope's context
 * manager, or it is a call that undoes a call which no other one has undone.
 */
bool scopes_ends(const struct scopes *scopes, const struct gw_event_record *record,
		 const struct change_role *role);

/*
 * Whether Function.apply has called the C++ code that made a change: its own last call of the
 * setter came from the same Python frame, and from a native frame further out. After the forward it
 * makes views and packs tensors, which other functions do.
 */
bool scopes_in_apply(const struct scopes *scopes, const struct gw_event_record *record,
		     const struct change_role *role);

/*
 * Whether the record's trace is in a block that was seen to be entered. What is changed in it is
 * put back in it.
 */
bool scopes_in_block(const struct scopes *scopes, const struct gw_event_record *record);

/*
 * A GW_RECORD_DRIFT: returns whether it is none, as the grad mode is what the innermost open scope
 * made of it, or without one that of the trace's begin. Scopes of bare calls that the state
 * contradicts are over: they were undone by other ways than the setter (they were made within
 * inference_mode, or in a backward pass that has ended). For a drift, record->from becomes the
 * state that was to be expected. role: of the operator's stack.
 */
bool scopes_undone(struct scopes *scopes, struct gw_event_record *record,
		   const struct change_role *role, const struct scopes_origin *origin);

/* Takes a GW_RECORD_OPERATOR: it belongs to the innermost scope that is open. -ENOMEM. */
int scopes_operator(struct scopes *scopes, const struct gw_event_record *record, const void *data,
		    size_t size);

/* The last change of a trace was not made after all: the process ended before it. */
void scopes_prevented(struct scopes *scopes, uint64_t trace);

/* What is known of a trace at its end. */
struct scopes_trace_end {
	uint64_t time; /* ns */
	uint64_t operators, changes;
	uint8_t state; /* GW_STATE_ bits */
};

/* The trace is over: reports its open scopes. */
void scopes_end(struct scopes *scopes, uint64_t trace, const struct scopes_trace_end *end);

#endif
