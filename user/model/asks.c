// SPDX-License-Identifier: GPL-2.0-or-later
/* The model's part in acting on violations: it knows what a question is about. */
#include "model/frames.h"
#include "model/private.h"
#include "model/scopes.h"

/*
 * Whether a finding at this place is accepted. At the change a decorated function is not on the
 * stack yet, so it is its caller's place that counts.
 */
static bool is_accepted(const struct model *model, enum trace_kind kind,
			const struct event_stack *stack)
{
	const struct event_frame *place = event_user_frame(stack);

	return model->options.suppressions &&
	       suppressions_match(model->options.suppressions, kind, place ? place->file : "",
				  place ? place->function : "") >= 0;
}

/*
 * from_start: the trace was seen from its start. One that was not may be in a scope that nobody has
 * seen begin, and a backward pass is in one of autograd's: only a context manager that is entered
 * is known to be no end of these. Of bare calls it is not known which are pairs: where the first
 * one that was seen is the second of its pair, so is each other one that seems to be a first.
 */
static enum model_verdict verdict_of(struct model *model, const struct gw_event_record *record,
				     enum trace_kind kind, const struct event_stack *stack,
				     bool from_start)
{
	struct change_role role;

	model_role(model, record, stack, &role);
	if (model_is_info(model, kind, record->began))
		return MODEL_VERDICT_INFO;
	if (record->header.type != GW_RECORD_ASK && role.owner == OWNER_AUTOGRAD)
		return MODEL_VERDICT_INFO;
	if (role.kind == CHANGE_LEAVE || frames_is_exit(stack) ||
	    scopes_ends(model->scopes, record, &role))
		return MODEL_VERDICT_WAY_BACK;
	if (is_accepted(model, kind, stack))
		return MODEL_VERDICT_ACCEPTED;
	if (role.kind != CHANGE_ENTER && (frames_has_backward(stack) ||
					  (!from_start && !scopes_in_block(model->scopes, record))))
		return MODEL_VERDICT_UNSURE;
	return MODEL_VERDICT_VIOLATION;
}

void model_ask(struct model *model, const struct gw_event_record *record,
	       const struct gw_trace *trace, const struct event_stack *stack,
	       struct model_decision *decision)
{
	struct event *event = &decision->event;
	struct event_action *action = &event->action;

	decision->subject = MODEL_SUBJECT_CHANGE;
	decision->record = *record;
	decision->kind = model_kind(model, record->trace, record->mode);
	decision->verdict = verdict_of(model, record, decision->kind, stack,
				       trace && trace->seen_from_start);
	*event = (struct event){.type = EVENT_ACTION, .time = record->header.time, .stack = *stack};
	model_process_of_record(&event->process, record);
	model_complete(model, event, record->file_id);
	action->trace = record->trace;
	action->kind = decision->kind;
	action->from = record->from;
	action->to = record->to;
	action->by_bpf = record->ask == GW_ASK_RAISED || record->ask == GW_ASK_SIGNALLED;
}

static void take_action(struct model *model, const struct event *event)
{
	model->totals.actions[event->action.outcome]++;
	if (event->action.outcome == ACTION_PERFORMED && !event->action.after_change &&
	    (event->action.action == GW_ACTION_SIGNAL || event->action.action == GW_ACTION_KILL))
		scopes_prevented(model->scopes, event->action.trace);
	model->handler(model->context, event);
}

void model_action(struct model *model, const struct event *event)
{
	if (model->finished)
		return;
	take_action(model, event);
	inputs_hand_out(model, &(struct model_input){.type = MODEL_INPUT_ACTION, .action = event});
}
