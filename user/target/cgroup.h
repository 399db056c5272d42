/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the control groups of a process say of it: its container, pod and systemd unit. Nobody is
 * asked: container runtimes write these into the path of the group that they make. The forms, each
 * with its source:
 *
 *   docker-ID.scope, docker/ID            moby, daemon/oci_linux.go
 *   libpod-ID.scope, libpod_parent/libpod-ID   podman, libpod/container_internal_linux.go
 *   cri-containerd-ID.scope               containerd, pkg/cri (systemd driver)
 *   crio-ID.scope, crio-ID                CRI-O, internal/config/cgmgr
 *   kubepods/[QOS/]podUID/ID              kubelet, pkg/kubelet/cm, and the runtime's ID below it
 *   kubepods-[QOS-]podUID.slice           the same, systemd driver: UID with _ instead of -
 *   SLICE:RUNTIME:ID                      a systemd path that was given to the cgroupfs driver
 *   machine-NAME.scope, systemd-nspawn@NAME.service   systemd, src/nspawn
 *   lxc.payload.NAME                      lxc, src/lxc/cgroups/cgfsng.c
 *
 * ID is 64 hexadecimal digits. Of nested containers the innermost one counts.
 */
#ifndef GRADWATCH_TARGET_CGROUP_H
#define GRADWATCH_TARGET_CGROUP_H

#include <sys/types.h>

#define CGROUP_PATH_MAX 1024
#define CGROUP_NAME_MAX 128

/* All are "" where the path does not say. */
struct cgroup {
	char path[CGROUP_PATH_MAX];      /* cut at its end if it is longer */
	char container[CGROUP_NAME_MAX]; /* its id; a name for systemd-nspawn and lxc */
	char runtime[16];           /* docker, podman, containerd, cri-o, systemd-nspawn, lxc */
	char pod[CGROUP_NAME_MAX];  /* its uid, in Kubernetes' own form */
	char unit[CGROUP_NAME_MAX]; /* the innermost systemd service or scope */
	int rank;                   /* how much the line said that this is from */
};

/*
 * Takes a line of /proc/PID/cgroup (cgroups(7)), with or without its newline. Of several lines, one
 * that shows a container is kept, then that of cgroup v2, then systemd's own of v1; of the others
 * the first that is not the root. *cgroup is zeroed before the first line.
 */
void cgroup_take_line(struct cgroup *cgroup, const char *line);

/* Reads /proc/PID/cgroup. 0 or negative errno, with *cgroup all "". */
int cgroup_read(pid_t pid, struct cgroup *cgroup);

/* The same strings in one block, which processes that are in one group by a fork share. */
struct cgroup_names {
	const char *path, *container, *runtime, *pod, *unit;
	unsigned int holders;
};

/* What is read of a process, held once. NULL: it is gone, or memory is short. */
struct cgroup_names *cgroup_names_read(pid_t pid);

/* Both NULL-safe. The last holder's release frees it. */
struct cgroup_names *cgroup_names_hold(struct cgroup_names *names);
void cgroup_names_release(struct cgroup_names *names);

#endif
