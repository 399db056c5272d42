// SPDX-License-Identifier: GPL-2.0-or-later
#include "report/keep.h"

#include <stdlib.h>
#include <string.h>

#include "model/origins.h"

static size_t frame_size(const struct event_frame *frame)
{
	return strlen(frame->file) + strlen(frame->function) + 2;
}

static const char *copy_text(char **at, const char *text)
{
	size_t size = strlen(text) + 1;
	const char *copy = memcpy(*at, text, size);

	*at += size;
	return copy;
}

static void copy_frame(char **at, struct event_frame *to, const struct event_frame *from)
{
	*to = *from;
	to->file = copy_text(at, from->file);
	to->function = copy_text(at, from->function);
}

struct kept *keep(const struct decoded *decoded, const char *host)
{
	const struct event_finding *finding = &decoded->event.finding;
	const struct event_stack *stack = &decoded->event.stack;
	const char *name = finding->suppression ? finding->suppression : "";
	const struct origins_hint hint = {.torch_file = decoded->event.torch.file,
					  .python = decode_python(&decoded->event)};
	size_t size = strlen(host) + strlen(name) + 2;
	struct kept *kept;
	char *at;

	for (size_t i = 0; i < stack->count; i++)
		size += frame_size(&stack->frame[i]);
	size += finding->decorated ? frame_size(finding->decorated) : 0;
	size += finding->caller ? frame_size(finding->caller) : 0;
	kept = malloc(sizeof(*kept) + size);
	if (!kept)
		return NULL;
	at = kept->strings;
	kept->event = decoded->event;
	kept->host = copy_text(&at, host);
	if (finding->suppression)
		kept->event.finding.suppression = copy_text(&at, name);
	for (size_t i = 0; i < stack->count; i++)
		copy_frame(&at, &kept->frame[i], &stack->frame[i]);
	/* Origins point into the frames' names. */
	origins_find(kept->frame, stack->count, &hint, kept->origin);
	kept->event.stack.frame = kept->frame;
	kept->event.stack.origin = kept->origin;
	if (finding->decorated) {
		copy_frame(&at, &kept->decorated, finding->decorated);
		kept->event.finding.decorated = &kept->decorated;
	}
	if (finding->caller) {
		copy_frame(&at, &kept->caller, finding->caller);
		kept->event.finding.caller = &kept->caller;
	}
	return kept;
}
