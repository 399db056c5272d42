// SPDX-License-Identifier: GPL-2.0-or-later
#include "enforce/saved.h"

#include <stdlib.h>
#include <string.h>

static char *append(char **end, const char *text)
{
	size_t size = strlen(text) + 1;
	char *start = memcpy(*end, text, size);

	*end += size;
	return start;
}

void saved_copy(struct event *copy, void **frames, const struct event *event)
{
	const struct event_stack *stack = &event->stack;
	size_t size = stack->count * sizeof(struct event_frame);
	struct event_frame *frame;
	char *end;

	*copy = *event;
	for (size_t i = 0; i < stack->count; i++)
		size += strlen(stack->frame[i].file) + strlen(stack->frame[i].function) + 2;
	*frames = frame = stack->count ? malloc(size) : NULL;
	if (!frame) {
		copy->stack = (struct event_stack){.status = stack->status, .user = -1};
		return;
	}
	end = (char *)(frame + stack->count);
	for (size_t i = 0; i < stack->count; i++) {
		frame[i] = stack->frame[i];
		frame[i].file = append(&end, stack->frame[i].file);
		frame[i].function = append(&end, stack->frame[i].function);
	}
	copy->stack.frame = frame;
	copy->stack.origin = NULL; /* its sender's; nobody asks for that of an action */
}
