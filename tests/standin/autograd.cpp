// SPDX-License-Identifier: GPL-2.0-or-later
#include "c10.h"

namespace c10
{

namespace
{
STANDIN_TLS AutogradState autograd_state_tls(true, false, true, true);
}

AutogradState::AutogradState(bool grad, bool inference, bool forward, bool threads)
    : grad_mode_(grad), inference_mode_(inference), fw_grad_mode_(forward),
      multithreading_enabled_(threads), view_replay_enabled_(false)
{
}

#ifndef STANDIN_STACK
AutogradState::AutogradState(const AutogradState &other) = default;
AutogradState &AutogradState::operator=(const AutogradState &other) = default;
/* Not inline and not trivial: the state must be registered for destruction, as in libc10. */
AutogradState::~AutogradState()
{
	graph_exec_group_.reset();
}
#endif

AutogradState &AutogradState::get_tls_state()
{
	return autograd_state_tls;
}

void AutogradState::set_tls_state(AutogradState state)
{
	autograd_state_tls = state;
}

bool GradMode::is_enabled()
{
	return AutogradState::get_tls_state().grad_mode_;
}

void GradMode::set_enabled(bool enabled)
{
	AutogradState::get_tls_state().grad_mode_ = enabled;
}

} // namespace c10

/* Changes the grad mode as autograd's own state guards do: without a call to set_enabled. */
extern "C" void standin_restore(int grad)
{
	c10::AutogradState state = c10::AutogradState::get_tls_state();

	state.grad_mode_ = grad;
	c10::AutogradState::set_tls_state(state);
}
