// SPDX-License-Identifier: GPL-2.0-or-later
#include "c10.h"

#include <cstdio>
#include <cstdlib>

namespace c10
{
namespace impl
{

namespace
{
STANDIN_TLS TorchDispatchModeTLS torchDispatchModeState;

/* libc10 throws; nothing here could catch it. */
void check(bool good, const char *message)
{
	if (good)
		return;
	std::fprintf(stderr, "standin: %s\n", message);
	std::abort();
}
} // namespace

int64_t TorchDispatchModeTLS::stack_len()
{
	int64_t length = static_cast<int64_t>(torchDispatchModeState.stack_.size());

#ifndef STANDIN_STACK
	for (const auto &mode : torchDispatchModeState.infra_modes_)
		length += mode.has_value();
#endif
	return length;
}

const TorchDispatchModeTLS &TorchDispatchModeTLS::get_state()
{
	return torchDispatchModeState;
}

void TorchDispatchModeTLS::set_state(TorchDispatchModeTLS state)
{
	torchDispatchModeState = std::move(state);
}

#ifdef STANDIN_STACK

void TorchDispatchModeTLS::push_onto_stack(std::shared_ptr<Mode> mode)
{
	torchDispatchModeState.stack_.push_back(std::move(mode));
}

const std::shared_ptr<Mode> TorchDispatchModeTLS::pop_stack()
{
	check(!torchDispatchModeState.stack_.empty(), "trying to pop from empty mode stack");
	std::shared_ptr<Mode> out = std::move(torchDispatchModeState.stack_.back());
	torchDispatchModeState.stack_.pop_back();
	return out;
}

const std::shared_ptr<Mode> &TorchDispatchModeTLS::get_stack_at(int64_t index)
{
	check(index < stack_len(), "tried to get a mode beyond the stack");
	return torchDispatchModeState.stack_[static_cast<size_t>(index)];
}

#else

bool TorchDispatchModeTLS::any_modes_set(bool skip_infra_modes)
{
	if (!torchDispatchModeState.stack_.empty())
		return true;
	if (!skip_infra_modes) {
		for (const auto &mode : torchDispatchModeState.infra_modes_)
			if (mode.has_value())
				return true;
	}
	return false;
}

void TorchDispatchModeTLS::push_non_infra_mode_onto_stack(std::shared_ptr<Mode> mode)
{
	torchDispatchModeState.stack_.push_back(std::move(mode));
}

/* User modes are above infra modes, and of those the one with the highest key is the top. */
const std::shared_ptr<Mode> TorchDispatchModeTLS::pop_stack()
{
	std::shared_ptr<Mode> out;

	if (!torchDispatchModeState.stack_.empty()) {
		out = std::move(torchDispatchModeState.stack_.back());
		torchDispatchModeState.stack_.pop_back();
	} else {
		out = std::get<0>(pop_highest_infra_mode());
	}
	return out;
}

const std::tuple<std::shared_ptr<Mode>, TorchDispatchModeKey>
TorchDispatchModeTLS::pop_highest_infra_mode()
{
	for (int i = static_cast<int>(TorchDispatchModeKey::NUM_MODE_KEYS) - 1; i >= 0; i--) {
		auto &slot = torchDispatchModeState.infra_modes_[static_cast<size_t>(i)];

		if (slot.has_value()) {
			std::shared_ptr<Mode> out = slot.value();

			slot.reset();
			return {std::move(out), static_cast<TorchDispatchModeKey>(i)};
		}
	}
	check(false, "called pop_highest_infra_mode, but no infra modes were active");
	std::abort();
}

const std::shared_ptr<Mode> &TorchDispatchModeTLS::get_stack_at(int64_t index)
{
	check(index < stack_len(), "tried to get a mode beyond the stack");
	for (const auto &mode : torchDispatchModeState.infra_modes_)
		if (mode.has_value() && index-- == 0)
			return mode.value();
	return torchDispatchModeState.stack_[static_cast<size_t>(index)];
}

const std::optional<std::shared_ptr<Mode>> TorchDispatchModeTLS::get_mode(TorchDispatchModeKey key)
{
	return torchDispatchModeState.infra_modes_[static_cast<size_t>(key)];
}

const std::optional<std::shared_ptr<Mode>>
TorchDispatchModeTLS::unset_mode(TorchDispatchModeKey key)
{
	auto &slot = torchDispatchModeState.infra_modes_[static_cast<size_t>(key)];
	std::optional<std::shared_ptr<Mode>> out = slot;

	slot.reset();
	return out;
}

void TorchDispatchModeTLS::set_mode(const std::shared_ptr<Mode> &mode, TorchDispatchModeKey key)
{
	auto &slot = torchDispatchModeState.infra_modes_[static_cast<size_t>(key)];

	check(!slot.has_value(), "trying to set a mode whose slot is taken");
	slot = mode;
}

#endif

} // namespace impl
} // namespace c10
