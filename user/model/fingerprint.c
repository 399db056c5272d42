// SPDX-License-Identifier: GPL-2.0-or-later
#include "model/fingerprint.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <xxhash.h>

#define PARTS 3 /* components of a path without a root */

/* A path in site-packages or dist-packages, from there on; NULL: it is in neither. */
static const char *below_packages(const char *path)
{
	const char *site = strstr(path, "/site-packages/");
	const char *dist = strstr(path, "/dist-packages/");
	const char *at = site && (!dist || site < dist) ? site : dist;

	return at ? at + strlen("/site-packages/") : NULL;
}

/* The file of the script that runs: the outermost frame of user code, of a module. NULL: unknown */
static const char *script(const struct event_stack *stack)
{
	for (size_t i = stack->count; i-- > 0;)
		if (stack->origin && stack->origin[i].whose == ORIGIN_USER)
			return strcmp(stack->frame[i].function, "<module>") ? NULL
									    : stack->frame[i].file;
	return NULL;
}

/* The path from the script's folder on; NULL: it is not below. */
static const char *below_script(const char *path, const char *script_file)
{
	const char *slash = script_file ? strrchr(script_file, '/') : NULL;
	size_t length = slash ? (size_t)(slash - script_file) + 1 : 0;

	return length && !strncmp(path, script_file, length) ? path + length : NULL;
}

static const char *last_parts(const char *path)
{
	const char *at = path + strlen(path);
	int parts = PARTS;

	while (at > path && (at[-1] != '/' || --parts))
		at--;
	return at;
}

const char *fingerprint_file(const struct event *event, const char *file)
{
	const char *at = below_packages(file);

	if (!at)
		at = below_script(file, script(&event->stack));
	return at ? at : last_parts(file);
}

void fingerprint(const struct event *event, char out[FINGERPRINT_SIZE])
{
	const struct event_frame *place = event_place(event);
	const char *file = place ? fingerprint_file(event, place->file) : "";
	const char *function = place ? place->function : "";
	uint64_t hash = XXH64(file, strlen(file) + 1, 0);

	/* With their NULs, so that a name cannot pass for a part of another. */
	hash = XXH64(function, strlen(function) + 1, hash);
	hash = XXH64(kind_name(event->finding.kind), strlen(kind_name(event->finding.kind)), hash);
	hash += (uint64_t)event->finding.category;
	snprintf(out, FINGERPRINT_SIZE, "fp1:%016" PRIx64, XXH64(&hash, sizeof(hash), 1));
}
