// SPDX-License-Identifier: GPL-2.0-or-later
#include "watch/choose.h"

#include <errno.h>

#include "target/cgroup.h"
#include "target/procfs.h"

static bool is_admitted(const struct filter *filter, uint32_t pid)
{
	struct filter_subject subject = {.cgroup = ""};
	struct cgroup cgroup;
	uint32_t ns_pid;
	char comm[GW_COMM_LEN + 1];

	if (procfs_identity((pid_t)pid, comm, &subject.uid, &ns_pid))
		return false;
	subject.comm = comm;
	if (!cgroup_read((pid_t)pid, &cgroup))
		subject.cgroup = cgroup.path;
	return filter_admits(filter, &subject);
}

int choose_process(const struct filter *filter, struct programs *programs, uint32_t pid,
		   bool *chosen)
{
	bool watched = programs_is_watched(programs, pid);
	struct err err;
	pid_t tgid;
	int code;

	*chosen = is_admitted(filter, pid);
	if (watched && !*chosen)
		programs_unwatch(programs, pid);
	if (watched || !*chosen)
		return 0;
	code = programs_watch(programs, pid, true, &err);
	/* BPF removes those that end, but not one that had ended before. */
	if (!code && procfs_tgid((pid_t)pid, &tgid) == -ESRCH)
		programs_unwatch(programs, pid);
	return code;
}
