// SPDX-License-Identifier: GPL-2.0-or-later
#include "report/intern.h"

#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/table.h"

struct intern_item {
	UT_hash_handle hh;
	uint32_t number;
	size_t size;
	char bytes[] __attribute__((aligned(8)));
};

void intern_free(struct intern *intern)
{
	HASH_CLEAR(hh, intern->by_bytes);
	for (size_t i = 0; i < intern->count; i++)
		free(intern->item[i]);
	free(intern->item);
	intern->item = NULL;
	intern->count = intern->room = 0;
}

static int make_room(struct intern *intern)
{
	struct intern_item **item = array_grow(intern->item, intern->count, &intern->room,
					       sizeof(*item));

	if (!item)
		return -1;
	intern->item = item;
	return 0;
}

uint32_t intern_add(struct intern *intern, const void *bytes, size_t size)
{
	struct intern_item *item;

	HASH_FIND(hh, intern->by_bytes, bytes, size, item);
	if (item)
		return item->number;
	intern->refused++;
	if (size > intern->bytes_max - intern->bytes || make_room(intern))
		return INTERN_NONE;
	item = calloc(1, sizeof(*item) + size + 1);
	if (!item)
		return INTERN_NONE;
	memcpy(item->bytes, bytes, size);
	item->size = size;
	item->number = (uint32_t)intern->count;
	HASH_ADD_KEYPTR(hh, intern->by_bytes, item->bytes, size, item);
	if (!item->hh.tbl) {
		free(item);
		return INTERN_NONE;
	}
	intern->item[intern->count++] = item;
	intern->bytes += size;
	intern->refused--;
	return item->number;
}

const void *intern_at(const struct intern *intern, uint32_t number, size_t *size)
{
	*size = intern->item[number]->size;
	return intern->item[number]->bytes;
}
