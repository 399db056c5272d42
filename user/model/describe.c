// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * From scopes and ends of traces to findings: where it is, whose it is, how bad, and what to do.
 * What a finding says is a pure function of the stacks, of the trace's kind and of its begin.
 */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "model/advice.h"
#include "model/begins.h"
#include "model/codes.h"
#include "model/findings.h"
#include "model/private.h"
#include "model/recent.h"
#include "model/scopes.h"

/*
 * Whether PyTorch makes a region of what a change in a pre-dispatch trace lasts: not where the mode
 * is that in which the trace began, as in a nested scope, nor for a block that began before.
 */
static bool is_region(const struct event_finding *finding, const struct event_stack *stack,
		      const struct change_role *role)
{
	return finding->kind == TRACE_KIND_PRE_DISPATCH && finding->category == FINDING_SCOPE &&
	       !(finding->began & GW_STATE_UNKNOWN) &&
	       (finding->began ^ finding->to) & GW_STATE_GRAD && role->kind != CHANGE_LEAVE &&
	       frames_makes_region(stack);
}

static enum severity severity_of(const struct model *model, const struct event_finding *finding,
				 bool region)
{
	if (finding->suppression)
		return SEVERITY_SUPPRESSED;
	if (finding->owner == OWNER_AUTOGRAD)
		return SEVERITY_INFO;
	if (model_is_info(model, finding->kind, finding->began))
		return region ? SEVERITY_NOTE : SEVERITY_INFO;
	if (finding->before_attach)
		return SEVERITY_LOW;
	return event_scope_is_empty(finding) ? SEVERITY_LOW : SEVERITY_VIOLATION;
}

/* Tells of a finding, if it is new. */
static void report_finding(struct model *model, struct event *event, const struct change_role *role)
{
	struct event_finding *finding = &event->finding;
	struct advice_case at = {
		.role = *role,
		.maker = frames_maker(&event->stack, finding->decorates_torch, role->owner),
		.region = is_region(finding, &event->stack, role),
		.mixed = recent_contains(model->mixed, (struct recent_key){finding->trace, 0}),
	};

	findings_suppress(model->options.suppressions, event);
	finding->severity = severity_of(model, finding, at.region);
	finding->advice = advice_for(finding, &at);
	if (findings_take(model->findings, event))
		event_count_finding(&model->totals, finding);
	if (finding->severity == SEVERITY_SUPPRESSED)
		model->totals.suppressed++;
}

void model_note_mixed(struct model *model, uint64_t trace)
{
	if (trace)
		recent_add(model->mixed, (struct recent_key){trace, 0});
}

/* A trace that turns grad off and on again cannot be had without a change from outside. */
static void note_nested(struct model *model, const struct event_finding *finding)
{
	if (finding->category != FINDING_UNBALANCED && finding->owner == OWNER_USER &&
	    !(finding->began & GW_STATE_UNKNOWN) &&
	    !((finding->began ^ finding->to) & GW_STATE_GRAD))
		model_note_mixed(model, finding->trace);
}

/* The stack of a record of a process with this libtorch file. */
void model_stack(struct model *model, uint32_t file_id, const void *data, size_t size,
		 struct codes_frames *frames, struct event_stack *stack)
{
	struct event_torch torch;

	model_resolve_torch(model, file_id, &torch);
	codes_stack(model->codes, torch.file, data, size, frames, stack);
}

/* See struct frames_call: older ones have no such mode, and of an unknown one it is not known. */
static enum trace_kind kind_with_mode(const struct model *model, const struct event_torch *torch,
				      const struct gw_event_record *record)
{
	char *end;
	unsigned long major = strtoul(torch->version, &end, 10), minor = 0;

	if (*end == '.')
		minor = strtoul(end + 1, NULL, 10);
	if (major < 2 || (major == 2 && minor < 6))
		return TRACE_KIND_UNKNOWN;
	return model_kind(model, record->trace, record->mode);
}

void model_role(struct model *model, const struct gw_event_record *record,
		const struct event_stack *stack, struct change_role *role)
{
	struct frames_call call = {.caller = record->caller,
				   .stack_pointer = record->stack_pointer};
	struct event_torch torch;

	model_resolve_torch(model, record->file_id, &torch);
	call.kind = kind_with_mode(model, &torch, record);
	frames_role(stack, &call, role);
	if (role->owner == OWNER_CPP && scopes_in_apply(model->scopes, record, role))
		role->owner = OWNER_AUTOGRAD;
}

void model_on_scope(void *context, const struct scope *scope)
{
	struct event event = {.type = EVENT_FINDING, .time = scope->record.header.time};
	struct event_finding *finding = &event.finding;
	struct event_stack at_operator = {.user = -1};
	struct codes_frames frames, operator_frames;
	struct model *model = context;
	const struct change_role *role = &scope->role;

	model_process_of_record(&event.process, &scope->record);
	model_complete(model, &event, scope->record.file_id);
	codes_stack(model->codes, event.torch.file, scope->data, scope->size, &frames,
		    &event.stack);
	if (scope->operator_data)
		codes_stack(model->codes, event.torch.file, scope->operator_data,
			    scope->operator_size, &operator_frames, &at_operator);
	finding->trace = scope->record.trace;
	finding->kind = model_kind(model, finding->trace, scope->record.mode);
	finding->category = scope->drift ? FINDING_DRIFT : FINDING_SCOPE;
	finding->from = scope->record.from;
	finding->to = scope->record.to;
	finding->began = scope->record.began;
	finding->certain = scope->record.certain;
	finding->restored = scope->restored;
	finding->duration_ns = clock_between(scope->record.header.time, scope->end);
	finding->operators = scope->operators;
	finding->uncounted = scope->uncounted || finding->kind == TRACE_KIND_PRE_DISPATCH;
	finding->before_attach = scope->before_attach;
	memcpy(finding->manager, role->name, sizeof(finding->manager));
	finding->owner = role->owner;
	if (scope->drift)
		finding->owner = scope->engine ? OWNER_AUTOGRAD : OWNER_USER;
	if (!scope->drift) {
		finding->decorator = frames_is_decorator(&event.stack);
		finding->decorated = frames_decorated(&event.stack, &at_operator);
		finding->decorates_torch = frames_decorates_torch(&event.stack, &at_operator);
		finding->caller = frames_manager_caller(&event.stack);
	}
	note_nested(model, finding);
	report_finding(model, &event, role);
}

/* A trace that was left with another grad mode than it was entered with. */
void model_tell_unbalanced(struct model *model, const struct gw_trace *trace, uint64_t end)
{
	const struct begin *begin = begins_get(model->begins, trace->id);
	struct event event = {.type = EVENT_FINDING, .time = end, .stack = {.user = -1}};
	struct event_finding *finding = &event.finding;
	struct change_role role = {.kind = CHANGE_DIRECT};
	struct codes_frames frames;

	model_process_of_trace(&event.process, trace);
	model_complete(model, &event, trace->file_id);
	if (begin)
		codes_stack(model->codes, event.torch.file, begin->record, begin->size, &frames,
			    &event.stack);
	finding->trace = trace->id;
	finding->kind = model_kind(model, trace->id, trace->mode);
	finding->category = FINDING_UNBALANCED;
	finding->from = trace->state_begin;
	finding->to = trace->state_end;
	finding->began = trace->began;
	finding->certain = true;
	finding->restored = RESTORED_NO;
	finding->duration_ns = clock_between(trace->first_push, end);
	finding->operators = trace->operators;
	report_finding(model, &event, &role);
}
