// SPDX-License-Identifier: GPL-2.0-or-later
#include "model/frames.h"

#include <string.h>

#include "base/str.h"

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

static bool in_torch(const char *file)
{
	return strstr(file, "-packages/torch/") || strstr(file, "-packages/functorch/") ||
	       strstr(file, "-packages/torchgen/") || strstr(file, "/pytorch/torch/");
}

/* .../lib/python3.11/contextlib.py, and what is frozen into the interpreter. */
static bool in_standard_library(const char *file)
{
	const char *at = strstr(file, "/lib/python3");

	if (!strncmp(file, "<frozen ", 8))
		return true;
	return at && !strstr(at, "-packages/");
}

/* What torch.fx makes up and runs: a graph's code, and the lambda that make_fx calls it through. */
static bool is_generated(const struct event_stack *stack, size_t index)
{
	const struct event_frame *frame = &stack->frame[index];

	if (!strncmp(frame->file, "<eval_with_key>", 15))
		return true;
	return !strcmp(frame->file, "<string>") && !strcmp(frame->function, "<lambda>") &&
	       index + 1 < stack->count && in_torch(frame[1].file);
}

static bool is_user(const struct event_frame *frame)
{
	return strcmp(frame->file, "?") && !in_torch(frame->file) &&
	       !in_standard_library(frame->file) && !is_method(frame, "__torch_function__");
}

/* The first user frame at or outside of an index; -1: none. */
static int user_from(const struct event_stack *stack, size_t index)
{
	for (size_t i = index; i < stack->count; i++)
		if (is_user(&stack->frame[i]) && !is_generated(stack, i))
			return (int)i;
	return -1;
}

int frames_find_user(const struct event_stack *stack)
{
	return user_from(stack, 0);
}

/*
 * The frame of torch/autograd/grad_mode.py that the user's code called; NULL: none. A decorator
 * makes a new object at each call, by clone(): that is no more than its __init__.
 */
static const struct event_frame *grad_mode_frame(const struct event_stack *stack)
{
	const struct event_frame *found = NULL;

	for (size_t i = 0; i < stack->count; i++) {
		const struct event_frame *frame = &stack->frame[i];

		if (ends_with(frame->file, "/torch/autograd/grad_mode.py"))
			found = is_method(frame, "clone") && found ? found : frame;
		else if (found || !is_method(frame, "__torch_function__"))
			break;
	}
	return found;
}

bool frames_is_autograd(const struct event_stack *stack)
{
	size_t end = stack->user < 0 ? stack->count : (size_t)stack->user;

	if (stack->count && is_method(stack->frame, "apply") &&
	    ends_with(stack->frame->file, "/torch/autograd/function.py"))
		return true;
	for (size_t i = 0; i < end; i++)
		if (is_method(&stack->frame[i], "_engine_run_backward") ||
		    ends_with(stack->frame[i].file, "/torch/autograd/__init__.py"))
			return true;
	return false;
}

/* The wrapper of torch/utils/_contextlib.py (before 2.0: torch/autograd/grad_mode.py). */
static bool is_decorator(const struct event_frame *frame)
{
	return (is_method(frame, "decorate_context") || is_method(frame, "generator_context")) &&
	       in_torch(frame->file);
}

/* The decorator's frame that made the change: between it and the user's code; -1: none. */
static int decorator_of(const struct event_stack *change)
{
	int end = change->user < 0 ? (int)change->count : change->user;

	for (int i = 0; i < end; i++)
		if (is_decorator(&change->frame[i]))
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

		calls += is_method(frame, "_engine_run_backward");
		older += ends_with(frame->file, "/torch/autograd/__init__.py") &&
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
	if (guard && stack->count)
		hash = hash_frame(hash, stack->frame);
	return hash;
}

void frames_role(const struct event_stack *stack, struct change_role *role)
{
	const struct event_frame *frame = grad_mode_frame(stack);
	const char *dot;

	*role = (struct change_role){.kind = CHANGE_DIRECT};
	role->guard = !frame && frames_is_autograd(stack);
	role->place = place_of(stack, role->guard);
	role->backward = backward_depth(stack);
	if (!frame)
		return;
	if (is_method(frame, "__enter__"))
		role->kind = CHANGE_ENTER;
	else if (is_method(frame, "__exit__"))
		role->kind = CHANGE_LEAVE;
	else if (is_method(frame, "__init__"))
		role->kind = frames_is_decorator(stack) ? CHANGE_ENTER : CHANGE_CALL;
	dot = strchr(frame->function, '.');
	if (dot)
		str_format(role->name, sizeof(role->name), "%.*s", (int)(dot - frame->function),
			   frame->function);
}

