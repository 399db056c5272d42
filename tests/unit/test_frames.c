// SPDX-License-Identifier: GPL-2.0-or-later
/* user/model/frames: whose frame it is, what a change is, what kind of trace. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "model/frames.h"

#define SITE       "/v/lib/python3.11/site-packages/"
#define GRAD_MODE  SITE "torch/autograd/grad_mode.py"
#define CONTEXTLIB "/usr/lib/python3.11/contextlib.py"
#define DECORATE   SITE "torch/utils/_contextlib.py", "context_decorator.<locals>.decorate_context", 1

#define STACK(...) stack_of((const struct event_frame[]){__VA_ARGS__, {0}})

static struct event_stack stack_of(const struct event_frame *frames)
{
	static struct event_frame copies[8][16];
	static int next;
	struct event_frame *copy = copies[next++ % 8];
	struct event_stack stack = {.frame = copy};

	while (frames[stack.count].file) {
		copy[stack.count] = frames[stack.count];
		stack.count++;
	}
	stack.user = frames_find_user(&stack);
	return stack;
}

static void test_user_frame(void **state)
{
	struct event_stack stack;

	(void)state;
	stack = STACK({GRAD_MODE, "no_grad.__enter__", 1}, {CONTEXTLIB, "f", 1},
		      {SITE "functorch/x.py", "f", 1}, {"<frozen runpy>", "f", 1},
		      {"<eval_with_key>.3", "forward", 1}, {"?", "?", 0},
		      {SITE "mine/model.py", "Net.forward", 5}, {"/a.py", "<module>", 1});
	assert_int_equal(stack.user, 6);
	/* the lambda that make_fx calls its function through, and one of the user's */
	stack = STACK({"<string>", "<lambda>", 1}, {SITE "torch/fx/x.py", "trace", 1},
		      {"/a.py", "f", 1});
	assert_int_equal(stack.user, 2);
	stack = STACK({"<string>", "<lambda>", 1}, {"/a.py", "f", 1});
	assert_int_equal(stack.user, 0);
	stack = STACK({GRAD_MODE, "no_grad.__enter__", 1});
	assert_int_equal(stack.user, -1);
}

static void check_role(struct event_stack stack, enum change_kind kind, const char *name)
{
	struct change_role role;

	frames_role(&stack, &role);
	assert_int_equal(role.kind, kind);
	assert_string_equal(role.name, name);
}

static void test_roles(void **state)
{
	(void)state;
	check_role(STACK({GRAD_MODE, "set_grad_enabled.__init__", 1},
			 {GRAD_MODE, "no_grad.__enter__", 1}, {"/a.py", "f", 1}),
		   CHANGE_ENTER, "no_grad");
	check_role(STACK({GRAD_MODE, "set_grad_enabled.__init__", 1}, {"/a.py", "f", 1}),
		   CHANGE_CALL, "set_grad_enabled");
	check_role(STACK({GRAD_MODE, "__init__", 1}, {GRAD_MODE, "__exit__", 1}), CHANGE_LEAVE, "");
	check_role(STACK({SITE "torch/x.py", "Mode.__torch_function__", 1},
			 {GRAD_MODE, "enable_grad.__exit__", 1}, {"/a.py", "f", 1}),
		   CHANGE_LEAVE, "enable_grad");
	check_role(STACK({"/a.py", "f", 1}, {GRAD_MODE, "no_grad.__enter__", 1}), CHANGE_DIRECT,
		   "");
}

