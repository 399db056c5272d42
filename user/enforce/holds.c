// SPDX-License-Identifier: GPL-2.0-or-later
#include "enforce/holds.h"

#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/str.h"
#include "enforce/saved.h"

#define ENDING_NS 500000000ull /* a process that is killed runs so long until it has ended */

struct hold {
	struct hold *next;
	struct target target;
	struct event event;
	void *frames;        /* of event.stack */
	uint64_t since;      /* ns */
	uint64_t stopped;    /* gw_held.stopped at that time */
	uint64_t runs_since; /* ns, when it was first seen to run; 0: it stands still */
};

struct holds {
	uint64_t limit;
	struct stops stops;
	holds_handler handler;
	void *context;
	struct hold *first;
};

struct holds *holds_new(uint64_t limit, const struct stops *stops, holds_handler handler,
			void *context)
{
	struct holds *holds = calloc(1, sizeof(*holds));

	if (holds) {
		holds->limit = limit;
		holds->stops = *stops;
		holds->handler = handler;
		holds->context = context;
	}
	return holds;
}

static void remove_first(struct hold **at)
{
	struct hold *hold = *at;

	*at = hold->next;
	target_close(&hold->target);
	free(hold->frames);
	free(hold);
}

void holds_free(struct holds *holds)
{
	while (holds && holds->first)
		remove_first(&holds->first);
	free(holds);
}

int holds_add(struct holds *holds, const struct target *target, const struct event *event,
	      uint64_t now)
{
	struct hold *hold = malloc(sizeof(*hold));
	struct gw_answer answer;
	struct gw_held held;

	if (!hold)
		return -ENOMEM;
	*hold = (struct hold){.next = holds->first, .target = *target, .since = now};
	saved_copy(&hold->event, &hold->frames, event);
	if (stops_get(&holds->stops, target->pid, &held, &answer))
		hold->stopped = held.stopped;
	stops_hold(&holds->stops, target->pid, now + holds->limit);
	holds->first = hold;
	return 0;
}

bool holds_has(const struct holds *holds, pid_t pid)
{
	for (const struct hold *hold = holds->first; hold; hold = hold->next)
		if (hold->target.pid == pid)
			return true;
	return false;
}

static void report(struct holds *holds, struct hold *hold, const char *why, uint64_t now)
{
	struct event_action *action = &hold->event.action;

	hold->event.time = now;
	action->outcome = ACTION_LET_GO;
	action->duration_ns = clock_between(hold->since, now);
	str_format(action->detail, sizeof(action->detail), "%s", why);
	holds->handler(holds->context, &hold->event);
}

/* Continues a held process. Returns what is reported of it, NULL: it could not be, and is held
 * still.
 */
static const char *let_go(const struct holds *holds, struct hold *hold, const char *why)
{
	const struct target *target = &hold->target;
	int code = stops_continue(&holds->stops, target->pid, target->start_time);

	if (code && target_has_ended(target))
		return "it has ended";
	return code ? NULL : why;
}

/* Why a process is held no longer; NULL: it is. */
static const char *why_over(const struct holds *holds, struct hold *hold, uint64_t now)
{
	if (target_has_ended(&hold->target))
		return "it has ended";
	/* Also if it runs: then the watchdog has continued it. */
	if (clock_between(hold->since, now) >= holds->limit)
		return let_go(holds, hold, "its time is over");
	/* Only a process that is seen to run was released: without a descriptor nothing is seen. */
	if (target_look(&hold->target) != -EAGAIN) {
		hold->runs_since = 0;
		return NULL;
	}
	/* One that is killed runs as well, until it has ended. */
	if (!hold->runs_since)
		hold->runs_since = now;
	if (clock_between(hold->runs_since, now) < ENDING_NS)
		return NULL;
	stops_note_continued(&holds->stops, hold->target.pid, hold->stopped);
	return "released by somebody";
}

void holds_tick(struct holds *holds, uint64_t now)
{
	struct hold **at = &holds->first;

	while (*at) {
		const char *why = why_over(holds, *at, now);

		if (why) {
			report(holds, *at, why, now);
			remove_first(at);
		} else {
			at = &(*at)->next;
		}
	}
}

void holds_release_all(struct holds *holds, const char *why, uint64_t now)
{
	struct hold **at = &holds->first;

	while (*at) {
		const char *what = let_go(holds, *at, why);

		if (what) {
			report(holds, *at, what, now);
			remove_first(at);
		} else {
			at = &(*at)->next;
		}
	}
}
