// SPDX-License-Identifier: GPL-2.0-or-later
/* Members live in one array; those that are not in the table are in a list of their own. */
#include "model/recent.h"

#include <stdlib.h>

#include "base/table.h"

struct member {
	struct table_item item;
	struct recent_key key;
	struct member *next_unused;
};

struct recent {
	struct table table;
	struct member *member; /* as many as the table's capacity */
	size_t touched;        /* those before it have been in use */
	struct member *unused; /* those of them that are not any more */
};

struct recent *recent_new(uint32_t capacity)
{
	struct recent *set = calloc(1, sizeof(*set));

	if (!set)
		return NULL;
	set->table.capacity = capacity;
	set->member = calloc(capacity, sizeof(*set->member));
	if (!set->member) {
		free(set);
		return NULL;
	}
	return set;
}

void recent_free(struct recent *set)
{
	if (!set)
		return;
	while (table_pop(&set->table))
		;
	free(set->member);
	free(set);
}

static struct member *find(const struct recent *set, struct recent_key key)
{
	return (struct member *)table_find(&set->table, &key, sizeof(key));
}

static void give_back(struct recent *set, struct member *member)
{
	member->next_unused = set->unused;
	set->unused = member;
}

bool recent_contains(const struct recent *set, struct recent_key key)
{
	return find(set, key) != NULL;
}

bool recent_remove(struct recent *set, struct recent_key key)
{
	struct member *member = find(set, key);

	if (!member)
		return false;
	table_remove(&set->table, &member->item);
	give_back(set, member);
	return true;
}

/* One that is not in the table; the oldest leaves it when there is no other. */
static struct member *take_member(struct recent *set)
{
	struct member *member = set->unused;

	if (member) {
		set->unused = member->next_unused;
		return member;
	}
	if (set->touched < set->table.capacity)
		return &set->member[set->touched++];
	return (struct member *)table_pop(&set->table);
}

bool recent_add(struct recent *set, struct recent_key key)
{
	struct member *member;

	if (recent_contains(set, key))
		return false;
	member = take_member(set);
	member->key = key;
	if (table_add(&set->table, &member->item, &member->key, sizeof(member->key)))
		give_back(set, member);
	return true;
}
