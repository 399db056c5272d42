/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What of a process's executable mappings matters to gradwatch, in one pass over them. */
#ifndef GRADWATCH_TARGET_MAPPED_H
#define GRADWATCH_TARGET_MAPPED_H

#include "target/files.h"
#include "target/processes.h"
#include "target/procfs.h"

#define MAPPED_MAX PROCESS_FILES_MAX /* a process with more of them is hostile */

struct mapped {
	struct procfs_mapping mapping[MAPPED_MAX];
	enum file_role role[MAPPED_MAX];
	unsigned int count;
	bool cut; /* there are more, which are not looked at */
	/* Name of a C library's file that is not glibc's, "": there is glibc's only. */
	char libc[PROCESS_LIBC_MAX];
};

/* Negative errno: the mappings could not be read (-ESRCH: the process has ended). */
int mapped_read(pid_t pid, struct mapped *mapped);

/* Has a process let go of the files that it maps no more, or that are not among these. */
void mapped_release_others(const struct mapped *mapped, struct files *files,
			   struct process *process, uint64_t now);

#endif
