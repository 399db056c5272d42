// SPDX-License-Identifier: GPL-2.0-or-later
#include "model/findings.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Out of memory in uthash: the element is not added, and HASH_ADD's caller sees that it is not. */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>

/* A finding that was reported. */
struct known {
	char *identity; /* owned */
	uint64_t number, count, reported;
	uint64_t next;      /* count at which to report again */
	uint64_t trace;     /* of its last occurrence */
	uint64_t throttled; /* changes of its traces that were not sent */
	enum severity severity;
	UT_hash_handle hh; /* in order of use: the one not seen for longest is first */
};

struct findings {
	struct known *known; /* by identity */
	event_handler handler;
	void *context;
	uint64_t last_number;
	uint64_t forgotten;
};

struct findings *findings_new(event_handler handler, void *context)
{
	struct findings *findings = calloc(1, sizeof(*findings));

	if (!findings)
		return NULL;
	findings->handler = handler;
	findings->context = context;
	return findings;
}

void findings_free(struct findings *findings)
{
	struct known *known, *next;

	if (!findings)
		return;
	known = findings->known;
	HASH_CLEAR(hh, findings->known); /* the table; the elements stay linked */
	for (; known; known = next) {
		next = known->hh.next;
		free(known->identity);
		free(known);
	}
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

/* An entry for a new finding; the one that has not been used for longest gives up its own. */
static struct known *take_entry(struct findings *findings, uint64_t time)
{
	struct known *oldest = findings->known;

	if (HASH_COUNT(findings->known) < FINDINGS_MAX)
		return calloc(1, sizeof(*oldest));
	report_last(findings, oldest, time);
	HASH_DEL(findings->known, oldest);
	free(oldest->identity);
	findings->forgotten++;
	return oldest;
}

/* Without memory it is not remembered, and the next occurrence is a new finding. */
static void remember(struct findings *findings, const struct event *event)
{
	struct known *known = take_entry(findings, event->time);

	if (!known)
		return;
	*known = (struct known){
		.identity = identity(event),
		.number = event->finding.number,
		.count = 1,
		.reported = 1,
		.next = 10,
		.trace = event->finding.trace,
		.severity = event->finding.severity,
	};
	if (known->identity) {
		HASH_ADD_KEYPTR(hh, findings->known, known->identity, strlen(known->identity),
				known);
	}
	if (known->hh.tbl)
		return;
	free(known->identity);
	free(known);
}

/* Moves a finding behind those that have not occurred since. Out of memory: it is forgotten. */
static bool note_use(struct findings *findings, struct known *known, uint64_t time)
{
	if (!known->hh.next)
		return true;
	HASH_DEL(findings->known, known);
	HASH_ADD_KEYPTR(hh, findings->known, known->identity, strlen(known->identity), known);
	if (known->hh.tbl)
		return true;
	report_last(findings, known, time);
	findings->forgotten++;
	free(known->identity);
	free(known);
	return false;
}

static struct known *find(struct findings *findings, const struct event *event)
{
	char *key = identity(event);
	struct known *known = NULL;

	if (key)
		HASH_FIND_STR(findings->known, key, known);
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

bool findings_take(struct findings *findings, struct event *event)
{
	struct known *known = find_known(findings, event);

	if (!known || !note_use(findings, known, event->time)) {
		event->finding.number = ++findings->last_number;
		event->finding.count = 1;
		remember(findings, event);
		findings->handler(findings->context, event);
		return true;
	}
	known->trace = event->finding.trace;
	if (++known->count == known->next) {
		known->next *= 10;
		report_repeats(findings, event, known);
	}
	return false;
}

void findings_note_throttled(struct findings *findings, uint64_t trace, uint64_t count)
{
	for (struct known *known = findings->known; known; known = known->hh.next)
		if (known->trace == trace)
			known->throttled += count;
}

void findings_finish(struct findings *findings, uint64_t time)
{
	for (struct known *known = findings->known; known; known = known->hh.next)
		report_last(findings, known, time);
}

uint64_t findings_forgotten(const struct findings *findings)
{
	return findings->forgotten;
}
