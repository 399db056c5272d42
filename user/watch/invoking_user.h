/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The user who called sudo, and the environment that `sudo -u USER` would give. */
#ifndef GRADWATCH_WATCH_INVOKING_USER_H
#define GRADWATCH_WATCH_INVOKING_USER_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"

struct invoking_user {
	bool exists; /* false: nobody called sudo, and nothing else is set */
	uid_t uid;
	gid_t gid;
	gid_t *groups;
	int group_count;
	char **environment; /* ended by NULL; the array is ours, most strings are environ's */
	char *own[5];       /* strings of it that are ours */
};

/* Who called sudo, by its environment; false: nobody, and nothing is set. */
bool invoking_user_ids(uid_t *uid, gid_t *gid);

/*
 * Looks the user up, from SUDO_UID and SUDO_GID. The user database may be on the network: not to be
 * called while processes wait for an answer.
 */
int invoking_user_find(struct invoking_user *user, struct err *err);

/* Gives the calling process its ids and groups. It must not have other threads. Negative errno. */
int invoking_user_become(const struct invoking_user *user);

void invoking_user_free(struct invoking_user *user);

#endif
