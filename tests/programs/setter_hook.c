// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Stands before c10::GradMode::set_enabled, as native_calls.c does, and calls a Python function
 * before each call. So the function can look at the thread as it is at the change: its Python
 * frames, its dispatch modes. The setter is jumped to, with the stack as it was: it returns to
 * whoever called, as without the hook.
 *
 * The function gets the old and the new grad mode, the address that the setter returns to and the
 * stack pointer of the caller. The constructor and the destructor of a C++ guard run in one frame,
 * so they have the same stack pointer.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <link.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef struct object PyObject;

static void (*real_set_enabled)(bool);
static bool (*is_enabled)(void);

static void *(*this_thread_state)(void);
static int (*ensure)(void);
static void (*release)(int);
static void (*fetch)(PyObject **, PyObject **, PyObject **);
static void (*restore)(PyObject *, PyObject *, PyObject *);
static PyObject *(*call_function)(PyObject *, const char *, ...);
static void (*decref)(PyObject *);

static PyObject *callback; /* the owner is Python */
static __thread bool inside;

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
	is_enabled = dlsym(handle, "_ZN3c108GradMode10is_enabledEv");
	real_set_enabled = dlsym(handle, "_ZN3c108GradMode11set_enabledEb");
	if (!is_enabled || !real_set_enabled)
		abort();
}

/* Called by the program, once, while no other thread calls the setter. */
void setter_hook_install(PyObject *function)
{
	this_thread_state = dlsym(RTLD_DEFAULT, "PyGILState_GetThisThreadState");
	ensure = dlsym(RTLD_DEFAULT, "PyGILState_Ensure");
	release = dlsym(RTLD_DEFAULT, "PyGILState_Release");
	fetch = dlsym(RTLD_DEFAULT, "PyErr_Fetch");
	restore = dlsym(RTLD_DEFAULT, "PyErr_Restore");
	call_function = dlsym(RTLD_DEFAULT, "PyObject_CallFunction");
	decref = dlsym(RTLD_DEFAULT, "Py_DecRef");
	callback = function;
}

/* The callback catches what it raises; the caller's own exception, if any, is kept for it. */
static void call_back(bool from, bool to, void *return_address, void *stack_pointer)
{
	PyObject *type, *value, *traceback, *result;
	int lock = ensure(); /* the autograd engine calls without the GIL */

	fetch(&type, &value, &traceback);
	result = call_function(callback, "iiKK", (int)from, (int)to,
			       (unsigned long long)(uintptr_t)return_address,
			       (unsigned long long)(uintptr_t)stack_pointer);
	if (!result)
		abort();
	decref(result);
	restore(type, value, traceback);
	release(lock);
}

/* c10::GradMode::set_enabled(bool) */
void set_enabled(bool enabled) __asm__("_ZN3c108GradMode11set_enabledEb");

void set_enabled(bool enabled)
{
	if (!real_set_enabled)
		resolve();
	if (callback && !inside && this_thread_state()) {
		inside = true;
		call_back(is_enabled(), enabled, __builtin_return_address(0),
			  __builtin_frame_address(0));
		inside = false;
	}
	real_set_enabled(enabled); /* a jump, at -O2 */
}
