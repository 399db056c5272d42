// SPDX-License-Identifier: GPL-2.0-or-later
#include "model/kinds.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const char *const names[TRACE_KIND_MAX] = {
	[TRACE_KIND_UNKNOWN] = "unknown",     [TRACE_KIND_EXPORT] = "export",
	[TRACE_KIND_DECOMPOSE] = "decompose", [TRACE_KIND_MAKE_FX] = "make_fx",
	[TRACE_KIND_COMPILE] = "compile",     [TRACE_KIND_PRE_DISPATCH] = "pre_dispatch",
	[TRACE_KIND_OTHER] = "other",
};

const char *kind_name(enum trace_kind kind)
{
	return (unsigned int)kind < TRACE_KIND_MAX ? names[kind] : NULL;
}

static int find(const char *word, size_t length)
{
	for (int i = 0; i < TRACE_KIND_MAX; i++)
		if (strlen(names[i]) == length && !memcmp(names[i], word, length))
			return i;
	return -ENOENT;
}

int kind_from_name(const char *name)
{
	return find(name, strlen(name));
}

int kinds_parse(const char *list, unsigned int *set, char *word, size_t size)
{
	unsigned int found = 0;

	for (;; list++) {
		size_t length = strcspn(list, ",");
		int kind = find(list, length);

		if (kind >= 0) {
			found |= 1u << kind;
		} else if (length == 3 && !memcmp(list, "all", 3)) {
			found = KINDS_ALL;
		} else {
			snprintf(word, size, "%.*s", (int)(length < size ? length : size), list);
			return -EINVAL;
		}
		list += length;
		if (!*list)
			break;
	}
	*set = found;
	return 0;
}

void kinds_text(char out[KINDS_TEXT_SIZE])
{
	size_t used = 0;

	/* The unknown, which is first, is named last. */
	for (int i = 1; i <= TRACE_KIND_MAX; i++)
		used += (size_t)snprintf(out + used, KINDS_TEXT_SIZE - used, "%s%s",
					 i > 1 ? ", " : "", names[i % TRACE_KIND_MAX]);
}
