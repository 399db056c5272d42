// SPDX-License-Identifier: GPL-2.0-or-later
#include "model/stack_cache.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#define PLACES 128 /* a stack has one, by its hash */

/* One allocation: the raw frames, the frames and origins, and torch's file follow. */
struct cached {
	uint64_t generation;
	size_t raw_count, count;
	int user;
	struct event_frame *frame;
	struct event_origin *origin;
	char *torch_file;
	struct gw_frame raw[];
};

struct stack_cache {
	uint64_t generation; /* those of an earlier one are forgotten */
	struct cached *place[PLACES];
};

struct stack_cache *stack_cache_new(void)
{
	return calloc(1, sizeof(struct stack_cache));
}

void stack_cache_free(struct stack_cache *cache)
{
	for (size_t i = 0; cache && i < PLACES; i++)
		free(cache->place[i]);
	free(cache);
}

void stack_cache_clear(struct stack_cache *cache)
{
	cache->generation++;
}

static size_t place_of(const void *raw, size_t count)
{
	return XXH3_64bits(raw, count * sizeof(struct gw_frame)) % PLACES;
}

bool stack_cache_get(const struct stack_cache *cache, const char *torch_file, const void *raw,
		     size_t count, struct codes_frames *frames, struct event_stack *stack)
{
	const struct cached *cached = cache->place[place_of(raw, count)];

	if (!cached || cached->generation != cache->generation || cached->raw_count != count ||
	    memcmp(cached->raw, raw, count * sizeof(struct gw_frame)) != 0 ||
	    strcmp(cached->torch_file, torch_file) != 0)
		return false;
	memcpy(frames->frame, cached->frame, cached->count * sizeof(*cached->frame));
	memcpy(frames->origin, cached->origin, cached->count * sizeof(*cached->origin));
	stack->frame = frames->frame;
	stack->origin = frames->origin;
	stack->count = cached->count;
	stack->user = cached->user;
	return true;
}

void stack_cache_put(struct stack_cache *cache, const char *torch_file, const void *raw,
		     size_t count, const struct event_stack *stack)
{
	struct cached **place = &cache->place[place_of(raw, count)];
	size_t raw_size = count * sizeof(struct gw_frame);
	size_t frames_size = stack->count * sizeof(struct event_frame);
	size_t origins_size = stack->count * sizeof(struct event_origin);
	struct cached *cached = malloc(sizeof(*cached) + raw_size + frames_size + origins_size +
				       strlen(torch_file) + 1);

	if (!cached)
		return;
	*cached = (struct cached){
		.generation = cache->generation,
		.raw_count = count,
		.count = stack->count,
		.user = stack->user,
	};
	cached->frame = (struct event_frame *)(cached->raw + count);
	cached->origin = (struct event_origin *)(cached->frame + stack->count);
	cached->torch_file = (char *)(cached->origin + stack->count);
	memcpy(cached->raw, raw, raw_size);
	memcpy(cached->frame, stack->frame, frames_size);
	memcpy(cached->origin, stack->origin, origins_size);
	strcpy(cached->torch_file, torch_file);
	free(*place);
	*place = cached;
}
