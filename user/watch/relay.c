// SPDX-License-Identifier: GPL-2.0-or-later
#include "watch/relay.h"

#include <stdbool.h>

void relay_take(struct relay *relay, uint32_t number, uint64_t now)
{
	if (number < GW_MAX_SIGNALS && !relay->due[number])
		relay->due[number] = now + RELAY_NS;
}

static bool was_sent_to_both(const struct gw_signals *signals, uint32_t number)
{
	const struct gw_sent *own = &signals->own[number], *command = &signals->command[number];
	uint64_t between = own->time > command->time ? own->time - command->time
						     : command->time - own->time;

	return own->sender == command->sender && between < RELAY_NS;
}

uint32_t relay_next(struct relay *relay, uint64_t now)
{
	for (uint32_t number = 1; number < GW_MAX_SIGNALS; number++) {
		if (!relay->due[number] || relay->due[number] > now)
			continue;
		relay->due[number] = 0;
		if (!was_sent_to_both(relay->signals, number))
			return number;
	}
	return 0;
}

uint64_t relay_due(const struct relay *relay)
{
	uint64_t first = 0;

	for (uint32_t number = 1; number < GW_MAX_SIGNALS; number++)
		if (relay->due[number] && (!first || relay->due[number] < first))
			first = relay->due[number];
	return first;
}
