// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Entries live in one array and refer to each other by index. Each is in a hash chain, and in one
 * list from the oldest to the youngest. Index 0 is no entry: it is the head of that list.
 */
#include "model/recent.h"

#include <stdlib.h>

struct recent_entry {
	struct recent_key key;
	uint32_t chain; /* next in the same bucket; of an unused entry: next unused */
	uint32_t older, younger;
};

struct recent {
	struct recent_entry *entry; /* capacity + 1 */
	uint32_t *bucket;           /* a power of two of chains */
	uint32_t bucket_mask;
	uint32_t capacity;
	uint32_t touched; /* entries 1..touched have been in use */
	uint32_t unused;  /* chain of those that are not any more */
};

struct recent *recent_new(uint32_t capacity)
{
	struct recent *set = calloc(1, sizeof(*set));
	uint32_t buckets = 1;

	if (!set)
		return NULL;
	while (buckets < capacity)
		buckets *= 2;
	set->capacity = capacity;
	set->bucket_mask = buckets - 1;
	set->entry = calloc((size_t)capacity + 1, sizeof(*set->entry));
	set->bucket = calloc(buckets, sizeof(*set->bucket));
	if (!set->entry || !set->bucket) {
		recent_free(set);
		return NULL;
	}
	return set;
}

void recent_free(struct recent *set)
{
	if (!set)
		return;
	free(set->entry);
	free(set->bucket);
	free(set);
}

/* The finaliser of splitmix64: every bit of the key reaches the low bits. */
static uint32_t *bucket_of(const struct recent *set, struct recent_key key)
{
	uint64_t hash = key.first ^ (key.second * 0x9e3779b97f4a7c15ull);

	hash = (hash ^ (hash >> 30)) * 0xbf58476d1ce4e5b9ull;
	hash = (hash ^ (hash >> 27)) * 0x94d049bb133111ebull;
	return &set->bucket[(hash ^ (hash >> 31)) & set->bucket_mask];
}

/* The link that holds the key's index, or the 0 at the end of its chain. */
static uint32_t *find_link(const struct recent *set, struct recent_key key)
{
	uint32_t *link = bucket_of(set, key);

	while (*link) {
		struct recent_entry *entry = &set->entry[*link];

		if (entry->key.first == key.first && entry->key.second == key.second)
			break;
		link = &entry->chain;
	}
	return link;
}

bool recent_contains(const struct recent *set, struct recent_key key)
{
	return *find_link(set, key) != 0;
}

bool recent_remove(struct recent *set, struct recent_key key)
{
	uint32_t *link = find_link(set, key);
	uint32_t index = *link;
	struct recent_entry *entry = &set->entry[index];

	if (!index)
		return false;
	*link = entry->chain;
	set->entry[entry->older].younger = entry->younger;
	set->entry[entry->younger].older = entry->older;
	entry->chain = set->unused;
	set->unused = index;
	return true;
}

/* An entry that is in no list; the oldest gives up its own when there is none. */
static uint32_t take_entry(struct recent *set)
{
	uint32_t index;

	if (!set->unused && set->touched < set->capacity)
		return ++set->touched;
	if (!set->unused)
		recent_remove(set, set->entry[set->entry[0].younger].key);
	index = set->unused;
	set->unused = set->entry[index].chain;
	return index;
}

bool recent_add(struct recent *set, struct recent_key key)
{
	uint32_t *bucket = bucket_of(set, key);
	struct recent_entry *head = &set->entry[0];
	struct recent_entry *entry;
	uint32_t index;

	if (recent_contains(set, key))
		return false;

	index = take_entry(set);
	entry = &set->entry[index];
	entry->key = key;
	entry->chain = *bucket;
	*bucket = index;

	/* The head's younger is the oldest, its older is the youngest: the list is a ring. */
	entry->older = head->older;
	entry->younger = 0;
	set->entry[head->older].younger = index;
	head->older = index;
	return true;
}
