// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A stand-in for libc10.so: libtorch's names and what they do to thread-local state. -D chooses the
 * shape. The unit tests of user/inspect compile it and run it; the fuzzer starts from it.
 */
#define NAME(name) __asm__(name) __attribute__((visibility("default")))
#define MODES      "_ZN3c104impl20TorchDispatchModeTLS"
#ifndef DEFAULT
#define DEFAULT 1
#endif
#ifndef INITIAL
#define INITIAL 0
#endif
#ifndef PADDING
#define PADDING 1
#endif
struct optional {
	void *pointer, *control;
	char engaged;
};
struct modes {
	void *begin, *end, *capacity;
	struct optional slot[3];
};
__thread char padding[PADDING];
__thread struct {
	long keys;
	char bits, other;
} state = {0, INITIAL, 3};
__thread char state_guard, elsewhere;
__thread char modes_guard;
__thread struct modes modes;
void keep(void *) NAME("keep");
void keep(void *p)
{
	__asm__ volatile("" : : "r"(p) : "memory");
}
static __attribute__((noinline)) char *get(void)
{
#ifdef GUARDED
	if (!state_guard) {
		state_guard = 1;
#ifdef BY_PIECES
		*(volatile short *)&state.bits = 0;
		*(volatile char *)&state.bits |= DEFAULT;
#else
		state.bits = DEFAULT;
#endif
		state.keys = 0;
	}
#endif
	return &state.bits;
}
static inline __attribute__((always_inline)) struct modes *get_modes(void)
{
	if (__builtin_expect(!modes_guard, 0)) {
		modes_guard = 1;
		modes.begin = modes.end = modes.capacity = 0;
		keep(&modes);
	}
	return &modes;
}
#ifndef NO_IS_ENABLED
_Bool is_enabled(void) NAME("_ZN3c108GradMode10is_enabledEv");
#ifdef TWO_PATHS
_Bool is_enabled(void)
{
	if (state.keys)
		return elsewhere & 1;
	return *get() & 1;
}
#else
_Bool is_enabled(void)
{
	return *get() & 1;
}
#endif
#endif
#ifdef OVERLOAD
void overload(void) NAME("_ZN3c108GradMode11set_enabledEbb");
void overload(void)
{
}
#endif
#ifndef NO_SET_ENABLED
void set_enabled(_Bool on) NAME("_ZN3c108GradMode11set_enabledEb");
void set_enabled(_Bool on)
{
#ifdef STORES_ELSEWHERE
	get();
	elsewhere = on;
#else
	char *bits = get();
	*bits = (char)((*bits & ~1) | on);
#endif
}
#endif
#ifdef KEYED
/* Of this size, it is returned in memory as an object of C++ is. */
struct optional unset_mode(signed char key) NAME(MODES "10unset_modeENS0_1KE");
struct optional unset_mode(signed char key)
{
	struct optional *slot = &get_modes()->slot[key];
	struct optional out = {slot->engaged ? slot->pointer : 0, 0, 0};
	slot->engaged = 0;
	return out;
}
struct optional get_mode(signed char key) NAME(MODES "8get_modeENS0_1KE");
struct optional get_mode(signed char key)
{
	struct optional *slot = &get_modes()->slot[key];
	struct optional out = {slot->engaged ? slot->pointer : 0, 0, 0};
	return out;
}
__thread struct optional other_slot[3];
void set_mode(void **mode, signed char key) NAME(MODES "8set_modeERKvNS0_1KE");
void set_mode(void **mode, signed char key)
{
#ifdef DISAGREE
	struct optional *slot = &other_slot[key];
#else
	struct optional *slot = &get_modes()->slot[key];
#endif
	if (slot->engaged)
		keep(slot->control);
	slot->pointer = *mode;
	slot->engaged = 1;
}
void pop_infra(void **out) NAME(MODES "22pop_highest_infra_modeEv");
void pop_infra(void **out)
{
	for (int i = 2; i >= 0; i--)
		if (get_modes()->slot[i].engaged) {
			*out = get_modes()->slot[i].pointer;
			get_modes()->slot[i].engaged = 0;
			return;
		}
}
#endif
#if defined(STACK) || defined(KEYED)
#ifdef STACK
void push_stack(void **mode) NAME(MODES "15push_onto_stackESt10shared_ptr");
#else
void push_stack(void **mode) NAME(MODES "30push_non_infra_mode_onto_stackESt10shared_ptr");
#endif
void push_stack(void **mode)
{
	static void *room[32];
	struct modes *stack = get_modes();
	if (stack->end == stack->capacity) {
		stack->begin = stack->end = room;
		stack->capacity = room + 32;
	}
	*(void **)stack->end = *mode;
	stack->end = (char *)stack->end + 16;
}
#endif
#ifdef STACK
void pop_stack(void **out) NAME(MODES "9pop_stackEv");
void pop_stack(void **out)
{
	struct modes *stack = get_modes();
	keep(stack->begin);
	stack->end = (char *)stack->end - 16;
	*out = *(void **)stack->end;
}
#endif
#if defined(STACK) || defined(KEYED)
__thread struct modes other_modes;
long stack_len(void) NAME(MODES "9stack_lenEv");
long stack_len(void)
{
#ifdef STACK_ELSEWHERE
	struct modes *stack = get_modes() ? &other_modes : 0;
#else
	struct modes *stack = get_modes();
#endif
	return ((char *)stack->end - (char *)stack->begin) >> 4;
}
#endif
