// SPDX-License-Identifier: GPL-2.0-or-later
#include "model/findings.h"

#include <stdlib.h>
#include <string.h>

#include "base/table.h"
#include "model/fingerprint.h"

/* A finding that was reported. */
struct known {
	struct table_item item;
	void *identity; /* owned */
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
	char *key; /* the identity that is looked for; owned */
	size_t key_room;
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
	free(findings->key);
	free(findings);
}

/* A place as a part of an identity. With lengths, as the target chooses the names. */
struct place {
	uint32_t file_size, function_size; /* 0: there is no place */
	int32_t line;
};

/* What makes two findings the same for a person, before the names of their places. */
struct identity {
	uint64_t start_time;
	uint32_t pid;
	uint8_t kind, category, severity, owner, from, to, began, restored;
	uint8_t before_attach, certain, empty, pad;
	struct place place[3]; /* the user's, decorated, caller */
	uint32_t pads;
};
_Static_assert(sizeof(struct identity) == 24 + 3 * sizeof(struct place) + 4, "it has no holes");

static const struct event_frame *place_at(const struct event *event, int index)
{
	return index == 0   ? event_user_frame(&event->stack)
	       : index == 1 ? event->finding.decorated
			    : event->finding.caller;
}

static struct identity identity_of(const struct event *event)
{
	const struct event_finding *finding = &event->finding;
	struct identity identity = {
		.start_time = event->process.start_time,
		.pid = event->process.pid,
		.kind = (uint8_t)finding->kind,
		.category = (uint8_t)finding->category,
		.severity = (uint8_t)finding->severity,
		.owner = (uint8_t)finding->owner,
		.from = finding->from,
		.to = finding->to,
		.began = finding->began,
		.restored = (uint8_t)finding->restored,
		.before_attach = finding->before_attach,
		.certain = finding->certain,
		.empty = event_scope_is_empty(finding),
	};

	for (int i = 0; i < 3; i++) {
		const struct event_frame *frame = place_at(event, i);

		if (frame)
			identity.place[i] = (struct place){(uint32_t)strlen(frame->file) + 1,
							   (uint32_t)strlen(frame->function) + 1,
							   frame->line};
	}
	return identity;
}

/* An identity with its names, in findings->key. Its size; 0 when out of memory. */
static size_t make_key(struct findings *findings, const struct event *event)
{
	const struct identity identity = identity_of(event);
	size_t size = sizeof(identity);
	char *at;

	for (int i = 0; i < 3; i++)
		size += identity.place[i].file_size + identity.place[i].function_size;
	if (size > findings->key_room) {
		char *more = realloc(findings->key, 2 * size);

		if (!more)
			return 0;
		findings->key = more;
		findings->key_room = 2 * size;
	}
	memcpy(findings->key, &identity, sizeof(identity));
	at = findings->key + sizeof(identity);
	for (int i = 0; i < 3; i++) {
		const struct event_frame *frame = place_at(event, i);

		if (!frame)
			continue;
		memcpy(at, frame->file, identity.place[i].file_size);
		at += identity.place[i].file_size;
		memcpy(at, frame->function, identity.place[i].function_size);
		at += identity.place[i].function_size;
	}
	return size;
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
	size_t size;

	if (!known)
		return;
	make_room(findings, event->time);
	size = make_key(findings, event);
	known->identity = size ? malloc(size) : NULL;
	if (known->identity)
		memcpy(known->identity, findings->key, size);
	known->number = event->finding.number;
	known->count = known->reported = 1;
	known->next = 10;
	known->trace = event->finding.trace;
	known->severity = event->finding.severity;
	if (!known->identity || table_add(&findings->known, &known->item, known->identity, size))
		free_known(known);
}

static struct known *find(struct findings *findings, const struct event *event)
{
	size_t size = make_key(findings, event);

	return size ? (struct known *)table_find(&findings->known, findings->key, size) : NULL;
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
	again.finding.kind = event->finding.kind;
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
		fingerprint(event, event->finding.fingerprint);
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
