// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/filters.h"

#include <errno.h>
#include <pwd.h>
#include <string.h>

#include "base/str.h"
#include "gradwatch/abi.h"

#define COMM_BYTES (GW_COMM_LEN - 1) /* of a process's name; longer ones are cut by the kernel */

int filters_uid(const char *option, const char *text, uint32_t *uid, struct err *err)
{
	const struct passwd *user;
	uint64_t number;

	if (!str_to_u64(text, 0, UINT32_MAX - 1, &number)) {
		*uid = (uint32_t)number;
		return 0;
	}
	user = getpwnam(text);
	if (!user)
		return err_set(err, -EINVAL,
			       "--%s: this machine knows no user '%s'; use a name that 'getent "
			       "passwd' shows, or the number of a user",
			       option, text);
	*uid = user->pw_uid;
	return 0;
}

/* How many bytes a name has at least that a pattern of the shell fits. */
static size_t shortest_match(const char *pattern)
{
	size_t length = 0;

	for (const char *at = pattern; *at; at++) {
		const char *end = *at == '[' && at[1] ? strchr(at + 2, ']') : NULL;

		if (*at == '\\' && at[1])
			at++;
		if (end)
			at = end;
		length += *at != '*';
	}
	return length;
}

int filters_check_comm(const char *option, const char *pattern, struct err *err)
{
	if (pattern[0] && shortest_match(pattern) <= COMM_BYTES)
		return 0;
	return err_set(err, -EINVAL,
		       "--%s '%s' fits no process: names have 1 to %d bytes, longer ones are cut "
		       "(see /proc/PID/comm); use '%.*s*'",
		       option, pattern, COMM_BYTES, COMM_BYTES - 1, pattern);
}

int filters_check_cgroup(const char *option, const char *pattern, struct err *err)
{
	if (!pattern[0])
		return err_set(err, -EINVAL, "--%s '' fits no process", option);
	if (strchr("/*?[", pattern[0]))
		return 0;
	return err_set(err, -EINVAL,
		       "--%s '%s' fits no process: paths begin with a slash (see "
		       "/proc/PID/cgroup); use '/%s' or '*/%s'",
		       option, pattern, pattern, pattern);
}

static int check_count(unsigned int count, const char *option, struct err *err)
{
	return count < FILTER_MAX ? 0
				  : err_set(err, -EINVAL, "more than %d --%s", FILTER_MAX, option);
}

int filters_add_user(struct filter_conditions *conditions, const char *option, const char *text,
		     struct err *err)
{
	int code = check_count(conditions->uids, option, err);

	if (!code)
		code = filters_uid(option, text, &conditions->uid[conditions->uids], err);
	conditions->uids += !code;
	return code;
}

int filters_add_comm(struct filter_conditions *conditions, const char *option, const char *text,
		     struct err *err)
{
	int code = check_count(conditions->comms, option, err);

	if (!code)
		code = filters_check_comm(option, text, err);
	if (!code)
		conditions->comm[conditions->comms++] = text;
	return code;
}

int filters_add_cgroup(struct filter_conditions *conditions, const char *option, const char *text,
		       struct err *err)
{
	int code = check_count(conditions->cgroups, option, err);

	if (!code)
		code = filters_check_cgroup(option, text, err);
	if (!code)
		conditions->cgroup[conditions->cgroups++] = text;
	return code;
}
