// SPDX-License-Identifier: GPL-2.0-or-later
#include "watch/arrivals.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/fair.h"
#include "target/procfs.h"

#define ALL_EVERY_NS   2000000000ull /* to look at all processes takes long where there are many */
#define RETRY_AFTER_NS 500000000ull  /* the first time, then twice as long each */
#define TELL_AFTER     4             /* tries, as what is short may be there again soon */
#define MAX_DOUBLINGS  6             /* of the time between two tries */
#define SCAN_SHARE     4             /* of the budget, at least, for the look at all: one in four */

void arrivals_lost(struct arrivals *arrivals)
{
	arrivals->lost = true;
}

/* --- queues ------------------------------------------------------------------------------------
 */

/* -1: it is not there. */
static int find(const struct arrivals_queue *queue, uint32_t pid)
{
	for (unsigned int i = 0; i < queue->count; i++)
		if (queue->item[i].pid == pid)
			return (int)i;
	return -1;
}

static struct arrival take(struct arrivals_queue *queue, int index)
{
	struct arrival arrival = queue->item[index];

	queue->count--;
	memmove(&queue->item[index], &queue->item[index + 1],
		(queue->count - (unsigned int)index) * sizeof(arrival));
	return arrival;
}

static bool has_room(const struct arrivals_queue *queue, uint32_t uid)
{
	unsigned int same_user = 0;

	for (unsigned int i = 0; i < queue->count; i++)
		same_user += queue->item[i].uid == uid;
	return queue->count < ARRIVALS_MAX && same_user < ARRIVALS_PER_USER;
}

static void put(struct arrivals *arrivals, struct arrivals_queue *queue,
		const struct arrival *arrival)
{
	if (has_room(queue, arrival->uid))
		queue->item[queue->count++] = *arrival;
	else
		arrivals_lost(arrivals);
}

/* One that is tried again has something new: it need not wait for its next try. */
void arrivals_add(struct arrivals *arrivals, uint32_t pid, uint32_t uid, uint64_t time)
{
	struct arrival arrival = {.pid = pid, .uid = uid, .time = time};
	int index;

	if (find(&arrivals->waiting, pid) >= 0)
		return;
	index = find(&arrivals->retries, pid);
	if (index >= 0)
		arrival = take(&arrivals->retries, index);
	put(arrivals, &arrivals->waiting, &arrival);
}

static const struct arrival *known(const struct arrivals *arrivals, uint32_t pid)
{
	int index = find(&arrivals->waiting, pid);

	if (index >= 0)
		return &arrivals->waiting.item[index];
	index = find(&arrivals->retries, pid);
	return index >= 0 ? &arrivals->retries.item[index] : NULL;
}

void arrivals_fork(struct arrivals *arrivals, uint32_t parent, uint32_t child)
{
	const struct arrival *arrival = known(arrivals, parent);

	if (arrival)
		arrivals_add(arrivals, child, arrival->uid, arrival->time);
}

/* The one whose user's turn it is; -1: none waits. */
static int next_waiting(const struct arrivals *arrivals)
{
	const struct arrivals_queue *queue = &arrivals->waiting;
	uint32_t least = 0;
	int next = -1;

	for (unsigned int i = 0; i < queue->count; i++) {
		uint32_t distance = fair_distance(queue->item[i].uid, arrivals->last_uid);

		if (next >= 0 && distance >= least)
			continue;
		next = (int)i;
		least = distance;
	}
	return next;
}

_Static_assert((RETRY_AFTER_NS << MAX_DOUBLINGS) < PROCESSES_RETRY_NS, "refused ones are noted");

/* The one that was to be tried first; -1: none. */
static int next_retry(const struct arrivals *arrivals)
{
	const struct arrivals_queue *queue = &arrivals->retries;
	int next = -1;

	for (unsigned int i = 0; i < queue->count; i++)
		if (next < 0 || queue->item[i].after < queue->item[next].after)
			next = (int)i;
	return next;
}

