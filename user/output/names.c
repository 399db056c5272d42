// SPDX-License-Identifier: GPL-2.0-or-later
#include "output/names.h"

const char *output_action(enum gw_action action)
{
	static const char *const name[GW_ACTION_MAX] = {
		[GW_ACTION_REPORT] = "report", [GW_ACTION_HOLD] = "hold",
		[GW_ACTION_RAISE] = "raise",   [GW_ACTION_SIGNAL] = "signal",
		[GW_ACTION_KILL] = "kill",
	};

	return action < GW_ACTION_MAX ? name[action] : "unknown";
}
