/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A bounded set that forgets its oldest member when it is full (private to model/).
 *
 * The members' memory is taken at once; only the table's buckets grow. Without memory for these a
 * member is not remembered.
 */
#ifndef GRADWATCH_MODEL_RECENT_H
#define GRADWATCH_MODEL_RECENT_H

#include <stdbool.h>
#include <stdint.h>

struct recent;

/* Two numbers identify a member; where one is enough, the other is 0. */
struct recent_key {
	uint64_t first, second;
};

/* NULL when out of memory. capacity is at least 1. */
struct recent *recent_new(uint32_t capacity);
/* NULL-safe. */
void recent_free(struct recent *set);

bool recent_contains(const struct recent *set, struct recent_key key);

/* Returns false when it was a member already; that does not make it younger. */
bool recent_add(struct recent *set, struct recent_key key);

/* Returns false when it was no member. */
bool recent_remove(struct recent *set, struct recent_key key);

#endif
