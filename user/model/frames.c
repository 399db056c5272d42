// SPDX-License-Identifier: GPL-2.0-or-later
#include "model/frames.h"

#include <string.h>

#include "base/str.h"

#define GRAD_MODE "torch/autograd/grad_mode.py"

static bool ends_with(const char *text, const char *end)
{
	size_t length = strlen(text), end_length = strlen(end);

	return length >= end_length && !strcmp(text + length - end_length, end);
}

/* Whether a frame's function has this name, qualified or not. */
static bool is_method(const struct event_frame *frame, const char *name)
{
	const char *dot = strrchr(frame->function, '.');

	return !strcmp(dot ? dot + 1 : frame->function, name);
}

/* Whether a frame's file is this one of torch's. */
static bool is_file(const struct event_stack *stack, size_t index, const char *package)
{
	const char *path = stack->origin[index].package;

	return path && !strcmp(path, package);
}

static bool is_user(const struct event_stack *stack, size_t index)
{
	return stack->origin[index].whose == ORIGIN_USER;
}

/* The first user frame at or outside of an index; -1: none. */
static int user_from(const struct event_stack *stack, size_t index)
{
	for (size_t i = index; i < stack->count; i++)
		if (is_user(stack, i))
			return (int)i;
	return -1;
}

/*
 * Where torch/autograd/grad_mode.py begins: at the top, or outside of function modes, torch's or
 * the user's, that its call of the setter went through. The stack's count: nowhere.
 */
static size_t grad_mode_begin(const struct event_stack *stack)
{
	for (size_t i = 0; i < stack->count; i++) {
		if (is_file(stack, i, GRAD_MODE))
			return i;
		if (!is_method(&stack->frame[i], "__torch_function__"))
			break;
	}
	return stack->count;
}

int frames_find_user(const struct event_stack *stack)
{
	size_t begin = grad_mode_begin(stack);

	return user_from(stack, begin < stack->count ? begin : 0);
}

/*
 * The frame of torch/autograd/grad_mode.py that the user's code called; NULL: none. A decorator
 * makes a new object at each call, by clone(): that is no more than its __init__.
 */
static const struct event_frame *grad_mode_frame(const struct event_stack *stack)
{
	const struct event_frame *found = NULL;

	for (size_t i = grad_mode_begin(stack); i < stack->count; i++) {
		const struct event_frame *frame = &stack->frame[i];

		if (!is_file(stack, i, GRAD_MODE))
			break;
		found = is_method(frame, "clone") && found ? found : frame;
	}
	return found;
}

/* The wrapper of torch/utils/_contextlib.py (before 2.0: torch/autograd/grad_mode.py). */
static bool is_decorator(const struct event_stack *stack, size_t index)
{
	const struct event_frame *frame = &stack->frame[index];

	return (is_method(frame, "decorate_context") || is_method(frame, "generator_context")) &&
	       stack->origin[index].package;
}

/* Whether a block's end is where its begin was: no function closes it for the one that it is in. */
static bool is_own_end(const struct event_stack *stack, const struct event_frame *frame)
{
	size_t outside = (size_t)(frame - stack->frame) + 1;

	return outside < stack->count && !is_method(frame + 1, "__exit__") &&
	       (is_user(stack, outside) || is_decorator(stack, outside));
}

bool frames_is_autograd(const struct event_stack *stack)
{
	size_t end = stack->user < 0 ? stack->count : (size_t)stack->user;

	if (stack->count && is_method(stack->frame, "apply") &&
	    is_file(stack, 0, "torch/autograd/function.py"))
		return true;
	for (size_t i = 0; i < end; i++)
		if (is_file(stack, i, "torch/autograd/__init__.py") ||
		    (is_method(&stack->frame[i], "_engine_run_backward") &&
		     is_file(stack, i, "torch/autograd/graph.py")))
			return true;
	return false;
}

