// SPDX-License-Identifier: GPL-2.0-or-later
#include "model/findings.h"

#include <inttypes.h>
#include <json-c/linkhash.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/str.h"

/* A finding that was told. */
struct known {
	uint64_t number, count, told;
	uint64_t next; /* count at which to tell */
	enum severity severity;
};

struct findings {
	struct lh_table *known; /* identity -> struct known, both owned */
	event_handler handler;
	void *context;
	uint64_t last_number;
};

static void free_known(struct lh_entry *entry)
{
	free(lh_entry_k(entry));
	free((void *)(uintptr_t)lh_entry_v(entry));
}

struct findings *findings_new(event_handler handler, void *context)
{
	struct findings *findings = calloc(1, sizeof(*findings));

	if (!findings)
		return NULL;
	findings->handler = handler;
	findings->context = context;
	findings->known = lh_kchar_table_new(64, free_known);
	if (!findings->known) {
		free(findings);
		return NULL;
	}
	return findings;
}

void findings_free(struct findings *findings)
{
	if (!findings)
		return;
	lh_table_free(findings->known);
	free(findings);
}

static const struct event_frame *user_frame(const struct event *event)
{
	static const struct event_frame nowhere = {"?", "?", 0};
	const struct event_frame *user = event_user_frame(&event->stack);

	return user ? user : &nowhere;
}

/* What makes two findings the same, malloc'ed. */
static char *identity(const struct event *event)
{
	const struct event_finding *finding = &event->finding;
	const struct event_frame *user = user_frame(event);
	char *text;

	if (asprintf(&text, "%" PRIu32 " %" PRIu64 " %d %d %d %d %s:%d %s %s", event->process.pid,
		     event->process.start_time, finding->kind, finding->category, finding->from,
		     finding->to, user->file, user->line, user->function,
		     finding->decorated ? finding->decorated->function : "") < 0)
		return NULL;
	return text;
}

static struct known *remember(struct findings *findings, char *key,
			      const struct event_finding *finding)
{
	struct known *known = calloc(1, sizeof(*known));

	if (!known)
		return NULL;
	*known = (struct known){
		.number = finding->number,
		.count = 1,
		.told = 1,
		.next = 10,
		.severity = finding->severity,
	};
	if (lh_table_length(findings->known) >= FINDINGS_MAX)
		lh_table_delete_entry(findings->known, findings->known->head);
	if (!lh_table_insert(findings->known, key, known))
		return known;
	free(known);
	return NULL;
}

static void tell_repeats(struct findings *findings, struct event *event, struct known *known)
{
	event->type = EVENT_REPEATED;
	event->finding.number = known->number;
	event->finding.count = known->count;
	known->told = known->count;
	findings->handler(findings->context, event);
}

bool findings_take(struct findings *findings, struct event *event)
{
	char *key = identity(event);
	struct lh_entry *entry = key ? lh_table_lookup_entry(findings->known, key) : NULL;
	struct known *known;

	if (!entry) {
		event->finding.number = ++findings->last_number;
		event->finding.count = 1;
		if (key && !remember(findings, key, &event->finding))
			free(key);
		findings->handler(findings->context, event);
		return true;
	}
	free(key);
	known = (struct known *)(uintptr_t)lh_entry_v(entry);
	if (++known->count == known->next) {
		known->next *= 10;
		tell_repeats(findings, event, known);
	}
	return false;
}

void findings_finish(struct findings *findings, uint64_t time)
{
	struct lh_entry *entry;

	lh_foreach(findings->known, entry)
	{
		struct known *known = (struct known *)(uintptr_t)lh_entry_v(entry);
		struct event event = {.type = EVENT_REPEATED, .time = time};

		event.stack.user = -1;
		event.finding.severity = known->severity;
		if (known->count > known->told)
			tell_repeats(findings, &event, known);
	}
}
