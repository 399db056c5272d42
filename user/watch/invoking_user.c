// SPDX-License-Identifier: GPL-2.0-or-later
#include "watch/invoking_user.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/str.h"

#define MAIL_FOLDER "/var/mail"
#define VARIABLES   5
#define MAX_GROUPS  65536 /* NGROUPS_MAX of Linux */

bool invoking_user_ids(uid_t *uid, gid_t *gid)
{
	const char *sudo_uid = getenv("SUDO_UID"), *sudo_gid = getenv("SUDO_GID");
	uint64_t u, g;

	if (geteuid() != 0 || !sudo_uid || !sudo_gid)
		return false;
	if (str_to_u64(sudo_uid, 0, UINT32_MAX - 1, &u) ||
	    str_to_u64(sudo_gid, 0, UINT32_MAX - 1, &g))
		return false;
	*uid = (uid_t)u;
	*gid = (gid_t)g;
	return true;
}

/* The five values of a user, as sudo makes them of its entry in the user database. */
static int values_of(const struct passwd *entry, char *value[VARIABLES])
{
	value[0] = strdup(entry->pw_dir);
	value[1] = strdup(entry->pw_name);
	value[2] = strdup(entry->pw_name);
	value[3] = strdup(entry->pw_shell[0] ? entry->pw_shell : "/bin/sh");
	if (asprintf(&value[4], MAIL_FOLDER "/%s", entry->pw_name) < 0)
		value[4] = NULL;
	for (int i = 0; i < VARIABLES; i++)
		if (!value[i])
			return -ENOMEM;
	return 0;
}

static void free_values(char *value[VARIABLES])
{
	for (int i = 0; i < VARIABLES; i++)
		free(value[i]);
}

static size_t count_environment(void)
{
	size_t count = 0;

	while (environ && environ[count])
		count++;
	return count;
}

/* Puts NAME=VALUE in the place of the variable, or at the end. */
static int set_variable(struct invoking_user *user, int index, const char *name, const char *value)
{
	size_t length = strlen(name);
	char **at = user->environment;

	if (asprintf(&user->own[index], "%s=%s", name, value) < 0) {
		user->own[index] = NULL;
		return -ENOMEM;
	}
	while (*at && (strncmp(*at, name, length) != 0 || (*at)[length] != '='))
		at++;
	*at = user->own[index];
	return 0;
}

/*
 * What sudo has set for root becomes what it would have set for the user. Another value was kept
 * (env_keep, sudo -E), and sudo would keep it for the user, too.
 */
static int set_environment(struct invoking_user *user, char *const of_root[VARIABLES],
			   char *const of_user[VARIABLES])
{
	static const struct {
		const char *name;
		bool always; /* the others sudo sets only when it resets the environment */
	} variable[VARIABLES] = {{"HOME", true},
				 {"USER", true},
				 {"LOGNAME", true},
				 {"SHELL", false},
				 {"MAIL", false}};
	size_t count = count_environment();

	user->environment = calloc(count + VARIABLES + 1, sizeof(char *));
	if (!user->environment)
		return -ENOMEM;
	memcpy(user->environment, environ, count * sizeof(char *));
	for (int i = 0; i < VARIABLES; i++) {
		const char *now = getenv(variable[i].name);
		bool is_root_s = now && !strcmp(now, of_root[i]);
		int code = 0;

		if (is_root_s || (!now && variable[i].always))
			code = set_variable(user, i, variable[i].name, of_user[i]);
		if (code)
			return code;
	}
	return 0;
}

static int find_groups(struct invoking_user *user, const char *name)
{
	int count = 0;

	getgrouplist(name, user->gid, NULL, &count);
	if (count <= 0 || count > MAX_GROUPS)
		return -EINVAL;
	user->groups = calloc((size_t)count, sizeof(gid_t));
	if (!user->groups)
		return -ENOMEM;
	user->group_count = count;
	return getgrouplist(name, user->gid, user->groups, &user->group_count) < 0 ? -EAGAIN : 0;
}

static int find_all(struct invoking_user *user)
{
	char *of_root[VARIABLES] = {0}, *of_user[VARIABLES] = {0};
	const struct passwd root = {.pw_name = "root", .pw_dir = "/root", .pw_shell = "/bin/sh"};
	const struct passwd *entry = getpwuid(0);
	int code = values_of(entry ? entry : &root, of_root);

	entry = getpwuid(user->uid);
	if (!code && entry) /* else it has no name: no groups, and root's environment */
		code = values_of(entry, of_user);
	if (!code && entry)
		code = find_groups(user, entry->pw_name);
	if (!code)
		code = set_environment(user, of_root, entry ? of_user : of_root);
	free_values(of_root);
	free_values(of_user);
	return code;
}

int invoking_user_find(struct invoking_user *user, struct err *err)
{
	int code;

	*user = (struct invoking_user){0};
	user->exists = invoking_user_ids(&user->uid, &user->gid);
	if (!user->exists)
		return 0;
	code = find_all(user);
	if (!code)
		return 0;
	invoking_user_free(user);
	return err_set(err, code, "cannot look up the user who called sudo: %s", strerror(-code));
}

int invoking_user_become(const struct invoking_user *user)
{
	if (!user->exists)
		return 0;
	if (setgroups((size_t)user->group_count, user->groups) ||
	    setresgid(user->gid, user->gid, user->gid) ||
	    setresuid(user->uid, user->uid, user->uid))
		return -errno;
	return 0;
}

void invoking_user_free(struct invoking_user *user)
{
	for (int i = 0; i < VARIABLES; i++)
		free(user->own[i]);
	free(user->environment);
	free(user->groups);
	*user = (struct invoking_user){0};
}
