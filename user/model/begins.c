// SPDX-License-Identifier: GPL-2.0-or-later
#include "model/begins.h"

#include <stdlib.h>

#include "base/table.h"
#include "model/codes.h"

struct known {
	struct table_item item;
	uint64_t trace;
	struct begin begin; /* begin.record is a codes_keep() */
};

struct begins {
	struct table by_trace;
	struct codes *codes;
};

struct begins *begins_new(size_t capacity, struct codes *codes)
{
	struct begins *begins = calloc(1, sizeof(*begins));

	if (!begins)
		return NULL;
	begins->by_trace.capacity = capacity;
	begins->codes = codes;
	return begins;
}

static void free_known(struct begins *begins, struct known *known)
{
	codes_drop(begins->codes, known->begin.record, known->begin.size);
	free(known);
}

void begins_free(struct begins *begins)
{
	struct table_item *item;

	if (!begins)
		return;
	while ((item = table_pop(&begins->by_trace)))
		free_known(begins, (struct known *)item);
	free(begins);
}

static struct known *find(const struct begins *begins, uint64_t trace)
{
	return (struct known *)table_find(&begins->by_trace, &trace, sizeof(trace));
}

void begins_note(struct begins *begins, uint64_t trace, enum trace_kind kind, const void *record,
		 size_t size)
{
	struct known *known = calloc(1, sizeof(*known));

	if (!known)
		return;
	known->trace = trace;
	known->begin = (struct begin){kind, size, codes_keep(begins->codes, record, size)};
	if (!known->begin.record) {
		free(known);
		return;
	}
	begins_forget(begins, trace);
	if (table_surplus(&begins->by_trace))
		free_known(begins, (struct known *)table_pop(&begins->by_trace));
	if (table_add(&begins->by_trace, &known->item, &known->trace, sizeof(known->trace)))
		free_known(begins, known);
}

const struct begin *begins_get(const struct begins *begins, uint64_t trace)
{
	const struct known *known = find(begins, trace);

	return known ? &known->begin : NULL;
}

void begins_forget(struct begins *begins, uint64_t trace)
{
	struct known *known = find(begins, trace);

	if (!known)
		return;
	table_remove(&begins->by_trace, &known->item);
	free_known(begins, known);
}
