// SPDX-License-Identifier: GPL-2.0-or-later
#include "enforce/release.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "enforce/target.h"
#include "gradwatch/abi.h"
#include "target/procfs.h"

static bool is_held_map(int fd)
{
	struct bpf_map_info info = {0};
	__u32 size = sizeof(info);

	return !bpf_obj_get_info_by_fd(fd, &info, &size) && !strcmp(info.name, "held") &&
	       info.type == BPF_MAP_TYPE_HASH && info.key_size == sizeof(__u32) &&
	       info.value_size == sizeof(struct gw_held) && info.max_entries == GW_MAX_HELD;
}

/* -EALREADY: it runs. */
static int continue_held(pid_t pid, uint64_t start_time)
{
	struct target target;
	int code = target_open(&target, pid, start_time), stop;

	if (code)
		return code;
	stop = target_pending_stop(pid);
	code = target_look(&target);
	if (code == -EAGAIN)
		code = -EALREADY;
	else
		code = target_signal(&target, SIGCONT);
	if (!code && stop)
		code = target_signal(&target, stop);
	target_close(&target);
	return code;
}

/* -ENOENT: it is in no map. */
static int release_by_maps(pid_t pid)
{
	uint32_t id = 0, key = (uint32_t)pid;
	int code = -ENOENT;

	while (code && !bpf_map_get_next_id(id, &id)) {
		int fd = bpf_map_get_fd_by_id(id);
		struct gw_held held;

		if (fd < 0)
			continue;
		if (is_held_map(fd) && !bpf_map_lookup_elem(fd, &key, &held))
			code = continue_held(pid, held.start_time);
		close(fd);
	}
	return code;
}

int release_process(pid_t pid, struct err *err)
{
	pid_t tgid;
	int code = procfs_tgid(pid, &tgid);

	if (code)
		return err_set(err, code, "no process %d: it does not exist or has ended", pid);
	if (tgid != pid)
		return err_set(err, -EINVAL, "%d is a thread of process %d: release %d", pid, tgid,
			       tgid);
	code = release_by_maps(pid);
	if (code == -ENOENT || code == -EALREADY)
		return err_set(err, -ESRCH, "process %d is not held by gradwatch", pid);
	if (code)
		return err_set(err, code, "cannot let process %d go: %s", pid, strerror(-code));
	return 0;
}
