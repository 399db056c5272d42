// SPDX-License-Identifier: GPL-2.0-or-later
/* A stand-in for libc10.so in 10 kB, in which the fuzzer finds every table and every accessor. */
struct slot {
	void *pointer, *control;
	char engaged;
};

__thread char grad = 1;
__thread char mode_guard;
__thread void *stack[3];
__thread struct slot slots[3];

#define NAME(name) __asm__(name)
#define MODE_TLS   "_ZN3c104impl20TorchDispatchModeTLS"

int is_enabled(void) NAME("_ZN3c108GradMode10is_enabledEv");
int is_enabled(void)
{
	return grad & 1;
}

void set_enabled(int on) NAME("_ZN3c108GradMode11set_enabledEb");
void set_enabled(int on)
{
	grad = (char)((grad & ~1) | (on & 1));
}

#if defined(KEYED) || defined(STACK)
static void initialise(void)
{
	if (!mode_guard) {
		mode_guard = 1;
		stack[0] = stack[1] = stack[2] = 0;
	}
}
#endif

#ifdef KEYED
void unset_mode(void *out, signed char key) NAME(MODE_TLS "10unset_modeENS0_1KE");
void unset_mode(void *out, signed char key)
{
	initialise();
	*(char *)out = slots[key].engaged;
	slots[key].engaged = 0;
}

void get_mode(void *out, signed char key) NAME(MODE_TLS "8get_modeENS0_1KE");
void get_mode(void *out, signed char key)
{
	initialise();
	*(char *)out = slots[key].engaged;
}

void set_mode(const void *mode, signed char key) NAME(MODE_TLS "8set_modeERKvNS0_1KE");
void set_mode(const void *mode, signed char key)
{
	initialise();
	if (!slots[key].engaged)
		slots[key].pointer = (void *)mode;
	slots[key].engaged = 1;
}

void pop_infra(void) NAME(MODE_TLS "22pop_highest_infra_modeEv");
void pop_infra(void)
{
	initialise();
	slots[1].engaged = 0;
}
#endif

#ifdef STACK
void push(void **mode) NAME(MODE_TLS "15push_onto_stackESt10shared_ptr");
void push(void **mode)
{
	initialise();
	*(void **)stack[1] = *mode;
	stack[1] = (char *)stack[1] + 16;
}

void pop(void **out) NAME(MODE_TLS "9pop_stackEv");
void pop(void **out)
{
	initialise();
	stack[1] = (char *)stack[1] - 16;
	*out = *(void **)stack[1];
}

long length(void) NAME(MODE_TLS "9stack_lenEv");
long length(void)
{
	initialise();
	return ((char *)stack[1] - (char *)stack[0]) >> 4;
}
#endif
