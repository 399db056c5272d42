/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Stacks that were looked up lately, by their frames: a program that changes the grad mode often
 * does so from few places. Good until a code object comes or goes (private to model/).
 */
#ifndef GRADWATCH_MODEL_STACK_CACHE_H
#define GRADWATCH_MODEL_STACK_CACHE_H

#include "model/codes.h"

struct stack_cache;

/* NULL when out of memory; free is NULL-safe. */
struct stack_cache *stack_cache_new(void);
void stack_cache_free(struct stack_cache *cache);

/* Forgets all. */
void stack_cache_clear(struct stack_cache *cache);

/*
 * Fills in *frames and all of *stack but its status, for the frames of a record as it has them.
 * False: it is not known.
 */
bool stack_cache_get(const struct stack_cache *cache, const char *torch_file, const void *raw,
		     size_t count, struct codes_frames *frames, struct event_stack *stack);

/* Remembers it in place of another one. */
void stack_cache_put(struct stack_cache *cache, const char *torch_file, const void *raw,
		     size_t count, const struct event_stack *stack);

#endif