static void test_decorated(void **state)
{
	struct event_stack change, at_operator;
	const struct event_frame *found;

	(void)state;
	change = STACK({GRAD_MODE, "no_grad.__enter__", 1}, {DECORATE}, {"/m.py", "Model.f", 7},
		       {"/m.py", "<module>", 9});
	at_operator = STACK({SITE "torch/x.py", "linear", 1}, {"/m.py", "helper", 3},
			    {"/m.py", "Rotary.forward", 4}, {DECORATE}, {"/m.py", "Model.f", 7},
			    {"/m.py", "<module>", 9});
	assert_true(frames_is_decorator(&change));
	found = frames_decorated(&change, &at_operator);
	assert_non_null(found);
	assert_string_equal(found->function, "Rotary.forward");
	/* past the wrapper of another decorator */
	at_operator = STACK({"/m.py", "Rotary.forward", 4},
			    {"/r.py", "dynamic.<locals>.wrapper", 2}, {DECORATE},
			    {"/m.py", "Model.f", 7}, {"/m.py", "<module>", 9});
	assert_string_equal(frames_decorated(&change, &at_operator)->function, "Rotary.forward");
	/* an operator elsewhere, none, or a stack whose outer frames are missing */
	at_operator = STACK({"/m.py", "g", 4}, {"/m.py", "h", 4}, {"/m.py", "Model.f", 7},
			    {"/m.py", "<module>", 9});
	assert_null(frames_decorated(&change, &at_operator));
	assert_null(frames_decorated(&change, &(struct event_stack){.user = -1}));
	change.status = GW_STACK_CUT;
	assert_null(frames_decorated(&change, &at_operator));
}

static void test_manager_caller(void **state)
{
	struct event_stack stack;

	(void)state;
	stack = STACK({GRAD_MODE, "no_grad.__enter__", 1}, {"/a.py", "frozen", 3},
		      {CONTEXTLIB, "_GeneratorContextManager.__enter__", 1}, {"/a.py", "f", 8});
	assert_int_equal(frames_manager_caller(&stack)->line, 8);
	stack = STACK({GRAD_MODE, "no_grad.__enter__", 1}, {"/a.py", "Own.__enter__", 3},
		      {"/a.py", "f", 9});
	assert_int_equal(frames_manager_caller(&stack)->line, 9);
	stack = STACK({GRAD_MODE, "no_grad.__enter__", 1}, {"/a.py", "f", 3}, {"/a.py", "g", 9});
	assert_null(frames_manager_caller(&stack));
	stack = STACK({GRAD_MODE, "no_grad.__enter__", 1}, {"/a.py", "Own.__enter__", 3});
	assert_null(frames_manager_caller(&stack));
}

static void test_autograd(void **state)
{
	struct event_stack stack;

	(void)state;
	stack = STACK({SITE "torch/autograd/function.py", "Function.apply", 1}, {"/a.py", "f", 1});
	assert_true(frames_is_autograd(&stack));
	stack = STACK({SITE "torch/autograd/graph.py", "_engine_run_backward", 1},
		      {"/a.py", "f", 1});
	assert_true(frames_is_autograd(&stack));
	stack = STACK({"/a.py", "f", 1}, {SITE "torch/autograd/__init__.py", "grad", 1});
	assert_false(frames_is_autograd(&stack));
	assert_false(frames_is_autograd(&(struct event_stack){.user = -1}));
}

static void check_kind(struct event_stack stack, enum trace_kind kind)
{
	assert_int_equal(frames_kind(&stack), kind);
}

static void test_kinds(void **state)
{
	struct event_stack none = {.user = -1};

	(void)state;
	/* make_fx goes through this file of Dynamo's, too */
	check_kind(STACK({SITE "torch/_dynamo/eval_frame.py", "_fn", 1},
			 {SITE "torch/fx/experimental/proxy_tensor.py", "dispatch_trace", 1}),
		   TRACE_KIND_MAKE_FX);
	check_kind(
		STACK({SITE "torch/fx/experimental/proxy_tensor.py", "make_fx.<locals>.wrapped", 1},
		      {SITE "torch/export/_trace.py", "_export", 1}),
		TRACE_KIND_EXPORT);
	check_kind(STACK({SITE "torch/export/exported_program.py",
			  "ExportedProgram.run_decompositions", 1}),
		   TRACE_KIND_DECOMPOSE);
	check_kind(STACK({SITE "torch/_dynamo/convert_frame.py", "compile", 1}),
		   TRACE_KIND_COMPILE);
	check_kind(STACK({SITE "torch/_functorch/aot_autograd.py", "aot_module", 1}),
		   TRACE_KIND_COMPILE);
	check_kind(STACK({"/a.py", "run_decompositions", 1}), TRACE_KIND_OTHER);
	check_kind(none, TRACE_KIND_UNKNOWN);
}

