// SPDX-License-Identifier: GPL-2.0-or-later
#include "enforce/policy.h"

#include <fnmatch.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "target/procfs.h"

/* The line of the unified hierarchy is "0::/path". */
static bool is_cgroup(const char *wanted, pid_t pid)
{
	char name[64], line[4096];
	bool matches = false;
	FILE *file;

	snprintf(name, sizeof(name), "/proc/%d/cgroup", pid);
	file = fopen(name, "re");
	while (file && !matches && fgets(line, sizeof(line), file)) {
		line[strcspn(line, "\n")] = '\0';
		matches = !strncmp(line, "0::", 3) && !fnmatch(wanted, line + 3, 0);
	}
	if (file)
		fclose(file);
	return matches;
}

bool enforce_policy_allows(const struct enforce_policy *policy, pid_t pid)
{
	uint32_t uid, ns_pid;
	char comm[17];

	if (pid <= 1 || pid == getpid() || procfs_identity(pid, comm, &uid, &ns_pid))
		return false;
	return (!policy->user || policy->uid == uid) &&
	       (!policy->command || !fnmatch(policy->command, comm, 0)) &&
	       (!policy->cgroup || is_cgroup(policy->cgroup, pid));
}
