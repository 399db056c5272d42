/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A bounded table: items by key, and ordered from the oldest to the youngest. An added item is the
 * youngest; table_touch() makes it the youngest again, for tables ordered by use (LRU).
 *
 * The caller owns the items, which have a struct table_item as their first member, and their keys,
 * which must not move or change while the item is in the table. The table allocates its buckets
 * only. The caller evicts: see table_surplus().
 */
#ifndef GRADWATCH_BASE_TABLE_H
#define GRADWATCH_BASE_TABLE_H

#include <stdbool.h>
#include <stddef.h>

/* XXH3: uthash's own takes three times as long for the keys that are here. */
unsigned int table_hash(const void *key, size_t size);
#define HASH_FUNCTION(key, size, hash) ((hash) = table_hash(key, size))

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
