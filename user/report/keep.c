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

/* Those of struct event_cgroup; NULL stays NULL. */
#define CGROUP_NAMES 5

static void cgroup_names(struct event_cgroup *cgroup, const char ***name)
{
	name[0] = &cgroup->path;
	name[1] = &cgroup->container;
	name[2] = &cgroup->runtime;
	name[3] = &cgroup->pod;
	name[4] = &cgroup->unit;
}

static size_t cgroup_size(const struct event_cgroup *cgroup)
{
	struct event_cgroup copy = *cgroup;
	const char **name[CGROUP_NAMES];
	size_t size = 0;

	cgroup_names(&copy, name);
	for (int i = 0; i < CGROUP_NAMES; i++)
		size += *name[i] ? strlen(*name[i]) + 1 : 0;
	return size;
}

static void copy_cgroup(char **at, struct event_cgroup *cgroup)
{
	const char **name[CGROUP_NAMES];

	cgroup_names(cgroup, name);
	for (int i = 0; i < CGROUP_NAMES; i++)
		if (*name[i])
			*name[i] = copy_text(at, *name[i]);
}

struct kept *keep(const struct decoded *decoded, const char *host)
{
	const struct event_finding *finding = &decoded->event.finding;
	const struct event_stack *stack = &decoded->event.stack;
	const char *name = finding->suppression ? finding->suppression : "";
	const struct origins_hint hint = {.torch_file = decoded->event.torch.file,
					  .python = decode_python(&decoded->event)};
	size_t size = strlen(host) + strlen(name) + 2 + cgroup_size(&decoded->event.process.cgroup);
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
	copy_cgroup(&at, &kept->event.process.cgroup);
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
