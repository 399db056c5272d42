// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * torch.no_grad() around a whole trace makes the graph no other: it makes the change a redundant
 * one. It does not hold for a trace with a backward pass, which then raises, nor for one that turns
 * grad on again, which then is the change (`mixed`). What records the change is a pre-dispatch
 * trace. .detach() in place of the block does not hold everywhere: 2.14's make_fx traces it as
 * aten.alias, through which gradients flow.
 */
#include "model/advice.h"

#include <stddef.h>

static const struct {
	const char *key, *text;
} words[ADVICE_MAX] = {
	[ADVICE_NOTHING] = {"nothing", "autograd runs its own code so: nothing to do"},
	[ADVICE_COMPILE] = {"compile", "torch.compile deals with this by itself"},
	[ADVICE_RECORDED] = {"recorded", "a pre-dispatch trace records this by itself"},
	[ADVICE_REGION] =
		{"region",
		 "quantizers, delegates and other passes that do not look into regions skip it: "
		 "take the change out of the exported code, or make it around the whole export"},
	[ADVICE_PRE_DISPATCH_OR_NO_GRAD] =
		{"pre_dispatch_or_no_grad",
		 "the graph does not record this. To train it: trace with pre_dispatch=True; for "
		 "inference only: put torch.no_grad() around the whole trace"},
	[ADVICE_PRE_DISPATCH] = {"pre_dispatch",
				 "the graph does not record this: trace with pre_dispatch=True"},
	[ADVICE_NO_GRAD] = {"no_grad", "the graph does not record this: for inference, put "
				       "torch.no_grad() around the whole trace"},
	[ADVICE_ENABLE_GRAD] = {"enable_grad",
				"the graph does not record this: put torch.enable_grad() around "
				"the whole trace"},
	[ADVICE_EXPORT] = {"export_pre_dispatch",
			   "the graph does not record this: export with pre_dispatch=True, as "
			   "torch.export.export does by default"},
	[ADVICE_INFERENCE] =
		{"inference_mode",
		 "the graph does not record this. To train it: use torch.no_grad() in place of "
		 "torch.inference_mode(), and trace with pre_dispatch=True; for inference only: "
		 "enter torch.inference_mode() around the whole trace"},
	[ADVICE_INFERENCE_TRUE] =
		{"no_grad_recorded",
		 "the graph does not record this: use torch.no_grad() in place of "
		 "torch.inference_mode(), and trace with pre_dispatch=True"},
	[ADVICE_NO_INFERENCE] = {"no_inference_mode",
				 "the graph does not record this: trace outside of "
				 "torch.inference_mode()"},
	[ADVICE_INFERENCE_FALSE] =
		{"enable_grad_recorded",
		 "the graph does not record this: use torch.enable_grad() in place of "
		 "torch.inference_mode(False), and trace with pre_dispatch=True"},
	[ADVICE_BALANCE] = {"balance", "what runs next has another grad mode: put it back in the "
				       "code that is traced"},
};

static bool turns_on(const struct event_finding *finding)
{
	return finding->to & GW_STATE_GRAD;
}

/* Whether the mode that the trace began with is in force in the scope, as the scope is nested. */
static bool is_nested(const struct event_finding *finding)
{
	return !(finding->began & GW_STATE_UNKNOWN) &&
	       !((finding->began ^ finding->to) & GW_STATE_GRAD);
}

static bool began_in_inference(const struct event_finding *finding)
{
	return !(finding->began & GW_STATE_UNKNOWN) && finding->began & GW_STATE_INFERENCE;
}

static bool is_plain(enum trace_kind kind)
{
	return kind == TRACE_KIND_MAKE_FX || kind == TRACE_KIND_OTHER || kind == TRACE_KIND_UNKNOWN;
}

static enum advice for_drift(const struct event_finding *finding, const struct advice_case *at)
{
	bool from = finding->from & GW_STATE_INFERENCE, to = finding->to & GW_STATE_INFERENCE;

	if (!is_plain(finding->kind))
		return ADVICE_NONE;
	if (!from && to)
		return at->mixed ? ADVICE_INFERENCE_TRUE : ADVICE_INFERENCE;
	if (from && !to)
		return began_in_inference(finding) ? ADVICE_NO_INFERENCE : ADVICE_NONE;
	/* Only inference_mode(False) turns grad on past the setter. */
	return turns_on(finding) && finding->kind == TRACE_KIND_MAKE_FX ? ADVICE_INFERENCE_FALSE
									: ADVICE_NONE;
}

static enum advice for_make_fx(const struct event_finding *finding, const struct advice_case *at)
{
	if (turns_on(finding) && !is_nested(finding))
		return ADVICE_ENABLE_GRAD;
	if (is_nested(finding) || at->mixed || at->maker == MAKER_TORCH)
		return ADVICE_PRE_DISPATCH;
	return ADVICE_PRE_DISPATCH_OR_NO_GRAD;
}

static enum advice for_other(const struct event_finding *finding, const struct advice_case *at)
{
	if (turns_on(finding) && !is_nested(finding))
		return ADVICE_ENABLE_GRAD;
	if (is_nested(finding) || at->mixed || at->maker == MAKER_TORCH)
		return ADVICE_NONE;
	return ADVICE_NO_GRAD;
}

static enum advice for_scope(const struct event_finding *finding, const struct advice_case *at)
{
	/* C++ code made it, or a block has ended that began before the attach. */
	if (at->maker == MAKER_NATIVE || at->role.kind == CHANGE_LEAVE)
		return ADVICE_NONE;
	/* Of bare calls in a trace that was not seen from its start it is not known which are
	 * pairs.
	 */
	if (finding->began & GW_STATE_UNKNOWN && at->role.kind != CHANGE_ENTER)
		return ADVICE_NONE;
	switch (finding->kind) {
	case TRACE_KIND_MAKE_FX:
		return for_make_fx(finding, at);
	case TRACE_KIND_EXPORT:
		return ADVICE_EXPORT;
	case TRACE_KIND_OTHER:
	case TRACE_KIND_UNKNOWN:
		return for_other(finding, at);
	default:
		return ADVICE_NONE;
	}
}

static enum advice for_unbalanced(const struct event_finding *finding)
{
	/* What a strict export runs is not the user's code: it need not be unbalanced itself. */
	return finding->kind == TRACE_KIND_EXPORT ? ADVICE_EXPORT : ADVICE_BALANCE;
}

enum advice advice_for(const struct event_finding *finding, const struct advice_case *at)
{
	if (finding->owner == OWNER_AUTOGRAD)
		return ADVICE_NOTHING;
	if (at->region)
		return ADVICE_REGION;
	if (finding->kind == TRACE_KIND_COMPILE)
		return ADVICE_COMPILE;
	if (finding->kind == TRACE_KIND_PRE_DISPATCH)
		return finding->category == FINDING_SCOPE ? ADVICE_RECORDED : ADVICE_NONE;
	if (finding->category == FINDING_UNBALANCED)
		return for_unbalanced(finding);
	if (event_scope_is_empty(finding))
		return ADVICE_NONE;
	return finding->category == FINDING_DRIFT ? for_drift(finding, at) : for_scope(finding, at);
}

const char *advice_key(enum advice advice)
{
	return advice < ADVICE_MAX ? words[advice].key : NULL;
}

const char *advice_text(enum advice advice)
{
	return advice < ADVICE_MAX ? words[advice].text : NULL;
}
