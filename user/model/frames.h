/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a Python stack says: whose code it is, and what kind of trace. */
#ifndef GRADWATCH_MODEL_FRAMES_H
#define GRADWATCH_MODEL_FRAMES_H

#include "model/event.h"

/* How a change of the grad mode came about, for pairing it with the one that puts it back. */
enum change_kind {
	CHANGE_DIRECT, /* torch._C._set_grad_enabled(), or C++ code */
	CHANGE_CALL, /* torch.set_grad_enabled(): a bare call, or a `with` statement's first part */
	CHANGE_ENTER, /* a context manager's __enter__ */
	CHANGE_LEAVE, /* and its __exit__ */
};

struct change_role {
	enum change_kind kind;
	char name[32]; /* "no_grad", "enable_grad", ...; "" when not known (CPython before 3.11) */
	bool direct;   /* CHANGE_LEAVE: by the `with` statement or decorator that has entered it */
	enum owner owner;      /* other than the user's are C++ guards, which put a change back
				  themselves */
	unsigned int backward; /* how many backward passes, one in the other, it was made in */
	uint64_t place;        /* equal for the two changes of one block, or of one guard */
	enum gw_caller caller; /* of the setter */
	uint64_t guard; /* names the native frame of a guard, 0: not known; its two changes have one
			 */
};

/* What is known of a call of the setter besides its stack. */
struct frames_call {
	enum gw_caller caller;
	uint64_t stack_pointer; /* at the setter's entry */
	/*
	 * Of its trace, if every call of Python code in such a trace passes by a mode for torch
	 * functions (PyTorch 2.6 - 2.14: torch/fx/experimental/proxy_tensor.py,
	 * TorchFunctionMetadataMode), so that a call without one is known to be made by C++ code.
	 * Else TRACE_KIND_UNKNOWN.
	 */
	enum trace_kind kind;
};

/* What the caller and the frames at the top of a change's stack say. */
void frames_role(const struct event_stack *stack, const struct frames_call *call,
		 struct change_role *role);

/* Whether a context manager's __exit__ makes the change, past what handles torch functions. */
bool frames_is_exit(const struct event_stack *stack);

/*
 * The innermost frame of the user's own code (ORIGIN_USER) that is no function mode which the call
 * of the setter only went through. -1 when there is none.
 */
int frames_find_user(const struct event_stack *stack);

/*
 * The kind of a trace, from the stack at its first push. Looked for from the outside of the
 * machinery: run_decompositions, then torch.compile (torch/_dynamo/convert_frame.py), then
 * torch.export, then AOTAutograd by itself, which counts as compile, then make_fx.
 * TRACE_KIND_UNKNOWN without a stack.
 */
enum trace_kind frames_kind(const struct event_stack *stack);

/*
 * Whether autograd itself made the change, in C++: it runs a backward pass, and the forward of a
 * custom autograd.Function, without grad. That is how PyTorch works, and no mistake of the code.
 */
bool frames_is_autograd(const struct event_stack *stack);

/*
 * The function that is decorated with @torch.no_grad() or its like, where that is what made the
 * change: it is not called yet then, so it is looked for in the stack of the first operator.
 * NULL: the change was not made by a decorator, no operator was seen, or what is decorated is not
 * Python code of the user's: a C function, a module of torch's.
 */
const struct event_frame *frames_decorated(const struct event_stack *change,
					   const struct event_stack *at_operator);

/* Whether what is decorated is a function of torch's. */
bool frames_decorates_torch(const struct event_stack *change,
			    const struct event_stack *at_operator);

/* Whether it was made by a decorator. */
bool frames_is_decorator(const struct event_stack *change);

/*
 * Where the user's own context manager was used, if that is what the user frame is: a generator
 * under contextlib, or a method called __enter__ or __exit__. NULL: it is none.
 */
const struct event_frame *frames_manager_caller(const struct event_stack *change);

/* What code made a change by the setter. */
enum change_maker {
	MAKER_USER,
	MAKER_TORCH,  /* Python code of PyTorch, for its own purposes: not by a decorator of the
			 user's */
	MAKER_NATIVE, /* C++ code that the user's function called */
};

enum change_maker frames_maker(const struct event_stack *change, bool decorates_torch,
			       enum owner owner);

/* Whether a backward pass runs: of autograd.grad(), backward() or torch.func. */
bool frames_has_backward(const struct event_stack *stack);

/* Whether a pre-dispatch trace is an export's, which makes a region of what a change lasts. */
bool frames_makes_region(const struct event_stack *change);

#endif
