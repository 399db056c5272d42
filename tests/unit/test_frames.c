// SPDX-License-Identifier: GPL-2.0-or-later
/* user/model/frames: whose frame it is, what a change is, what kind of trace. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "model/frames.h"
#include "model/origins.h"

#define SITE       "/v/lib/python3.11/site-packages/"
#define GRAD_MODE  SITE "torch/autograd/grad_mode.py"
#define CONTEXTLIB "/usr/lib/python3.11/contextlib.py"
#define DECORATE   SITE "torch/utils/_contextlib.py", "context_decorator.<locals>.decorate_context", 1

#define STACK(...) stack_of((const struct event_frame[]){__VA_ARGS__, {0}})

/* Of CPython 3.11, in a process that has mapped this libtorch file. */
static struct event_stack stack_in(const char *torch_file, const struct event_frame *frames)
{
	static struct event_frame copies[8][16];
	static struct event_origin origins[8][16];
	static int next;
	struct event_frame *copy = copies[next % 8];
	struct event_origin *origin = origins[next++ % 8];
	struct event_stack stack = {.frame = copy, .origin = origin};

	while (frames[stack.count].file) {
		copy[stack.count] = frames[stack.count];
		stack.count++;
	}
	origins_find(copy, stack.count, &(struct origins_hint){torch_file, 3 << 8 | 11}, origin);
	stack.user = frames_find_user(&stack);
	return stack;
}

static struct event_stack stack_of(const struct event_frame *frames)
{
	return stack_in("", frames);
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
	stack = STACK({GRAD_MODE, "no_grad.__enter__", 1});
	assert_int_equal(stack.user, -1);
}

#define PROXY_TENSOR "torch/fx/experimental/proxy_tensor.py"

static void check_user(struct event_stack stack, int user)
{
	assert_int_equal(stack.user, user);
}

/* A tensor subclass or a mode of the user's, and one that a call of the setter goes through. */
static void test_torch_function(void **state)
{
	(void)state;
	check_user(STACK({GRAD_MODE, "no_grad.__enter__", 1},
			 {"/a.py", "Mode.__torch_function__", 9}, {"/a.py", "layer", 13}),
		   1);
	check_user(STACK({SITE PROXY_TENSOR, "Mode.__torch_function__", 1},
			 {"/a.py", "Mode.__torch_function__", 11},
			 {GRAD_MODE, "no_grad.__enter__", 1}, {"/a.py", "layer", 13}),
		   3);
	check_user(STACK({"/a.py", "Mode.__torch_function__", 11}, {"/a.py", "layer", 13}), 0);
}

/* The lambda that make_fx calls a function through whose arguments it cannot count, and the user's.
 */
static void test_lambdas(void **state)
{
	(void)state;
	check_user(STACK({GRAD_MODE, "no_grad.__enter__", 1}, {DECORATE},
			 {"<string>", "<lambda>", 1},
			 {SITE PROXY_TENSOR, "wrap_key.<locals>.wrapped", 1}, {"/a.py", "f", 1}),
		   4);
	check_user(STACK({GRAD_MODE, "no_grad.__enter__", 1}, {"<string>", "<lambda>", 1},
			 {SITE PROXY_TENSOR, "wrap_key.<locals>.wrapped", 1}, {"/a.py", "f", 1}),
		   1);
	check_user(STACK({GRAD_MODE, "no_grad.__enter__", 1}, {DECORATE},
			 {"<string>", "<lambda>", 1},
			 {SITE "torch/nn/modules/module.py", "Module._call_impl", 1},
			 {"/a.py", "f", 1}),
		   2);
	check_user(STACK({"<string>", "<lambda>", 1},
			 {SITE PROXY_TENSOR, "wrap_key.<locals>.wrapped", 1}, {"/a.py", "f", 1}),
		   0);
}

#define CHECK_USER_IN(torch_file, user, ...)                                                       \
	check_user(stack_in(torch_file, (const struct event_frame[]){__VA_ARGS__, {0}}), user)

