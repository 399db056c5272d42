// SPDX-License-Identifier: GPL-2.0-or-later
#include "model/findings.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/table.h"

/* A finding that was reported. */
struct known {
	struct table_item item;
	char *identity; /* owned */
	uint64_t number, count, reported;
	uint64_t next;      /* count at which to report again */
	uint64_t trace;     /* of its last occurrence */
	uint64_t throttled; /* changes of its traces that were not sent */
	enum severity severity;
};

struct findings {
	struct table known; /* by identity, in order of use */
	event_handler handler;
	void *context;
	bool each;
	uint64_t last_number;
	uint64_t forgotten;
};

struct findings *findings_new(bool each, event_handler handler, void *context)
{
	struct findings *findings = calloc(1, sizeof(*findings));

	if (!findings)
		return NULL;
	findings->known.capacity = FINDINGS_MAX;
	findings->handler = handler;
	findings->each = each;
	findings->context = context;
	return findings;
}

static void free_known(struct known *known)
{
	free(known->identity);
	free(known);
}

void findings_free(struct findings *findings)
{
	struct table_item *item;

	if (!findings)
		return;
	while ((item = table_pop(&findings->known)))
		free_known((struct known *)item);
	free(findings);
}

/* A place as a part of an identity, malloc'ed; NULL when out of memory. */
static char *place_text(const struct event_frame *frame)
{
	char *text;

	if (!frame)
		return strdup("?");
	/* With their lengths, as the target chooses the names. */
	return asprintf(&text, "%zu %zu %s:%d %s", strlen(frame->file), strlen(frame->function),
			frame->file, frame->line, frame->function) < 0
		       ? NULL
		       : text;
}

/*
 * What makes two findings the same for a person: process, kind of trace and its begin, what changed
 * and whose change it was, what became of it, how bad that is, and the places. malloc'ed.
 */
static char *identity(const struct event *event)
{
	const struct event_finding *finding = &event->finding;
	char *user = place_text(event_user_frame(&event->stack));
	char *decorated = place_text(finding->decorated);
	char *caller = place_text(finding->caller);
	char *text = NULL;

	if (user && decorated && caller &&
	    asprintf(&text, "%" PRIu32 " %" PRIu64 " %d %d %d %d %d %d %d %d %d %d %d %s\n%s\n%s",
		     event->process.pid, event->process.start_time, finding->kind,
		     finding->category, finding->severity, finding->owner, finding->from,
		     finding->to, finding->began, finding->restored, finding->before_attach,
		     finding->certain, event_scope_is_empty(finding), user, decorated, caller) < 0)
		text = NULL;
	free(user);
	free(decorated);
	free(caller);
	return text;
}

static void report_repeats(struct findings *findings, struct event *event, struct known *known)
{
	event->type = EVENT_REPEATED;
	event->finding.number = known->number;
	event->finding.count = known->count;
	event->finding.throttled = known->throttled;
	event->finding.severity = known->severity;
	known->reported = known->count;
	known->throttled = 0;
	findings->handler(findings->context, event);
}

/* Reports what is not reported yet of a finding that will not occur again. */
static void report_last(struct findings *findings, struct known *known, uint64_t time)
{
	struct event event = {.type = EVENT_REPEATED, .time = time};

	event.stack.user = -1;
	if (known->count > known->reported || known->throttled)
		report_repeats(findings, &event, known);
}

/* The one that has not been used for longest gives up its place. */
static void make_room(struct findings *findings, uint64_t time)
{
	struct known *oldest = (struct known *)table_surplus(&findings->known);

	if (!oldest)
		return;
	report_last(findings, oldest, time);
	table_remove(&findings->known, &oldest->item);
	free_known(oldest);
	findings->forgotten++;
}

/* Without memory it is not remembered, and the next occurrence is a new finding. */
static void remember(struct findings *findings, const struct event *event)
{
	struct known *known = calloc(1, sizeof(*known));

	if (!known)
		return;
	make_room(findings, event->time);
	known->identity = identity(event);
	known->number = event->finding.number;
	known->count = known->reported = 1;
	known->next = 10;
	known->trace = event->finding.trace;
	known->severity = event->finding.severity;
	if (!known->identity ||
	    table_add(&findings->known, &known->item, known->identity, strlen(known->identity)))
		free_known(known);
}

static struct known *find(struct findings *findings, const struct event *event)
{
	char *key = identity(event);
	struct known *known = NULL;

	if (key)
		known = (struct known *)table_find(&findings->known, key, strlen(key));
	free(key);
	return known;
}

/*
 * The finding that an occurrence belongs to of which only the beginning was sent: of those that are
 * the same but for what is not known, which is what became of it and whether it was empty.
 */
static struct known *find_like(struct findings *findings, const struct event *event)
{
	static const enum restored restored[] = {RESTORED_YES, RESTORED_NO};
	static const enum severity severity[] = {SEVERITY_VIOLATION, SEVERITY_LOW};
	struct event like = *event;

	for (int i = 0; i < 4; i++) {
		struct known *known;

		like.finding.restored = restored[i / 2];
		like.finding.uncounted = false;
		like.finding.operators = severity[i % 2] == SEVERITY_VIOLATION;
		if (event->finding.severity <= SEVERITY_LOW)
			like.finding.severity = severity[i % 2];
		known = find(findings, &like);
		if (known)
			return known;
	}
	return NULL;
}

static struct known *find_known(struct findings *findings, const struct event *event)
{
	const struct event_finding *finding = &event->finding;
	struct known *known = NULL;

	if (finding->restored == RESTORED_UNKNOWN && finding->uncounted && !finding->before_attach)
		known = find_like(findings, event);
	return known ? known : find(findings, event);
}

static void report_occurrence(struct findings *findings, const struct event *event,
			      const struct known *known)
{
	struct event again = {.type = EVENT_AGAIN, .time = event->time, .stack = {.user = -1}};

	again.finding.number = known->number;
	again.finding.count = known->count;
	again.finding.severity = known->severity;
	findings->handler(findings->context, &again);
}

bool findings_suppress(struct suppressions *suppressions, struct event *event)
{
	const struct event_frame *place = event_place(event);
	struct event_finding *finding = &event->finding;
	int index;

	if (!suppressions)
		return false;
	index = suppressions_match(suppressions, finding->kind, place ? place->file : "",
				   place ? place->function : "");
	if (index < 0)
		return false;
	suppressions_count(suppressions, index, 1);
	finding->suppression = suppressions_name_of(suppressions, index);
	return true;
}

bool findings_take(struct findings *findings, struct event *event)
{
	struct known *known = find_known(findings, event);

	if (!known) {
		event->finding.number = ++findings->last_number;
		event->finding.count = 1;
		remember(findings, event);
		findings->handler(findings->context, event);
		return true;
	}
	table_touch(&findings->known, &known->item);
	known->trace = event->finding.trace;
	known->count++;
	if (findings->each)
		report_occurrence(findings, event, known);
	if (known->count == known->next) {
		known->next *= 10;
		report_repeats(findings, event, known);
	}
	return false;
}

void findings_note_throttled(struct findings *findings, uint64_t trace, uint64_t count)
{
	for (struct table_item *item = findings->known.oldest; item; item = item->next) {
		struct known *known = (struct known *)item;

		if (known->trace == trace)
			known->throttled += count;
	}
}

void findings_finish(struct findings *findings, uint64_t time)
{
	for (struct table_item *item = findings->known.oldest; item; item = item->next)
		report_last(findings, (struct known *)item, time);
}

uint64_t findings_forgotten(const struct findings *findings)
{
	return findings->forgotten;
}
