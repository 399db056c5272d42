/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The files with the Python binding of the setter, and where processes have them. Files are
 * inspected once, whoever maps them.
 */
#ifndef GRADWATCH_WATCH_BINDINGS_H
#define GRADWATCH_WATCH_BINDINGS_H

#include "inspect/binding.h"

#define BINDINGS_MAX 64 /* different files that are remembered */

struct bindings;

/* NULL when out of memory; NULL-safe. */
struct bindings *bindings_new(void);
void bindings_free(struct bindings *bindings);

/* The binding of a process. */
struct binding_found {
	struct inspect_binding inspect;
	uint64_t bias;     /* what is added to link-time addresses */
	unsigned int file; /* its number, below BINDINGS_MAX */
};

/*
 * Looks for the binding in what a process maps. With the cause in reason: -ENOTSUP when the file
 * that it maps has none that is understood, -ENOENT when it maps no such file or it cannot be read.
 */
int bindings_find(struct bindings *bindings, uint32_t pid, struct binding_found *found,
		  char *reason, size_t reason_size);

/* A file by its number: an open descriptor, and a path for messages; both stay the table's. */
int bindings_fd(const struct bindings *bindings, unsigned int file);
const char *bindings_path(const struct bindings *bindings, unsigned int file);

#endif