/* torch is where it is mapped, or where the stack shows it. */
static void test_torch_folder(void **state)
{
	(void)state;
	/* pip install --target; what only looks like torch is the user's */
	CHECK_USER_IN("/srv/deps/torch/lib/libc10.so", 3,
		      {"/srv/deps/torch/autograd/grad_mode.py", "no_grad.__enter__", 1},
		      {"/srv/deps/functorch/x.py", "f", 1}, {"/srv/deps/torchgen/x.py", "f", 1},
		      {"/srv/deps/torchvision/x.py", "f", 1});
	CHECK_USER_IN("/srv/deps/torch/lib/libc10.so", 1, {"/srv/deps/torch/x.py", "f", 1},
		      {SITE "torch/x.py", "f", 1});
	CHECK_USER_IN("/srv/deps/torch/lib/libc10.so", 2, {"/srv/deps/torch/x.py", "f", 1},
		      {"/srv/deps/typing_extensions.py", "f", 1},
		      {"/srv/app/typing_extensions.py", "f", 1});
	/* mapped elsewhere: a library of the distribution's, a symbolic link */
	CHECK_USER_IN("/usr/lib/x86_64-linux-gnu/libc10.so", 1,
		      {"/link/torch/autograd/grad_mode.py", "no_grad.__enter__", 1},
		      {"/home/u/torch/export/x.py", "f", 1});
	CHECK_USER_IN("/data/deps/torch/lib/libc10.so", 1, {"/link/torch/x.py", "f", 1},
		      {"/home/u/pytorch/torch/x.py", "f", 1},
		      {"/link/torch/fx/experimental/proxy_tensor.py", "dispatch_trace", 1});
	/* in an archive that names its files from its own root */
	CHECK_USER_IN("/tmp/x/torch/lib/libc10.so", 1,
		      {"torch/autograd/grad_mode.py", "no_grad.__enter__", 1}, {"m.py", "f", 1});
	/* nowhere to be seen */
	CHECK_USER_IN("", 1, {"/x/dist-packages/torch/x.py", "f", 1},
		      {"/home/u/-packages/torch/x.py", "f", 1});
	/* cut before it can be known, and behind that */
	CHECK_USER_IN("/long/folder/torch/lib/libc10.so", 2,
		      {"/long/fol" EVENT_CUT, "f", 1, .file_cut = true},
		      {"/long/folder/tor" EVENT_CUT, "f", 1, .file_cut = true},
		      {"/long/folder/x" EVENT_CUT, "f", 1, .file_cut = true});
	CHECK_USER_IN("/long/folder/torch/lib/libc10.so", 1,
		      {"/long/folder/torch/x" EVENT_CUT, "f", 1, .file_cut = true},
		      {"/long/home" EVENT_CUT, "f", 1, .file_cut = true});
	CHECK_USER_IN("/torch/lib/torch/libc10.so", 0, {"/a/torch/x.py", "f", 1});
}

static void test_standard_library(void **state)
{
	(void)state;
	check_user(STACK({"/opt/conda/lib/python3.11/abc.py", "f", 1},
			 {"/usr/lib64/python3.11/abc.py", "f", 1},
			 {"/usr/lib/python311.zip/abc.py", "f", 1},
			 {SITE "typing_extensions.py", "f", 1},
			 {"/lib/python3-app/site/model.py", "f", 1}),
		   4);
	check_user(STACK({"/home/u/lib/python3_projects/x.py", "f", 1}), 0);
	check_user(STACK({"/home/u/lib/python3.1/x.py", "f", 1}), 0);
	check_user(STACK({"/home/u/python3.11/x.py", "f", 1}), 0);
	check_user(STACK({SITE "mine/x.py", "f", 1}), 0);
	check_user(STACK({"/usr/local/lib/python3.11/dist-packages/mine.py", "f", 1}), 0);
	/* the interpreter's own folder is seen, so the other is the user's */
	check_user(STACK({CONTEXTLIB, "f", 1}, {"/home/u/lib/python3.11/x.py", "f", 1}), 1);
}

