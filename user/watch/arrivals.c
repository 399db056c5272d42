// SPDX-License-Identifier: GPL-2.0-or-later
#include "watch/arrivals.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"

#define ALL_EVERY_NS   2000000000ull /* to look at all processes takes long where there are many */
#define RETRY_AFTER_NS 500000000ull  /* the first time, then twice as long each */
#define TELL_AFTER     4  /* tries, as what is short may be there again soon */
#define MAX_DOUBLINGS  6  /* of the time between two tries */

void arrivals_lost(struct arrivals *arrivals)
{
	arrivals->lost = true;
}

void arrivals_add(struct arrivals *arrivals, uint32_t pid, uint64_t time)
{
	for (unsigned int i = 0; i < arrivals->count; i++)
		if (arrivals->waiting[i].pid == pid) {
			arrivals->waiting[i].after = 0;
			return;
		}
	if (arrivals->count == ARRIVALS_MAX) {
		arrivals_lost(arrivals);
		return;
	}
	arrivals->waiting[arrivals->count++] = (struct arrival){.pid = pid, .time = time};
}

void arrivals_fork(struct arrivals *arrivals, uint32_t parent, uint32_t child)
{
	for (unsigned int i = 0; i < arrivals->count; i++)
		if (arrivals->waiting[i].pid == parent) {
			arrivals_add(arrivals, child, arrivals->waiting[i].time);
			return;
		}
}

/* The first that may be looked at now; -1: none. */
static int next_due(const struct arrivals *arrivals, uint64_t now)
{
	for (unsigned int i = 0; i < arrivals->count; i++)
		if (arrivals->waiting[i].after <= now)
			return (int)i;
	return -1;
}

static uint64_t retry_after(unsigned int tries)
{
	return RETRY_AFTER_NS << (tries > MAX_DOUBLINGS ? MAX_DOUBLINGS : tries - 1);
}

static void look_at(struct arrivals *arrivals, struct discover *discover, int index)
{
	struct arrival arrival = arrivals->waiting[index];
	int code;

	arrivals->count--;
	memmove(&arrivals->waiting[index], &arrivals->waiting[index + 1],
		(arrivals->count - (unsigned int)index) * sizeof(arrival));
	code = discover_process(discover, arrival.pid, arrival.time);
	if (!code || arrivals->count == ARRIVALS_MAX)
		return;
	if (++arrival.tries == TELL_AFTER)
		discover_failed(discover, arrival.pid, code);
	arrival.after = clock_monotonic() + retry_after(arrival.tries);
	arrivals->waiting[arrivals->count++] = arrival;
}

static void add_failed(void *context, uint32_t pid)
{
	arrivals_add(context, pid, 0);
}

void arrivals_all(struct arrivals *arrivals, struct discover *discover)
{
	arrivals->lost = false;
	discover_all(discover, add_failed, arrivals);
	arrivals->again = clock_monotonic() + ALL_EVERY_NS;
}

bool arrivals_look(struct arrivals *arrivals, struct discover *discover, uint64_t budget)
{
	uint64_t began = clock_monotonic(), now = began;
	int index = -1;

	while (now - began < budget && (index = next_due(arrivals, now)) >= 0) {
		look_at(arrivals, discover, index);
		now = clock_monotonic();
	}
	if (index < 0 && arrivals->lost && now >= arrivals->again) {
		arrivals_all(arrivals, discover);
		now = clock_monotonic();
	}
	return next_due(arrivals, now) >= 0;
}
