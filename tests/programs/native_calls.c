// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The oracle for calls that Python does not see: C++ code (autograd's engine and functions,
 * functorch) calls c10::GradMode::set_enabled, too. Preloaded, this stands before libc10's own
 * function, notes each call with the thread's state as libc10's own functions tell it, and passes
 * it on.
 *
 * The calls are written at exit as JSON Lines, in the form of oracle.py, to $NATIVE_CALLS.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <link.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define MAX_CALLS 400000
#define KEY_PROXY 1

struct call {
	uint64_t before, after;
	uint32_t tid;
	bool current, new, engaged, pre_dispatch, changed;
};

/* std::optional<std::shared_ptr<T>>, and what T begins with: the Python object. */
struct holder {
	void *mode;
};

struct shared {
	struct holder *holder;
	int32_t *control; /* a pointer to the vtable, then the number of users */
};

struct optional {
	struct shared shared;
	bool engaged;
};

static struct call calls[MAX_CALLS];
static atomic_uint call_count;

static void (*real_set_enabled)(bool);
static bool (*is_enabled)(void);
static struct optional *(*get_mode)(struct optional *result, uint8_t key);
static int64_t (*stack_len)(void);
static struct shared *(*get_stack_at)(int64_t index);
static const char *(*key_name)(uint16_t key);
static bool (*is_included)(uint16_t key);
static uint16_t pre_dispatch_key; /* 0: the build has none */

/* By asking every key for its name: gradwatch reads it out of the code. */
static uint16_t find_key(const char *name)
{
	for (uint16_t key = 1; key < 256; key++)
		if (!strcmp(key_name(key), name))
			return key;
	return 0;
}

static int find_library(struct dl_phdr_info *info, size_t size, void *handle)
{
	(void)size;
	if (!strstr(info->dlpi_name, "/libc10.so"))
		return 0;
	*(void **)handle = dlopen(info->dlpi_name, RTLD_NOLOAD | RTLD_NOW);
	return 1;
}

static void resolve(void)
{
	void *handle = NULL;

	dl_iterate_phdr(find_library, &handle);
	if (!handle)
		abort(); /* whoever called must have loaded it */
#define MODES "_ZN3c104impl20TorchDispatchModeTLS"
	get_mode = dlsym(handle, MODES "8get_modeENS0_20TorchDispatchModeKeyE");
	stack_len = dlsym(handle, MODES "9stack_lenEv");
	get_stack_at = dlsym(handle, MODES "12get_stack_atEl");
	is_enabled = dlsym(handle, "_ZN3c108GradMode10is_enabledEv");
	key_name = dlsym(handle, "_ZN3c108toStringENS_11DispatchKeyE");
	is_included = dlsym(handle, "_ZN3c104impl28tls_is_dispatch_key_includedENS_11DispatchKeyE");
	pre_dispatch_key = find_key("PreDispatch");
	real_set_enabled = dlsym(handle, "_ZN3c108GradMode11set_enabledEb");
}

/* PyObject: references, type. PyTypeObject: references, type, size, name. */
static bool is_proxy_mode(struct holder *holder)
{
	char **type;

	if (!holder || !holder->mode)
		return false;
	type = ((char ***)holder->mode)[1];
	return !strcmp(type[3], "ProxyTorchDispatchMode");
}

static bool engaged(void)
{
	struct optional mode = {0};
	bool found = false;

	if (!get_mode) { /* builds without keys */
		for (int64_t i = stack_len(); i-- > 0;)
			found |= is_proxy_mode(get_stack_at(i)->holder);
		return found;
	}
	get_mode(&mode, KEY_PROXY);
	if (!mode.engaged)
		return false;
	found = is_proxy_mode(mode.shared.holder);
	/* Gives the copy back. The thread's own keeps the object alive. */
	__sync_fetch_and_sub(mode.shared.control + 2, 1);
	return found;
}

static uint64_t now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

/* c10::GradMode::set_enabled(bool) */
void set_enabled(bool enabled) __asm__("_ZN3c108GradMode11set_enabledEb");

void set_enabled(bool enabled)
{
	unsigned int index;
	struct call call;

	if (!real_set_enabled)
		resolve();
	call.tid = (uint32_t)syscall(SYS_gettid);
	call.engaged = engaged();
	call.pre_dispatch = pre_dispatch_key && is_included(pre_dispatch_key);
	call.current = is_enabled();
	call.new = enabled;
	call.before = now();
	real_set_enabled(enabled);
	call.after = now();
	call.changed = is_enabled() != call.current;
	index = atomic_fetch_add(&call_count, 1);
	if (index < MAX_CALLS)
		calls[index] = call;
}

static void write_call(FILE *file, const struct call *call)
{
	static const char *const word[] = {"false", "true"};

	fprintf(file,
		"{\"tid\":%u,\"before_ns\":%llu,\"after_ns\":%llu,\"current\":%s,\"new\":%s,"
		"\"engaged\":%s,\"pre_dispatch\":%s,\"changed\":%s,\"swallowed\":false,"
		"\"violation\":%s}\n",
		call->tid, (unsigned long long)call->before, (unsigned long long)call->after,
		word[call->current], word[call->new], word[call->engaged], word[call->pre_dispatch],
		word[call->changed], word[call->engaged && call->changed]);
}

__attribute__((destructor)) static void save(void)
{
	const char *path = getenv("NATIVE_CALLS");
	unsigned int count = call_count;
	FILE *file;

	if (!count || !path) /* a process that runs another program or has no libtorch */
		return;
	file = count <= MAX_CALLS ? fopen(path, "we") : NULL;
	if (!file)
		abort();
	for (unsigned int i = 0; i < count; i++)
		write_call(file, &calls[i]);
	fclose(file);
}