static void check_role(struct event_stack stack, enum change_kind kind, const char *name)
{
	struct change_role role;

	frames_role(&stack, &(struct frames_call){.kind = TRACE_KIND_UNKNOWN}, &role);
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

/* What is decorated other than a function: a module, a C function, a callable object. */
static void check_decorated(struct event_stack at_operator, const char *expected)
{
	struct event_stack change = STACK({GRAD_MODE, "no_grad.__enter__", 1}, {DECORATE},
					  {"/m.py", "distill", 7});
	const struct event_frame *found = frames_decorated(&change, &at_operator);

	if (!expected) {
		assert_null(found);
		return;
	}
	assert_non_null(found);
	assert_string_equal(found->function, expected);
}

#define CALL_IMPL SITE "torch/nn/modules/module.py", "Module._call_impl", 1

static void test_decorated_objects(void **state)
{
	(void)state;
	check_decorated(STACK({SITE "torch/nn/modules/linear.py", "Linear.forward", 1}, {CALL_IMPL},
			      {"/m.py", "Net.forward", 4}, {CALL_IMPL},
			      {SITE "torch/fx/_symbolic_trace.py",
			       "Tracer.trace.<locals>.module_call_wrapper", 1},
			      {DECORATE}, {"/m.py", "distill", 7}),
			"Net.forward");
	check_decorated(STACK({SITE "torch/nn/modules/linear.py", "Linear.forward", 1}, {CALL_IMPL},
			      {DECORATE}, {"/m.py", "distill", 7}),
			NULL);
	check_decorated(STACK({SITE PROXY_TENSOR, "Mode.__torch_function__", 1}, {DECORATE},
			      {"/m.py", "distill", 7}),
			NULL);
	check_decorated(
		STACK({"/m.py", "Mode.__torch_function__", 1}, {DECORATE}, {"/m.py", "distill", 7}),
		NULL);
	check_decorated(STACK({CALL_IMPL}, {DECORATE}, {"/m.py", "distill", 7}), NULL);
	check_decorated(STACK({"/m.py", "Call.__call__", 1}, {DECORATE}, {"/m.py", "distill", 7}),
			"Call.__call__");
	check_decorated(STACK({"/m.py", "f", 1}, {CONTEXTLIB, "ContextDecorator.inner", 1},
			      {DECORATE}, {"/m.py", "distill", 7}),
			"f");
	check_decorated(STACK({"/m.py", "f", 1}, {SITE "wrapt/decorators.py", "_wrapper", 1},
			      {DECORATE}, {"/m.py", "distill", 7}),
			"f");
}

/* Packages that make decorators are where torch is. */
static void test_decorator_packages(void **state)
{
	static const char *const wrapper[] = {"/srv/deps/wrapt/decorators.py",
					      "/srv/deps/decorator.py",
					      "/srv/app/wrapt/decorators.py"};

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		const struct event_frame decorate = {"/srv/deps/torch/utils/_contextlib.py",
						     "context_decorator.<locals>.decorate_context",
						     1};
		const struct event_frame outer = {"/m.py", "distill", 7};
		const struct event_frame enter = {"/srv/deps/torch/autograd/grad_mode.py",
						  "no_grad.__enter__", 1};
		const struct event_stack change =
			stack_in("/srv/deps/torch/lib/libc10.so",
				 (const struct event_frame[]){enter, decorate, outer, {0}});
		const struct event_stack at_operator = stack_in(
			"/srv/deps/torch/lib/libc10.so",
			(const struct event_frame[]){
				{"/m.py", "f", 1}, {wrapper[i], "call", 1}, decorate, outer, {0}});
		const struct event_frame *found = frames_decorated(&change, &at_operator);

		assert_non_null(found);
		assert_string_equal(found->function, i < 2 ? "f" : "call");
	}
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
	check_kind(stack_in(SITE "torch/lib/libc10.so",
			    (const struct event_frame[]){
				    {"/home/u/torch/export/x.py", "f", 1},
				    {SITE PROXY_TENSOR, "dispatch_trace", 1},
				    {"/home/u/torch/_dynamo/convert_frame.py", "f", 1},
				    {0}}),
		   TRACE_KIND_MAKE_FX);
	check_kind(none, TRACE_KIND_UNKNOWN);
}

static enum owner owner_of(const struct event_stack *stack, enum gw_caller caller,
			   enum trace_kind kind)
{
	const struct frames_call call = {caller, 0x1000, kind};
	struct change_role role;

	frames_role(stack, &call, &role);
	assert_int_equal(role.guard, caller > GW_CALLER_BINDING ? 0x1000 : 0);
	return role.owner;
}

static enum change_maker maker(const struct event_stack *stack, bool decorates_torch,
			       enum trace_kind kind)
{
	return frames_maker(stack, decorates_torch, owner_of(stack, GW_CALLER_UNKNOWN, kind));
}

static void check_own_end(struct event_stack stack, bool direct)
{
	struct change_role role;

	frames_role(&stack, &(struct frames_call){.caller = GW_CALLER_BINDING}, &role);
	assert_int_equal(role.direct, direct);
}