bool frames_is_decorator(const struct event_stack *change)
{
	return decorator_of(change) >= 0;
}

/* A wrapper that another decorator made, as far as its name tells. */
static bool is_wrapper(const struct event_frame *frame)
{
	const char *local = strstr(frame->function, "<locals>.");

	return local &&
	       (strstr(local, "wrap") || strstr(local, "inner") || strstr(local, "decorat"));
}

const struct event_frame *frames_decorated(const struct event_stack *change,
					   const struct event_stack *at_operator)
{
	int at = decorator_of(change), frame;
	size_t outside;

	if (at < 0 || change->status != GW_STACK_WHOLE || at_operator->status != GW_STACK_WHOLE)
		return NULL;
	/* The same frame of both stacks has as many outside of it. */
	outside = change->count - (size_t)at;
	if (at_operator->count <= outside)
		return NULL;
	frame = (int)(at_operator->count - outside);
	if (!is_decorator(&at_operator->frame[frame]))
		return NULL;
	frame--;
	while (frame > 0 && is_wrapper(&at_operator->frame[frame]) &&
	       is_user(&at_operator->frame[frame - 1]))
		frame--;
	return &at_operator->frame[frame];
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

static bool any_file(const struct event_stack *stack, const char *part)
{
	for (size_t i = 0; i < stack->count; i++)
		if (strstr(stack->frame[i].file, part))
			return true;
	return false;
}

static bool any_function(const struct event_stack *stack, const char *part)
{
	for (size_t i = 0; i < stack->count; i++)
		if (strstr(stack->frame[i].function, part) && in_torch(stack->frame[i].file))
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
	if (any_file(stack, "/torch/_dynamo/convert_frame.py"))
		return TRACE_KIND_COMPILE;
	if (any_file(stack, "/torch/export/") || any_file(stack, "/torch/_export/"))
		return TRACE_KIND_EXPORT;
	if (any_file(stack, "functorch/aot_autograd.py") ||
	    any_file(stack, "functorch/_src/aot_autograd.py") ||
	    any_file(stack, "functorch/_aot_autograd/"))
		return TRACE_KIND_COMPILE;
	if (any_function(stack, "make_fx") || any_function(stack, "dispatch_trace"))
		return TRACE_KIND_MAKE_FX;
	return TRACE_KIND_OTHER;
}

/* The interpreter of a graph calls the setter as the user's code did that it was made of. */
static bool is_interpreter(const struct event_frame *frame)
{
	return ends_with(frame->file, "/torch/fx/interpreter.py");
}

enum change_maker frames_maker(const struct event_stack *change,
			       const struct event_frame *decorated, enum trace_kind kind)
{
	size_t at = 0;

	if (decorated)
		return in_torch(decorated->file) ? MAKER_TORCH : MAKER_USER;

	/* In these every call of Python code passes by a mode for torch functions. */
	if (change->count && !in_torch(change->frame[0].file) &&
	    (kind == TRACE_KIND_MAKE_FX || kind == TRACE_KIND_EXPORT))
		return MAKER_NATIVE;
	while (at < change->count &&
	       (is_method(&change->frame[at], "__torch_function__") ||
		ends_with(change->frame[at].file, "/torch/autograd/grad_mode.py")))
		at++;
	if (at == change->count || (int)at == change->user || is_generated(change, at) ||
	    is_decorator(&change->frame[at]) || is_interpreter(&change->frame[at]))
		return MAKER_USER;
	return in_torch(change->frame[at].file) ? MAKER_TORCH : MAKER_USER;
}

bool frames_has_backward(const struct event_stack *stack)
{
	return any_function(stack, "_engine_run_backward") ||
	       any_file(stack, "/torch/autograd/__init__.py");
}

bool frames_makes_region(const struct event_stack *change)
{
	return !change->count || any_file(change, "/torch/export/") ||
	       any_file(change, "/torch/_export/");
}
