// SPDX-License-Identifier: GPL-2.0-or-later
/* Seed of the fuzzer of bindings: tables of methods as libtorch_python has them. */
struct method {
	const char *name;
	void *function;
	int flags;
	const char *doc;
};

int calls;

void *apply(void *class, void *arguments)
{
	calls--;
	return class ? arguments : 0;
}

static void *setter(void *module, void *arguments)
{
	calls++;
	return module ? arguments : 0;
}

struct method function_methods[] = {{"apply", apply, 0x11, 0}, {0}};
__attribute__((used)) static struct method methods[] = {{"_set_grad_enabled", FUNCTION, 3, 0}, {0}};

__attribute__((constructor)) static void initialise(void)
{
	methods[0].function = setter;
}
