/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The part of libc10 that gradwatch looks at, for tests without PyTorch: same names, same calling
 * conventions, same kinds of thread-local layout, same semantics; nothing else of it.
 *
 * Two generations (c10/core/AutogradState.h, c10/core/impl/TorchDispatchModeTLS.h of PyTorch):
 *   default          2.2 and later: infra modes in slots by key, autograd state with a destructor
 *   STANDIN_STACK    2.0 - 2.1: one stack of modes, a one-byte autograd state
 * and two ways to reach it: all variables from one base (2.9 and later, Debian), or with
 * STANDIN_PAIRS, which STANDIN_STACK implies, by one GOT pair per variable (wheels until 2.5).
 * Like in libc10, every state is in a translation unit of its own, so it has its own guard.
 */
#ifndef STANDIN_C10_H
#define STANDIN_C10_H

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <tuple>
#include <vector>

/* Said aloud, since the compiler's choice depends on its version. */
#if defined(STANDIN_STACK) || defined(STANDIN_PAIRS)
#define STANDIN_TLS __attribute__((tls_model("global-dynamic"))) thread_local
#else
#define STANDIN_TLS __attribute__((tls_model("local-dynamic"))) thread_local
#endif

struct _object; /* PyObject */

namespace c10
{

/* A counted reference to a Python object. libc10 has the interpreter in the second word. */
struct SafePyObject {
	SafePyObject(_object *object, void *interpreter);
	SafePyObject(const SafePyObject &) = delete;
	SafePyObject &operator=(const SafePyObject &) = delete;
	~SafePyObject();

	_object *data_;
	void *interpreter_;
};

template <typename T> struct SafePyObjectT : SafePyObject {
	using SafePyObject::SafePyObject;
};

struct AutogradState {
	static AutogradState &get_tls_state();
	static void set_tls_state(AutogradState state);

	AutogradState(bool grad, bool inference, bool forward, bool threads);
#ifndef STANDIN_STACK
	/* Never engaged here, but it makes the layout and asks for a destructor. */
	AutogradState(const AutogradState &other);
	AutogradState &operator=(const AutogradState &other);
	~AutogradState();
	std::optional<std::array<void *, 2>> graph_exec_group_;
#endif
	bool grad_mode_ : 1;
	bool inference_mode_ : 1;
	bool fw_grad_mode_ : 1;
	bool multithreading_enabled_ : 1;
	bool view_replay_enabled_ : 1;
};

struct GradMode {
	static bool is_enabled();
	static void set_enabled(bool enabled);
};

namespace impl
{

enum class TorchDispatchModeKey : int8_t { FAKE, PROXY, FUNCTIONAL, NUM_MODE_KEYS };

#ifdef STANDIN_STACK
using Mode = SafePyObject;
#else
using Mode = SafePyObjectT<TorchDispatchModeKey>;
#endif

struct TorchDispatchModeTLS {
	static const std::shared_ptr<Mode> pop_stack();
	static const std::shared_ptr<Mode> &get_stack_at(int64_t index);
	static int64_t stack_len();
	static const TorchDispatchModeTLS &get_state();
	static void set_state(TorchDispatchModeTLS state);
#ifdef STANDIN_STACK
	static void push_onto_stack(std::shared_ptr<Mode> mode);
#else
	static void push_non_infra_mode_onto_stack(std::shared_ptr<Mode> mode);
	static const std::tuple<std::shared_ptr<Mode>, TorchDispatchModeKey>
	pop_highest_infra_mode();
	static const std::optional<std::shared_ptr<Mode>> get_mode(TorchDispatchModeKey key);
	static const std::optional<std::shared_ptr<Mode>> unset_mode(TorchDispatchModeKey key);
	static void set_mode(const std::shared_ptr<Mode> &mode, TorchDispatchModeKey key);
	static bool any_modes_set(bool skip_infra_modes = false);
#endif

	std::vector<std::shared_ptr<Mode>> stack_;
#ifndef STANDIN_STACK
	std::array<std::optional<std::shared_ptr<Mode>>,
		   static_cast<size_t>(TorchDispatchModeKey::NUM_MODE_KEYS)>
		infra_modes_;
#endif
};

} // namespace impl
} // namespace c10

#endif
