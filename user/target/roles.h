/* SPDX-License-Identifier: GPL-2.0-or-later */
/* From a mapping to the file's entry in the registry, for the roles whose content is inspected. */
#ifndef GRADWATCH_TARGET_ROLES_H
#define GRADWATCH_TARGET_ROLES_H

#include "target/files.h"
#include "target/inspections.h"
#include "target/processes.h"
#include "target/procfs.h"

struct role_search {
	struct files *files;
	struct inspections *inspections;
	enum file_role role;
	pid_t pid;
	struct process *process; /* who holds the file then; NULL: nobody */
	/* The content for an entry, malloc'ed; NULL: out of memory. */
	void *(*make)(const struct inspection *inspection);
};

/*
 * The entry of the file behind a mapping, inspected if it is new. NULL with a negative errno in
 * *code: the file cannot be looked at now.
 */
struct file *roles_learn(const struct role_search *search, const struct procfs_mapping *mapping,
			 int *code);

#endif
