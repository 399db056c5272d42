// SPDX-License-Identifier: GPL-2.0-or-later
#include "act/holds.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>

#include "base/str.h"

struct hold {
	struct hold *next;
	struct target target;
	struct event event;
	uint64_t since;
};

struct holds {
	uint64_t limit;
	holds_handler handler;
	void *context;
	struct hold *first;
};

struct holds *holds_new(uint64_t limit, holds_handler handler, void *context)
{
	struct holds *holds = calloc(1, sizeof(*holds));

	if (holds) {
		holds->limit = limit;
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

	if (!hold)
		return -ENOMEM;
	*hold = (struct hold){
		.next = holds->first, .target = *target, .event = *event, .since = now};
	hold->event.stack = (struct event_stack){.user = -1}; /* the frames are not ours */
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

static void tell(struct holds *holds, struct hold *hold, const char *why, uint64_t now)
{
	struct event_action *action = &hold->event.action;

	hold->event.time = now;
	action->outcome = ACTION_LET_GO;
	action->duration_ns = now - hold->since;
	str_format(action->detail, sizeof(action->detail), "%s", why);
	holds->handler(holds->context, &hold->event);
}

/* Why a process is held no longer; NULL: it is. */
static const char *why_over(const struct holds *holds, struct hold *hold, uint64_t now)
{
	if (target_has_ended(&hold->target))
		return "it has ended";
	if (!target_is_stopped(&hold->target))
		return "released by somebody";
	if (now - hold->since < holds->limit)
		return NULL;
	target_signal(&hold->target, SIGCONT);
	return "its time is over";
}

void holds_tick(struct holds *holds, uint64_t now)
{
	struct hold **at = &holds->first;

	while (*at) {
		const char *why = why_over(holds, *at, now);

		if (why) {
			tell(holds, *at, why, now);
			remove_first(at);
		} else {
			at = &(*at)->next;
		}
	}
}

void holds_release_all(struct holds *holds, const char *why, uint64_t now)
{
	while (holds->first) {
		target_signal(&holds->first->target, SIGCONT);
		tell(holds, holds->first, why, now);
		remove_first(&holds->first);
	}
}
