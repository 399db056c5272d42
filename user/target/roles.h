/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From a mapping to the file's entry in the registry, for the roles whose content is just what
 * their inspection has found: FILE_BINDING and FILE_PYTHON.
 */
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
};

/* Has the registry free what it knows of files of these roles. */
void roles_register(struct files *files);

/* What a thread has found in a file (inspections_next()). */
void roles_settle(struct files *files, uint32_t file_id, const struct inspection *inspection);

/* What was found in such a file. */
const struct inspection *roles_found(const struct file *file);

/*
 * The entry of the file behind a mapping, inspected if it is new. NULL with a negative errno in
 * *code: the file cannot be looked at now; -EINPROGRESS: it is being inspected, the process holds
 * it, and roles_settle() has the result.
 */
struct file *roles_learn(const struct role_search *search, const struct procfs_mapping *mapping,
			 int *code);

#endif
