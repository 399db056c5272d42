/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files of the model itself share (private to model/). */
#ifndef GRADWATCH_MODEL_PRIVATE_H
#define GRADWATCH_MODEL_PRIVATE_H

#include "base/table.h"
#include "model/codes.h"
#include "model/frames.h"
#include "model/inputs.h"
#include "model/model.h"
#include "model/recent.h"
#include "model/scopes.h"

/* Who is handed the inputs (inputs.c). */
struct inputs {
	model_input_handler handler; /* NULL: nobody */
	void *context;
	struct table answers;           /* of the resolver that were handed out */
	struct model_decision decision; /* that nobody takes: of model_feed() */
};

struct model {
	struct model_options options;
	struct model_resolver resolver;
	event_handler handler;
	void *context;

	struct recent *open;
	struct recent *ended;
	struct recent *mixed; /* traces that are so, see advice.h */
	struct recent *processes;
	struct table leaving; /* processes that have ended, for a while */
	struct begins *begins;
	struct codes *codes;
	struct codes_frames frames; /* of the last record */
	struct scopes *scopes;
	struct findings *findings;
	struct event_totals totals; /* totals.lost: losses reported so far */
	uint64_t throttled;         /* changes of ended traces that were counted, but not sent */
	uint64_t bad_records;
	struct event_totals told; /* for logs: by the last EVENT_TOTALS */
	uint64_t told_at;         /* ns, 0: none yet */
	bool finished;
	struct inputs inputs;
};

/* How many processes are remembered. One that returns after so many others is counted again. */
#define MODEL_MAX_SEEN 65536

/* Counts a process (seen.c). False: it is known. */
bool model_count_process(struct model *model, uint32_t pid, uint64_t start_time);

/* Forgets the processes that ended long enough ago. */
void model_forget_ended(struct model *model, uint64_t now);

/* Frees what is known of those that have ended. */
void model_forget_all_ended(struct model *model);

/* Hands out an input, if somebody wants it. */
void inputs_hand_out(struct model *model, const struct model_input *input);

/* Hand out an answer of the resolver that is not what it was; of a process its names. */
void inputs_note_names(struct model *model, const struct event_process *process);
void inputs_note_torch(struct model *model, uint32_t file_id, const struct event_torch *torch);

void inputs_close(struct inputs *inputs);

/* Fills in what BPF does not know. */
void model_complete(struct model *model, struct event *event, uint32_t file_id);

void model_process_of_record(struct event_process *process, const struct gw_event_record *record);

void model_process_of_trace(struct event_process *process, const struct gw_trace *trace);

/* What is known of a libtorch file; empty fields where nothing is. */
void model_resolve_torch(struct model *model, uint32_t file_id, struct event_torch *torch);

/* The stack of a record of a process with this libtorch file. */
void model_stack(struct model *model, uint32_t file_id, const void *data, size_t size,
		 struct codes_frames *frames, struct event_stack *stack);

/* A scope_handler: reports a scope that is over as a finding (describe.c). */
void model_on_scope(void *context, const struct scope *scope);

/* Reports a trace that was left with another grad mode than it was entered with. */
void model_tell_unbalanced(struct model *model, const struct gw_trace *trace, uint64_t end);

/* Notes that advice for a trace has to reckon with changes in both directions, see advice.h. */
void model_note_mixed(struct model *model, uint64_t trace);

/* The kind of a trace. A pre-dispatch one is known by its mode, even if its begin was lost. */
enum trace_kind model_kind(const struct model *model, uint64_t id, uint64_t mode);

/* What the change of a record is, by its stack. */
void model_role(struct model *model, const struct gw_event_record *record,
		const struct event_stack *stack, struct change_role *role);

/*
 * Whether changes in a trace are no violations. began: GW_STATE_ bits that it began with, or
 * GW_STATE_UNKNOWN.
 */
bool model_is_info(const struct model *model, enum trace_kind kind, uint8_t began);

/*
 * Fills in what BPF asks about a change (asks.c). To be called before the change is taken: the
 * verdict depends on the scopes that are open before it.
 */
void model_ask(struct model *model, const struct gw_event_record *record,
	       const struct gw_trace *trace, const struct event_stack *stack,
	       struct model_decision *decision);

#endif
