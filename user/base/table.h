/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A bounded table: items by key, and in an order from the oldest to the youngest. An item is young
 * when it is added; table_touch() makes it so again, for tables in order of use.
 *
 * Items are the caller's, with a struct table_item as their first member, and so are their keys,
 * which must stay where they are and as they are while the item is in the table. The table takes
 * memory for its buckets only. Who is to make room is the caller's to remove: see table_surplus().
 */
#ifndef GRADWATCH_BASE_TABLE_H
#define GRADWATCH_BASE_TABLE_H

#include <stdbool.h>
#include <stddef.h>

/* Out of memory in uthash: the item is not added, and its hh.tbl is NULL. */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>

struct table_item {
	struct table_item *prev, *next; /* older; younger, NULL: it is the youngest */
	UT_hash_handle hh;
};

/* Zeros but for the capacity: an empty table. It owns nothing when it is empty. */
struct table {
	struct table_item *by_key;
	struct table_item *oldest; /* NULL: there is none */
	size_t capacity;
};

size_t table_count(const struct table *table);

/* NULL: it is not there. */
struct table_item *table_find(const struct table *table, const void *key, size_t size);

/* The item to be removed before another one is added: the oldest if the table is full, else NULL.
 */
struct table_item *table_surplus(const struct table *table);

/* No other item may have the key. -ENOSPC: the table is full. -ENOMEM. */
int table_add(struct table *table, struct table_item *item, void *key, size_t size);

/* Makes it the youngest. */
void table_touch(struct table *table, struct table_item *item);

void table_remove(struct table *table, struct table_item *item);

/* Removes the oldest, NULL: there is none. */
struct table_item *table_pop(struct table *table);

#endif