/* Who called the setter: the user, torch for itself, or C++ code. */
static void test_maker(void **state)
{
	const struct event_stack user = STACK({SITE "torch/fx/experimental/proxy_tensor.py",
					       "TorchFunctionMetadataMode.__torch_function__", 1},
					      {GRAD_MODE, "set_grad_enabled.__init__", 1},
					      {GRAD_MODE, "no_grad.__enter__", 1},
					      {"/a.py", "f", 1});
	const struct event_stack decorated = STACK({GRAD_MODE, "no_grad.__enter__", 1}, {DECORATE},
						   {"/a.py", "f", 1});
	const struct event_stack torch = STACK(
		{GRAD_MODE, "enable_grad.__enter__", 1},
		{SITE "torch/_functorch/eager_transforms.py", "grad_impl", 1}, {"/a.py", "f", 1});
	const struct event_stack replayed =
		STACK({SITE "torch/fx/interpreter.py", "Interpreter.call_function", 1},
		      {"/a.py", "f", 1});
	const struct event_stack native = STACK({"/a.py", "f", 1}, {"/a.py", "<module>", 1});
	const struct event_stack lambda = STACK(
		{"<string>", "<lambda>", 1}, {SITE "torch/fx/x.py", "trace", 1}, {"/a.py", "f", 1});
	const struct event_stack none = {.user = -1};
	const struct event_frame inside = {SITE "torch/nn/utils/parametrizations.py", "f", 1};

	(void)state;
	assert_int_equal(frames_maker(&user, NULL, TRACE_KIND_MAKE_FX), MAKER_USER);
	assert_int_equal(frames_maker(&decorated, NULL, TRACE_KIND_MAKE_FX), MAKER_USER);
	assert_int_equal(frames_maker(&decorated, &inside, TRACE_KIND_MAKE_FX), MAKER_TORCH);
	assert_int_equal(frames_maker(&torch, NULL, TRACE_KIND_MAKE_FX), MAKER_TORCH);
	assert_int_equal(frames_maker(&replayed, NULL, TRACE_KIND_EXPORT), MAKER_USER);
	assert_int_equal(frames_maker(&native, NULL, TRACE_KIND_MAKE_FX), MAKER_NATIVE);
	assert_int_equal(frames_maker(&lambda, NULL, TRACE_KIND_MAKE_FX), MAKER_NATIVE);
	/* without a mode for torch functions a call of Python code looks the same */
	assert_int_equal(frames_maker(&native, NULL, TRACE_KIND_OTHER), MAKER_USER);
	assert_int_equal(frames_maker(&none, NULL, TRACE_KIND_MAKE_FX), MAKER_USER);
}

static void test_backward_and_region(void **state)
{
	const struct event_stack backward = STACK(
		{SITE "torch/autograd/graph.py", "_engine_run_backward", 1}, {"/a.py", "f", 1});
	const struct event_stack own = STACK({"/a.py", "_engine_run_backward", 1});
	const struct event_stack export = STACK({SITE "torch/_export/non_strict_utils.py", "f", 1},
						{"/a.py", "f", 1});

	(void)state;
	assert_true(frames_has_backward(&backward));
	assert_false(frames_has_backward(&own));
	assert_true(frames_makes_region(&export));
	assert_false(frames_makes_region(&backward));
	/* a default export is what most pre-dispatch traces are */
	assert_true(frames_makes_region(&(struct event_stack){.user = -1}));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_maker),      cmocka_unit_test(test_backward_and_region),
		cmocka_unit_test(test_user_frame), cmocka_unit_test(test_roles),
		cmocka_unit_test(test_decorated),  cmocka_unit_test(test_manager_caller),
		cmocka_unit_test(test_autograd),   cmocka_unit_test(test_kinds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