/* The caller's address says more than the frames. */
static void test_owner(void **state)
{
	const struct event_stack user = STACK({"/a.py", "f", 1});
	const struct event_stack block = STACK({GRAD_MODE, "no_grad.__enter__", 1},
					       {"/a.py", "f", 1});
	const struct event_stack mode = STACK({"/a.py", "Mine.__torch_function__", 1},
					      {GRAD_MODE, "no_grad.__enter__", 1},
					      {"/a.py", "f", 1});
	const struct event_stack apply =
		STACK({SITE "torch/autograd/function.py", "Function.apply", 1}, {"/a.py", "f", 1});
	const enum trace_kind kind = TRACE_KIND_MAKE_FX;
	const struct frames_call native = {GW_CALLER_OTHER, 0x1000, kind};
	struct change_role role;

	(void)state;
	assert_int_equal(owner_of(&user, GW_CALLER_UNKNOWN, kind), OWNER_CPP);
	assert_int_equal(owner_of(&user, GW_CALLER_BINDING, kind), OWNER_USER);
	assert_int_equal(owner_of(&user, GW_CALLER_APPLY, kind), OWNER_AUTOGRAD);
	assert_int_equal(owner_of(&user, GW_CALLER_OTHER, TRACE_KIND_UNKNOWN), OWNER_CPP);
	assert_int_equal(owner_of(&block, GW_CALLER_BINDING, kind), OWNER_USER);
	assert_int_equal(owner_of(&mode, GW_CALLER_UNKNOWN, kind), OWNER_USER);
	assert_int_equal(owner_of(&mode, GW_CALLER_OTHER, kind), OWNER_CPP);
	assert_int_equal(owner_of(&apply, GW_CALLER_BINDING, kind), OWNER_USER);
	assert_int_equal(owner_of(&apply, GW_CALLER_OTHER, kind), OWNER_AUTOGRAD);
	check_own_end(STACK({GRAD_MODE, "no_grad.__exit__", 1}, {"/a.py", "f", 1}), true);
	check_own_end(STACK({GRAD_MODE, "no_grad.__exit__", 1}, {DECORATE}, {"/a.py", "f", 1}),
		      true);
	check_own_end(STACK({GRAD_MODE, "no_grad.__exit__", 1}, {CONTEXTLIB, "close", 1},
			    {"/a.py", "f", 1}),
		      false);
	check_own_end(STACK({GRAD_MODE, "no_grad.__exit__", 1}, {"/a.py", "Mine.__exit__", 1}),
		      false);
	check_own_end(STACK({GRAD_MODE, "no_grad.__enter__", 1}, {"/a.py", "f", 1}), false);
	/* A guard in code that handles a block's call is no part of the block. */
	frames_role(&mode, &native, &role);
	assert_int_equal(role.kind, CHANGE_DIRECT);
	assert_string_equal(role.name, "");
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
	const struct event_stack inside = STACK({SITE "torch/nn/utils/parametrizations.py", "f", 1},
						{DECORATE}, {"/a.py", "f", 1});

	(void)state;
	assert_true(frames_decorates_torch(&decorated, &inside));
	assert_null(frames_decorated(&decorated, &inside));
	assert_int_equal(maker(&user, false, TRACE_KIND_MAKE_FX), MAKER_USER);
	assert_int_equal(maker(&decorated, false, TRACE_KIND_MAKE_FX), MAKER_USER);
	assert_int_equal(maker(&decorated, true, TRACE_KIND_MAKE_FX), MAKER_TORCH);
	assert_int_equal(maker(&torch, false, TRACE_KIND_MAKE_FX), MAKER_TORCH);
	assert_int_equal(maker(&replayed, false, TRACE_KIND_EXPORT), MAKER_USER);
	assert_int_equal(maker(&native, false, TRACE_KIND_MAKE_FX), MAKER_NATIVE);
	assert_int_equal(maker(&lambda, false, TRACE_KIND_MAKE_FX), MAKER_NATIVE);
	/* without a mode for torch functions a call of Python code looks the same */
	assert_int_equal(maker(&native, false, TRACE_KIND_OTHER), MAKER_USER);
	assert_int_equal(maker(&none, false, TRACE_KIND_MAKE_FX), MAKER_USER);
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
		cmocka_unit_test(test_maker),
		cmocka_unit_test(test_owner),
		cmocka_unit_test(test_backward_and_region),
		cmocka_unit_test(test_user_frame),
		cmocka_unit_test(test_torch_function),
		cmocka_unit_test(test_lambdas),
		cmocka_unit_test(test_torch_folder),
		cmocka_unit_test(test_decorator_packages),
		cmocka_unit_test(test_standard_library),
		cmocka_unit_test(test_roles),
		cmocka_unit_test(test_decorated),
		cmocka_unit_test(test_decorated_objects),
		cmocka_unit_test(test_manager_caller),
		cmocka_unit_test(test_autograd),
		cmocka_unit_test(test_kinds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
