// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What the driver calls through ctypes, where the C++ functions take a std::shared_ptr.
 * Keys: -1 is a user mode, others are TorchDispatchModeKey.
 */
#include "c10.h"

#include <dlfcn.h>

#include <atomic>
#include <thread>
#include <vector>

using c10::impl::Mode;
using Tls = c10::impl::TorchDispatchModeTLS;
using Key = c10::impl::TorchDispatchModeKey;

namespace
{
/* The interpreter is the process that loaded us: nothing to link against, any version does. */
template <typename Function> Function python(const char *name)
{
	return reinterpret_cast<Function>(dlsym(RTLD_DEFAULT, name));
}

_object *object_of(const std::shared_ptr<Mode> &mode)
{
	return mode ? mode->data_ : nullptr;
}
} // namespace

c10::SafePyObject::SafePyObject(_object *object, void *interpreter)
    : data_(object), interpreter_(interpreter)
{
	static const auto incref = python<void (*)(_object *)>("Py_IncRef");

	incref(data_);
}

/* May run when a thread ends, without the interpreter's lock, or when the interpreter is gone. */
c10::SafePyObject::~SafePyObject()
{
	static const auto alive = python<int (*)()>("Py_IsInitialized");
	static const auto lock = python<int (*)()>("PyGILState_Ensure");
	static const auto unlock = python<void (*)(int)>("PyGILState_Release");
	static const auto decref = python<void (*)(_object *)>("Py_DecRef");

	if (!alive())
		return;
	int state = lock();
	decref(data_);
	unlock(state);
}

extern "C" {

int standin_keyed()
{
#ifdef STANDIN_STACK
	return 0;
#else
	return 1;
#endif
}

void standin_push(_object *object, int key)
{
	auto mode = std::make_shared<Mode>(object, nullptr);

#ifdef STANDIN_STACK
	(void)key;
	Tls::push_onto_stack(std::move(mode));
#else
	if (key < 0)
		Tls::push_non_infra_mode_onto_stack(std::move(mode));
	else
		Tls::set_mode(mode, static_cast<Key>(key));
#endif
}

void standin_pop(int key)
{
#ifdef STANDIN_STACK
	(void)key;
	Tls::pop_stack();
#else
	if (key < 0)
		Tls::pop_stack();
	else
		Tls::unset_mode(static_cast<Key>(key));
#endif
}

/* What happens around a traced operator: the mode on top is popped, and pushed back. */
void standin_operator(void (*body)())
{
#ifdef STANDIN_STACK
	auto mode = Tls::pop_stack();

	if (body)
		body();
	Tls::push_onto_stack(mode);
#else
	auto [mode, key] = Tls::pop_highest_infra_mode();

	if (body)
		body();
	Tls::set_mode(mode, key);
#endif
}

/*
 * Threads one after the other, each of which enters a mode, changes the grad mode twice and ends.
 * Called without the interpreter's lock.
 */
void standin_short_threads(_object *object, int key, int count)
{
	static const auto lock = python<int (*)()>("PyGILState_Ensure");
	static const auto unlock = python<void (*)(int)>("PyGILState_Release");
	auto body = [&] {
		int state = lock();

		standin_push(object, key);
		unlock(state);
		c10::GradMode::set_enabled(false);
		c10::GradMode::set_enabled(true);
	};

	for (int i = 0; i < count; i++)
		std::thread(body).join();
}

/* Threads that change the grad mode in a trace without pause, until standin_calm(). */
static std::atomic<bool> calm{false};
static std::atomic<long> storm_calls{0};
static auto &storming = *new std::vector<std::thread>; /* outlives an exit without calm */

void standin_storm(_object *object, int key, int count)
{
	static const auto lock = python<int (*)()>("PyGILState_Ensure");
	static const auto unlock = python<void (*)(int)>("PyGILState_Release");
	auto body = [=] {
		int state = lock();

		standin_push(object, key);
		unlock(state);
		long calls = 0;

		for (bool on = false; !calm; on = !on, calls++)
			c10::GradMode::set_enabled(on);
		storm_calls += calls;
	};

	calm = false;
	storm_calls = 0;
	for (int i = 0; i < count; i++)
		storming.emplace_back(body);
}

/* Returns how often they have called the setter, each time with another mode. */
long standin_calm()
{
	calm = true;
	for (auto &thread : storming)
		thread.join();
	storming.clear();
	return storm_calls;
}

/* The objects that may be the tracing mode, by index; NULL after the last. New reference: none. */
_object *standin_candidate(int index)
{
#ifdef STANDIN_STACK
	return index < Tls::stack_len() ? object_of(Tls::get_stack_at(index)) : nullptr;
#else
	auto mode = Tls::get_mode(Key::PROXY);

	return index == 0 && mode ? object_of(*mode) : nullptr;
#endif
}
}
