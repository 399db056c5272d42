// SPDX-License-Identifier: GPL-2.0-or-later
#include "watch/relay.h"

#include <stdbool.h>

#define NS_PER_MS 1000000ull

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

int relay_timeout(const struct relay *relay, uint64_t now)
{
	uint64_t first = UINT64_MAX;

	for (uint32_t number = 1; number < GW_MAX_SIGNALS; number++)
		if (relay->due[number] && relay->due[number] < first)
			first = relay->due[number];
	if (first == UINT64_MAX)
		return -1;
	return first > now ? (int)((first - now) / NS_PER_MS) + 1 : 0;
}
