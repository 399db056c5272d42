// SPDX-License-Identifier: GPL-2.0-or-later
#include "model/process_names.h"

#include <string.h>

#include "base/str.h"

#define CGROUP_NAMES 5

void process_names_join(char out[PROCESS_NAMES_MAX], const struct event_process *process)
{
	const struct event_cgroup *cgroup = &process->cgroup;
	const char *const name[] = {cgroup->path, cgroup->container, cgroup->runtime, cgroup->pod,
				    cgroup->unit};
	char *at = out, *end = out + PROCESS_NAMES_MAX - sizeof(process->exe) - CGROUP_NAMES;

	for (int i = 0; i < CGROUP_NAMES; i++) {
		size_t length = name[i] ? strlen(name[i]) : 0;

		if (length > (size_t)(end - at))
			length = 0;
		memcpy(at, name[i] ? name[i] : "", length);
		at += length;
		*at++ = '\n';
	}
	(void)str_copy(at, sizeof(process->exe), process->exe);
}

void process_names_split(char *names, struct event_process *process)
{
	const char *name[CGROUP_NAMES];

	for (int i = 0; i < CGROUP_NAMES; i++) {
		name[i] = strsep(&names, "\n");
		if (!names)
			return;
	}
	process->cgroup = (struct event_cgroup){.path = name[0],
						.container = name[1],
						.runtime = name[2],
						.pod = name[3],
						.unit = name[4]};
	(void)str_copy(process->exe, sizeof(process->exe), names);
}
