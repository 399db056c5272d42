// SPDX-License-Identifier: GPL-2.0-or-later
#include "base/table.h"

#include <errno.h>
#include <utlist.h>
#include <xxhash.h>

unsigned int table_hash(const void *key, size_t size)
{
	return (unsigned int)XXH3_64bits(key, size);
}

size_t table_count(const struct table *table)
{
	return HASH_COUNT(table->by_key);
}

struct table_item *table_find(const struct table *table, const void *key, size_t size)
{
	struct table_item *item;

	HASH_FIND(hh, table->by_key, key, size, item);
	return item;
}

struct table_item *table_surplus(const struct table *table)
{
	return table_count(table) >= table->capacity ? table->oldest : NULL;
}

int table_add(struct table *table, struct table_item *item, void *key, size_t size)
{
	if (table_count(table) >= table->capacity)
		return -ENOSPC;
	HASH_ADD_KEYPTR(hh, table->by_key, key, size, item);
	if (!item->hh.tbl)
		return -ENOMEM;
	DL_APPEND(table->oldest, item);
	return 0;
}

void table_touch(struct table *table, struct table_item *item)
{
	DL_DELETE(table->oldest, item);
	DL_APPEND(table->oldest, item);
}

void table_remove(struct table *table, struct table_item *item)
{
	HASH_DEL(table->by_key, item);
	DL_DELETE(table->oldest, item);
}

struct table_item *table_pop(struct table *table)
{
	struct table_item *item = table->oldest;

	if (item)
		table_remove(table, item);
	return item;
}
