// SPDX-License-Identifier: GPL-2.0-or-later
#include "watch/arrivals.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "target/procfs.h"

#define ALL_EVERY_NS   2000000000ull /* to look at all processes takes long where there are many */
#define RETRY_AFTER_NS 500000000ull  /* the first time, then twice as long each */
#define TELL_AFTER     4             /* tries, as what is short may be there again soon */
#define MAX_DOUBLINGS  6             /* of the time between two tries */

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

_Static_assert((RETRY_AFTER_NS << MAX_DOUBLINGS) < PROCESSES_RETRY_NS, "refused ones are noted");

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
	if (!code)
		return;
	if (arrivals->count == ARRIVALS_MAX) {
		arrivals_lost(arrivals);
		return;
	}
	/* For -EAGAIN no event is sent here: the file's "skipped" event has said why. */
	if (++arrival.tries == TELL_AFTER && code != -EAGAIN)
		discover_failed(discover, arrival.pid, code);
	arrival.after = clock_monotonic() + retry_after(arrival.tries);
	arrivals->waiting[arrivals->count++] = arrival;
}

struct scan {
	struct arrivals *arrivals;
	struct discover *discover;
	uint64_t end; /* no process is looked at after this time */
	bool stopped; /* some are left */
};

/* /proc lists processes in the order of their ids. */
static void visit(void *context, pid_t pid)
{
	struct scan *scan = context;
	struct arrivals *arrivals = scan->arrivals;
	int code;

	if ((uint32_t)pid <= arrivals->looked_at || scan->stopped)
		return;
	if (clock_monotonic() > scan->end) {
		scan->stopped = true;
		return;
	}
	code = discover_process(scan->discover, (uint32_t)pid, 0);
	arrivals->looked_at = (uint32_t)pid;
	if (code && code != -EACCES && code != -EPERM)
		arrivals_add(arrivals, (uint32_t)pid, 0);
}

/* Goes on to look at all processes. A process that starts meanwhile tells of its mappings. */
static void scan_all(struct arrivals *arrivals, struct discover *discover, uint64_t end)
{
	struct scan scan = {arrivals, discover, end, false};

	if (procfs_each_process(visit, &scan))
		arrivals_lost(arrivals); /* no descriptor, it may be: it is tried again */
	if (scan.stopped)
		return;
	arrivals->scanning = false;
	arrivals->again = clock_monotonic() + ALL_EVERY_NS;
}

static void start_scan(struct arrivals *arrivals)
{
	arrivals->lost = false;
	arrivals->scanning = true;
	arrivals->looked_at = 0;
}

void arrivals_all(struct arrivals *arrivals, struct discover *discover)
{
	start_scan(arrivals);
	scan_all(arrivals, discover, UINT64_MAX);
}

bool arrivals_look(struct arrivals *arrivals, struct discover *discover, uint64_t budget)
{
	uint64_t began = clock_monotonic(), now = began;
	int index = -1;

	while (now - began < budget && (index = next_due(arrivals, now)) >= 0) {
		look_at(arrivals, discover, index);
		now = clock_monotonic();
	}
	if (!arrivals->scanning && arrivals->lost && now >= arrivals->again)
		start_scan(arrivals);
	if (index < 0 && arrivals->scanning)
		scan_all(arrivals, discover,
			 budget > UINT64_MAX - began ? UINT64_MAX : began + budget);
	return arrivals->scanning || next_due(arrivals, clock_monotonic()) >= 0;
}
