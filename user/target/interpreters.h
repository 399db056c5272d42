/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which Python a process runs, and where: given to BPF when the process maps libtorch, so that
 * stacks can be walked from the first event on.
 */
#ifndef GRADWATCH_TARGET_INTERPRETERS_H
#define GRADWATCH_TARGET_INTERPRETERS_H

#include <stdint.h>

#include "gradwatch/abi.h"
#include "target/inspections.h"
#include "target/mapped.h"
#include "target/processes.h"

/* The Python of a process. */
struct interpreter_found {
	struct gw_interpreter interpreter; /* for BPF */
	uint64_t err_format;               /* addresses as in inspect/python.h, 0: not there */
	uint64_t runtime_error;
	const char *path; /* as the process's root sees it; the registry's */
	char reason[256]; /* why its stacks are not known, "" when they are */
};

/*
 * Looks for the Python of a process among what it maps, in its program or in a libpython; the
 * process, where it is given, holds the file then. 0, also for one whose stacks are not known;
 * -ENOENT: it has none; or why it could not be looked at.
 */
int interpreters_find(struct files *files, struct inspections *inspections, pid_t pid,
		      struct process *process, const struct mapped *mapped,
		      struct interpreter_found *found);

#endif
