/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The options that choose processes: --user, --comm, --cgroup, and what they exclude. */
#ifndef GRADWATCH_CLI_FILTERS_H
#define GRADWATCH_CLI_FILTERS_H

#include "base/err.h"
#include "watch/filter.h"

/*
 * Add a condition; option: its name, for messages. The text stays the caller's. A user is a name
 * that this machine knows, or a number.
 */
int filters_add_user(struct filter_conditions *conditions, const char *option, const char *text,
		     struct err *err);
int filters_add_comm(struct filter_conditions *conditions, const char *option, const char *text,
		     struct err *err);
int filters_add_cgroup(struct filter_conditions *conditions, const char *option, const char *text,
		       struct err *err);

/* Whether a pattern can fit: of a process's name, of a cgroup's path. 0 or -EINVAL. */
int filters_check_comm(const char *option, const char *pattern, struct err *err);
int filters_check_cgroup(const char *option, const char *pattern, struct err *err);

/* The user id of a name or number. -EINVAL: this machine knows no such user. */
int filters_uid(const char *option, const char *text, uint32_t *uid, struct err *err);

#endif