/* The decorator's frame that made the change: between it and the user's code; -1: none. */
static int decorator_of(const struct event_stack *change)
{
	int end = change->user < 0 ? (int)change->count : change->user;

	for (int i = 0; i < end; i++)
		if (is_decorator(change, (size_t)i))
			return i;
	return -1;
}

/*
 * The calls of the engine: torch/autograd/graph.py has one function for them since PyTorch 2.2,
 * before that they were in torch/autograd/__init__.py.
 */
static unsigned int backward_depth(const struct event_stack *stack)
{
	unsigned int calls = 0, older = 0;

	for (size_t i = 0; i < stack->count; i++) {
		const struct event_frame *frame = &stack->frame[i];

		calls += is_method(frame, "_engine_run_backward") && stack->origin[i].package;
		older += is_file(stack, i, "torch/autograd/__init__.py") &&
			 (is_method(frame, "backward") || is_method(frame, "grad"));
	}
	return calls ? calls : older;
}

/* FNV-1a, 64 bits. */
static uint64_t hash_text(uint64_t hash, const char *text)
{
	do
		hash = (hash ^ (uint8_t)*text) * 0x100000001b3ull;
	while (*text++);
	return hash;
}

static uint64_t hash_frame(uint64_t hash, const struct event_frame *frame)
{
	hash = hash_text(hash_text(hash, frame->file), frame->function);
	return (hash ^ (uint64_t)frame->line) * 0x100000001b3ull;
}

/* The user's line; for a guard also the frame that called into C++, as one line may have several.
 */
static uint64_t place_of(const struct event_stack *stack, bool guard)
{
	const struct event_frame *user = event_user_frame(stack);
	uint64_t hash = 0xcbf29ce484222325ull;

	if (user)
		hash = hash_frame(hash, user);
	if (guard && stack->frame && stack->count)
		hash = hash_frame(hash, stack->frame);
	return hash;
}

/* What makes the change for the code outside of it: grad_mode.py, function modes, decorators. */
static bool is_go_between(const struct event_stack *change, size_t index)
{
	return is_file(change, index, GRAD_MODE) ||
	       is_method(&change->frame[index], "__torch_function__");
}

/*
 * Whether C++ code called the setter, where only the frames show it: the innermost one is not that
 * of a function mode, which a call from Python code has. The interpreter of a graph runs without
 * one.
 */
static bool looks_native(const struct event_stack *stack, enum trace_kind kind)
{
	if (!stack->count || (kind != TRACE_KIND_MAKE_FX && kind != TRACE_KIND_EXPORT &&
			      kind != TRACE_KIND_PRE_DISPATCH))
		return false;
	return !is_go_between(stack, 0) && !is_file(stack, 0, "torch/fx/interpreter.py");
}

static enum owner owner_of(const struct event_stack *stack, const struct frames_call *call)
{
	switch (call->caller) {
	case GW_CALLER_BINDING:
		return OWNER_USER;
	case GW_CALLER_APPLY:
		return OWNER_AUTOGRAD;
	case GW_CALLER_OTHER:
		return frames_is_autograd(stack) ? OWNER_AUTOGRAD : OWNER_CPP;
	default:
		break;
	}
	if (grad_mode_frame(stack))
		return OWNER_USER;
	if (frames_is_autograd(stack))
		return OWNER_AUTOGRAD;
	return looks_native(stack, call->kind) ? OWNER_CPP : OWNER_USER;
}

/* Of a call by torch/autograd/grad_mode.py. */
static void describe_manager(const struct event_stack *stack, const struct event_frame *frame,
			     struct change_role *role)
{
	const char *dot = strchr(frame->function, '.');

	if (is_method(frame, "__enter__"))
		role->kind = CHANGE_ENTER;
	else if (is_method(frame, "__exit__"))
		role->kind = CHANGE_LEAVE;
	else if (is_method(frame, "__init__"))
		role->kind = frames_is_decorator(stack) ? CHANGE_ENTER : CHANGE_CALL;
	role->direct = role->kind == CHANGE_LEAVE && is_own_end(stack, frame);
	if (dot)
		str_format(role->name, sizeof(role->name), "%.*s", (int)(dot - frame->function),
			   frame->function);
}

