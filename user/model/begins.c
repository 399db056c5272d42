// SPDX-License-Identifier: GPL-2.0-or-later
#include "model/begins.h"

#include <json-c/linkhash.h>
#include <stdlib.h>
#include <string.h>

struct begins {
	struct lh_table *by_trace; /* (void *)id -> struct begin, owned */
	int capacity;
};

static void *key_of(uint64_t trace)
{
	return (void *)(uintptr_t)trace;
}

static void free_begin(struct lh_entry *entry)
{
	free((void *)(uintptr_t)lh_entry_v(entry));
}

struct begins *begins_new(int capacity)
{
	struct begins *begins = calloc(1, sizeof(*begins));

	if (!begins)
		return NULL;
	begins->capacity = capacity;
	begins->by_trace = lh_kptr_table_new(64, free_begin);
	if (!begins->by_trace) {
		free(begins);
		return NULL;
	}
	return begins;
}

void begins_free(struct begins *begins)
{
	if (!begins)
		return;
	lh_table_free(begins->by_trace);
	free(begins);
}

void begins_note(struct begins *begins, uint64_t trace, enum trace_kind kind, const void *record,
		 size_t size)
{
	struct begin *begin = malloc(sizeof(*begin) + size);

	if (!begin)
		return;
	begin->kind = kind;
	begin->size = size;
	memcpy(begin->record, record, size);
	begins_forget(begins, trace);
	if (lh_table_length(begins->by_trace) >= begins->capacity)
		lh_table_delete_entry(begins->by_trace, begins->by_trace->head);
	if (lh_table_insert(begins->by_trace, key_of(trace), begin))
		free(begin);
}

const struct begin *begins_get(const struct begins *begins, uint64_t trace)
{
	struct lh_entry *entry = lh_table_lookup_entry(begins->by_trace, key_of(trace));

	return entry ? lh_entry_v(entry) : NULL;
}

void begins_forget(struct begins *begins, uint64_t trace)
{
	lh_table_delete(begins->by_trace, key_of(trace));
}
