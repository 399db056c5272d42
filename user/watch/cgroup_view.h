/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which paths /proc/PID/cgroup shows: they count from the root of the reader's cgroup namespace
 * (cgroup_namespaces(7)). In a container with the host's pids, as of a DaemonSet, that is the
 * container's own, and those of others are like "/../../kubepods/...".
 */
#ifndef GRADWATCH_WATCH_CGROUP_VIEW_H
#define GRADWATCH_WATCH_CGROUP_VIEW_H

/*
 * Joins the host's cgroup namespace, which takes CAP_SYS_ADMIN, if this is another one. It holds
 * for the calling thread and what it starts later, and moves nothing to another group. What fails
 * is logged: paths are incomplete then, and all else works.
 */
void cgroup_view_of_host(void);

#endif