void frames_role(const struct event_stack *stack, const struct frames_call *call,
		 struct change_role *role)
{
	const struct event_frame *frame = grad_mode_frame(stack);
	enum owner owner = owner_of(stack, call);

	*role = (struct change_role){
		.kind = CHANGE_DIRECT,
		.owner = owner,
		.place = place_of(stack, owner != OWNER_USER),
		.backward = backward_depth(stack),
		.caller = call->caller,
	};
	if (owner == OWNER_USER && frame)
		describe_manager(stack, frame, role);
	if (call->caller == GW_CALLER_APPLY || call->caller == GW_CALLER_OTHER)
		role->guard = call->stack_pointer;
}

bool frames_is_exit(const struct event_stack *stack)
{
	for (size_t i = 0; i < stack->count; i++)
		if (!is_method(&stack->frame[i], "__torch_function__"))
			return is_method(&stack->frame[i], "__exit__");
	return false;
}

bool frames_is_decorator(const struct event_stack *change)
{
	return decorator_of(change) >= 0;
}

/* A wrapper that another decorator made, judged by its name. */
static bool is_wrapper(const struct event_frame *frame)
{
	const char *local = strstr(frame->function, "<locals>.");

	return local &&
	       (strstr(local, "wrap") || strstr(local, "inner") || strstr(local, "decorat"));
}

/* Packages that make decorators. */
static bool is_decorator_package(const struct event_stack *stack, size_t index)
{
	const char *beside = stack->origin[index].beside;

	if (!strncmp(stack->frame[index].file, "<decorator-gen-", 15))
		return true;
	return beside && (!strncmp(beside, "wrapt/", 6) || !strcmp(beside, "decorator.py"));
}

/*
 * What a call goes through on its way to the user's function, and that is no function of its own:
 * nn.Module's __call__, and what a tracer puts in its place; partialmethod; other decorators.
 */
static bool is_passage(const struct event_stack *stack, size_t index)
{
	static const char *const file[] = {
		"torch/nn/modules/module.py", "torch/fx/_symbolic_trace.py",
		"torch/fx/experimental/proxy_tensor.py", "torch/_dynamo/eval_frame.py",
		"torch/utils/_contextlib.py"};
	const struct event_frame *frame = &stack->frame[index];

	switch (stack->origin[index].whose) {
	case ORIGIN_TORCH:
		for (size_t i = 0; i < sizeof(file) / sizeof(*file); i++)
			if (is_file(stack, index, file[i]))
				return !is_method(frame, "__torch_function__");
		return false;
	case ORIGIN_LIBRARY:
	case ORIGIN_GENERATED:
		return true;
	case ORIGIN_USER:
		return is_decorator_package(stack, index) ||
		       (is_wrapper(frame) && index && is_user(stack, index - 1));
	case ORIGIN_UNKNOWN:
		break;
	}
	return false;
}

/* The frame in the operator's stack of what the decorator of a change has called; -1: not seen. */
static int decorated_index(const struct event_stack *change, const struct event_stack *at_operator)
{
	int at = decorator_of(change);
	size_t outside, frame;

	if (at < 0 || change->status != GW_STACK_WHOLE || at_operator->status != GW_STACK_WHOLE)
		return -1;
	/* The same frame of both stacks has as many outside of it. */
	outside = change->count - (size_t)at;
	if (at_operator->count <= outside)
		return -1;
	frame = at_operator->count - outside;
	if (!is_decorator(at_operator, frame))
		return -1;
	do
		frame--;
	while (frame && is_passage(at_operator, frame));
	return (int)frame;
}

