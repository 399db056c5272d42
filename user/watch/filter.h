/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which processes of the host are watched: by user, name and cgroup. Within a kind of condition one
 * that fits is enough; of those kinds that are given each must fit, and none of the excluded ones
 * may. Pure.
 */
#ifndef GRADWATCH_WATCH_FILTER_H
#define GRADWATCH_WATCH_FILTER_H

#include <stdbool.h>
#include <stdint.h>

#define FILTER_MAX 64 /* conditions of one kind */

struct filter_conditions {
	uint32_t uid[FILTER_MAX];
	const char *comm[FILTER_MAX];   /* patterns of fnmatch(3) */
	const char *cgroup[FILTER_MAX]; /* the same, of the path that events have */
	unsigned int uids, comms, cgroups;
};

struct filter {
	struct filter_conditions only, exclude;
};

/* What is looked at of a process. */
struct filter_subject {
	uint32_t uid;
	const char *comm;
	const char *cgroup; /* "": unknown */
};

/* Whether it has no condition. */
bool filter_is_empty(const struct filter *filter);

bool filter_admits(const struct filter *filter, const struct filter_subject *subject);

#endif