static bool is_due(const struct arrivals *arrivals, int retry, uint64_t now)
{
	return retry >= 0 && arrivals->retries.item[retry].after <= now;
}

/* --- looking -----------------------------------------------------------------------------------
 */

static uint64_t retry_after(unsigned int tries)
{
	return RETRY_AFTER_NS << (tries > MAX_DOUBLINGS ? MAX_DOUBLINGS : tries - 1);
}

static void try_later(struct arrivals *arrivals, struct arrival *arrival)
{
	arrival->tries++;
	arrival->after = clock_monotonic() + retry_after(arrival->tries);
	put(arrivals, &arrivals->retries, arrival);
}

static void look_at(struct arrivals *arrivals, struct discover *discover, struct arrival arrival)
{
	int code = discover_process(discover, arrival.pid, arrival.time);

	if (!code)
		return;
	try_later(arrivals, &arrival);
	/* For -EAGAIN no event is sent here: the file's "skipped" event has said why. */
	if (arrival.tries == TELL_AFTER && code != -EAGAIN)
		discover_failed(discover, arrival.pid, code);
}

static void look_at_waiting(struct arrivals *arrivals, struct discover *discover, uint64_t end)
{
	int index;

	while ((index = next_waiting(arrivals)) >= 0 && clock_monotonic() < end) {
		arrivals->last_uid = arrivals->waiting.item[index].uid;
		look_at(arrivals, discover, take(&arrivals->waiting, index));
	}
}

/* One at least: there may never be time left. */
static void look_at_retries(struct arrivals *arrivals, struct discover *discover, uint64_t end)
{
	uint64_t now = clock_monotonic();
	int index = next_retry(arrivals);

	while (is_due(arrivals, index, now)) {
		look_at(arrivals, discover, take(&arrivals->retries, index));
		now = clock_monotonic();
		index = now < end ? next_retry(arrivals) : -1;
	}
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
	struct arrival arrival = {.pid = (uint32_t)pid};
	int code;

	if ((uint32_t)pid <= arrivals->looked_at || scan->stopped)
		return;
	if (clock_monotonic() > scan->end) {
		scan->stopped = true;
		return;
	}
	code = discover_process(scan->discover, (uint32_t)pid, 0);
	arrivals->looked_at = (uint32_t)pid;
	if (!code || code == -EACCES || code == -EPERM || known(arrivals, (uint32_t)pid))
		return;
	procfs_owner(pid, &arrival.uid);
	try_later(arrivals, &arrival);
}

/* Goes on to look at all processes. A process that starts meanwhile reports its mappings. */
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

void arrivals_all(struct arrivals *arrivals)
{
	arrivals->lost = false;
	arrivals->scanning = true;
	arrivals->looked_at = 0;
}

bool arrivals_look(struct arrivals *arrivals, struct discover *discover, uint64_t budget)
{
	uint64_t end = clock_monotonic() + budget, now;

	look_at_waiting(arrivals, discover, end);
	look_at_retries(arrivals, discover, end);
	now = clock_monotonic();
	if (!arrivals->scanning && arrivals->lost && now >= arrivals->again)
		arrivals_all(arrivals);
	if (arrivals->scanning) {
		uint64_t least = now + budget / SCAN_SHARE;

		scan_all(arrivals, discover, least > end ? least : end);
	}
	return arrivals->scanning || arrivals->waiting.count ||
	       is_due(arrivals, next_retry(arrivals), clock_monotonic());
}

bool arrivals_wait(const struct arrivals *arrivals, uint64_t time)
{
	for (unsigned int i = 0; i < arrivals->waiting.count; i++)
		if (arrivals->waiting.item[i].time <= time)
			return true;
	return arrivals->scanning;
}

uint64_t arrivals_next_time(const struct arrivals *arrivals)
{
	int index = next_retry(arrivals);
	uint64_t time = index < 0 ? 0 : arrivals->retries.item[index].after;

	if (arrivals->lost && (!time || arrivals->again < time))
		time = arrivals->again ? arrivals->again : 1;
	return time;
}
