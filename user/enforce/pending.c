// SPDX-License-Identifier: GPL-2.0-or-later
#include "enforce/pending.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "base/str.h"
#include "enforce/saved.h"
#include "target/procfs.h"

/* A process may take a while to end, above all when it has much memory or leaves a core file. */
#define PATIENCE_NS 1000000000ull
#define LAST_NS     2000000000ull /* in all, when gradwatch ends */
#define PAUSE_NS    5000000

struct sent {
	struct sent *next;
	struct target target;
	struct event event;
	void *frames; /* of event.stack */
	const char *why_not;
	uint64_t asked, time;
};

struct pending {
	struct pending_rules rules;
	struct sent *first;
};

struct pending *pending_new(const struct pending_rules *rules)
{
	struct pending *pending = calloc(1, sizeof(*pending));

	if (pending)
		pending->rules = *rules;
	return pending;
}

static void remove_first(struct sent **at)
{
	struct sent *sent = *at;

	*at = sent->next;
	target_close(&sent->target);
	free(sent->frames);
	free(sent);
}

void pending_free(struct pending *pending)
{
	while (pending && pending->first)
		remove_first(&pending->first);
	free(pending);
}

/* Why a signal may not stop the change: asked when it is sent, as a process that ends shows
 * nothing. */
static const char *why_not(const struct target *target, pid_t tid, int signal)
{
	uint64_t bit = 1ull << (signal - 1);
	struct procfs_signals signals;

	if (procfs_signals(tid, &signals) && procfs_signals(target->pid, &signals))
		return "";
	if (signals.tracer)
		return "its tracer has taken the signal";
	if (signals.blocked & bit)
		return "it has blocked the signal";
	if (signals.caught & bit)
		return "it has a handler for the signal, which may run after the change";
	if (signals.ignored & bit)
		return "it ignores the signal";
	if (signals.is_init)
		return "it is PID 1 of its namespace, which signals do not end";
	return "";
}

int pending_add(struct pending *pending, const struct target *target, const struct event *event,
		uint64_t asked, uint64_t now)
{
	struct sent *sent = malloc(sizeof(*sent));
	struct sent **at = &pending->first;

	if (!sent)
		return -ENOMEM;
	*sent = (struct sent){.target = *target, .asked = asked, .time = now};
	sent->why_not = why_not(target, (pid_t)event->process.tid, event->action.signal);
	saved_copy(&sent->event, &sent->frames, event);
	while (*at) /* at the end, so that a handler may add to what it is called for */
		at = &(*at)->next;
	*at = sent;
	return 0;
}

bool pending_has(const struct pending *pending, pid_t pid)
{
	for (const struct sent *sent = pending->first; sent; sent = sent->next)
		if (sent->target.pid == pid)
			return true;
	return false;
}

/* in_time: the process has ended, and not only after the change. */
static void report(struct pending *pending, struct sent *sent, bool in_time, uint64_t now)
{
	struct event_action *action = &sent->event.action;

	sent->event.time = now;
	action->duration_ns = clock_between(sent->time, now);
	action->outcome = in_time ? ACTION_PERFORMED : ACTION_TOO_LATE;
	if (!in_time)
		str_format(action->detail, sizeof(action->detail), "%s", sent->why_not);
	pending->rules.decided(pending->rules.context, &sent->target, &sent->event);
}

static void look(struct pending *pending, uint64_t now, uint64_t patience)
{
	struct sent **at = &pending->first;

	while (*at) {
		bool ended = target_has_ended(&(*at)->target);
		bool ran_on = (*at)->asked &&
			      pending->rules.ran_on(pending->rules.context,
						    (*at)->event.process.tid, (*at)->asked);

		if (ended || ran_on || clock_between((*at)->time, now) > patience) {
			report(pending, *at, ended && !ran_on, now);
			remove_first(at);
		} else {
			at = &(*at)->next;
		}
	}
}

void pending_tick(struct pending *pending, uint64_t now)
{
	look(pending, now, PATIENCE_NS);
}

void pending_finish(struct pending *pending)
{
	const struct timespec pause = {.tv_nsec = PAUSE_NS};
	uint64_t start = clock_monotonic(), now = start;

	while (pending->first && clock_between(start, now) < LAST_NS) {
		look(pending, now, PATIENCE_NS);
		if (pending->first)
			nanosleep(&pause, NULL);
		now = clock_monotonic();
	}
	look(pending, now, 0);
}