const struct event_frame *frames_decorated(const struct event_stack *change,
					   const struct event_stack *at_operator)
{
	int at = decorated_index(change, at_operator);
	size_t frame = (size_t)at;

	/* A function mode that a decorated C function comes to is not what is decorated. */
	if (at < 0 || !is_user(at_operator, frame) || is_passage(at_operator, frame) ||
	    is_method(&at_operator->frame[frame], "__torch_function__") ||
	    is_method(&at_operator->frame[frame], "__torch_dispatch__"))
		return NULL;
	return &at_operator->frame[frame];
}

bool frames_decorates_torch(const struct event_stack *change, const struct event_stack *at_operator)
{
	int at = decorated_index(change, at_operator);

	return at >= 0 && at_operator->origin[at].whose == ORIGIN_TORCH &&
	       !is_passage(at_operator, (size_t)at) &&
	       !is_method(&at_operator->frame[at], "__torch_function__") &&
	       !is_method(&at_operator->frame[at], "__torch_dispatch__");
}

const struct event_frame *frames_manager_caller(const struct event_stack *change)
{
	int user = change->user, caller;
	const struct event_frame *frame;

	if (user < 0 || (size_t)user + 1 >= change->count)
		return NULL;
	frame = &change->frame[user];
	if (!is_method(frame, "__enter__") && !is_method(frame, "__exit__") &&
	    !ends_with(frame[1].file, "/contextlib.py"))
		return NULL;
	caller = user_from(change, (size_t)user + 1);
	return caller < 0 ? NULL : &change->frame[caller];
}

/* Whether a frame's file is of torch's and starts so. */
static bool any_file(const struct event_stack *stack, const char *start)
{
	for (size_t i = 0; i < stack->count; i++) {
		const char *path = stack->origin[i].package;

		if (path && !strncmp(path, start, strlen(start)))
			return true;
	}
	return false;
}

static bool any_function(const struct event_stack *stack, const char *part)
{
	for (size_t i = 0; i < stack->count; i++)
		if (strstr(stack->frame[i].function, part) && stack->origin[i].package)
			return true;
	return false;
}

enum trace_kind frames_kind(const struct event_stack *stack)
{
	if (!stack->count)
		return TRACE_KIND_UNKNOWN;
	if (any_function(stack, "run_decompositions") ||
	    any_function(stack, "_decompose_exported_program"))
		return TRACE_KIND_DECOMPOSE;
	if (any_file(stack, "torch/_dynamo/convert_frame.py"))
		return TRACE_KIND_COMPILE;
	if (any_file(stack, "torch/export/") || any_file(stack, "torch/_export/"))
		return TRACE_KIND_EXPORT;
	if (any_file(stack, "torch/_functorch/aot_autograd.py") ||
	    any_file(stack, "torch/_functorch/_aot_autograd/") ||
	    any_file(stack, "functorch/aot_autograd.py") ||
	    any_file(stack, "functorch/_src/aot_autograd.py"))
		return TRACE_KIND_COMPILE;
	if (any_function(stack, "make_fx") || any_function(stack, "dispatch_trace"))
		return TRACE_KIND_MAKE_FX;
	return TRACE_KIND_OTHER;
}

enum change_maker frames_maker(const struct event_stack *change, bool decorates_torch,
			       enum owner owner)
{
	size_t at = 0;

	if (decorates_torch)
		return MAKER_TORCH;
	if (owner != OWNER_USER)
		return MAKER_NATIVE;
	while (at < change->count && is_go_between(change, at))
		at++;
	/* The interpreter of a graph calls the setter as the code did that it was made of. */
	if (at == change->count || (int)at == change->user || is_decorator(change, at) ||
	    is_file(change, at, "torch/fx/interpreter.py"))
		return MAKER_USER;
	return change->origin[at].whose == ORIGIN_TORCH ? MAKER_TORCH : MAKER_USER;
}

bool frames_has_backward(const struct event_stack *stack)
{
	return any_function(stack, "_engine_run_backward") ||
	       any_file(stack, "torch/autograd/__init__.py");
}

bool frames_makes_region(const struct event_stack *change)
{
	return !change->count || any_file(change, "torch/export/") ||
	       any_file(change, "torch/_export/");
}
