/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The files with the Python binding of the setter, and where processes have them. */
#ifndef GRADWATCH_TARGET_BINDINGS_H
#define GRADWATCH_TARGET_BINDINGS_H

#include "inspect/binding.h"
#include "target/inspections.h"
#include "target/mapped.h"
#include "target/processes.h"

/* The binding of a process. */
struct binding_found {
	struct inspect_binding inspect;
	uint64_t bias;    /* what is added to link-time addresses */
	uint32_t file_id; /* in the registry of files */
	const struct procfs_mapping *mapping;
};

/*
 * Looks for the binding in what a process maps. With the cause in reason: -ENOTSUP when the file
 * that it maps has none that is understood, -ENOENT when it maps no such file; or why one could not
 * be looked at.
 */
int bindings_find(struct files *files, struct inspections *inspections, pid_t pid,
		  struct process *process, const struct mapped *mapped, struct binding_found *found,
		  char *reason, size_t reason_size);

#endif
