// SPDX-License-Identifier: GPL-2.0-or-later
#include "watch/cgroup_view.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"

/* Of the kernel's own thread: the initial one for sure, and not guarded as process 1 may be. */
#define KTHREADD_CGROUP "/proc/2/ns/cgroup"

/* Linux include/linux/proc_ns.h: PROC_CGROUP_INIT_INO. */
static bool is_initial(void)
{
	char target[64];
	ssize_t length = readlink("/proc/self/ns/cgroup", target, sizeof(target) - 1);

	if (length < 0)
		return true; /* the kernel has none */
	target[length] = '\0';
	return !strcmp(target, "cgroup:[4026531835]");
}

void cgroup_view_of_host(void)
{
	int fd, code;

	if (is_initial())
		return;
	fd = open(KTHREADD_CGROUP, O_RDONLY | O_CLOEXEC);
	code = fd < 0 || setns(fd, CLONE_NEWCGROUP) ? errno : 0;
	if (fd >= 0)
		close(fd);
	if (code)
		log_warn("this is a cgroup namespace of its own, and that of the host cannot be "
			 "joined: %s; cgroup paths count from this container's, and --cgroup "
			 "cannot match others: add CAP_SYS_ADMIN, or use the host's (podman: "
			 "--cgroupns=host)",
			 strerror(code));
}
