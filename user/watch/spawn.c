// SPDX-License-Identifier: GPL-2.0-or-later
#include "watch/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/str.h"
#include "watch/inherited.h"

/* The user who called sudo; false when nobody did. */
static bool invoking_user(uid_t *uid, gid_t *gid)
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

static int become_invoking_user(void)
{
	uid_t uid;
	gid_t gid;
	const struct passwd *user;

	if (!invoking_user(&uid, &gid))
		return 0;
	user = getpwuid(uid);
	if (user ? initgroups(user->pw_name, gid) : setgroups(0, NULL))
		return -errno;
	if (user && (setenv("HOME", user->pw_dir, 1) || setenv("USER", user->pw_name, 1) ||
		     setenv("LOGNAME", user->pw_name, 1)))
		return -errno;
	if (setresgid(gid, gid, gid) || setresuid(uid, uid, uid))
		return -errno;
	return 0;
}

/* The child: nothing of gradwatch may reach the command but the wait. */
static void run_child(int go_fd, int failed_fd, char *const argv[])
{
	char byte = 0;
	int code;

	inherited_restore();
	while (read(go_fd, &byte, 1) < 0 && errno == EINTR)
		;
	if (byte != 'g')
		_exit(126);
	code = become_invoking_user();
	if (!code) {
		execvp(argv[0], argv);
		code = -errno;
	}
	code = -code;
	if (write(failed_fd, &code, sizeof(code)) < 0)
		_exit(125);
	_exit(code == ENOENT ? 127 : 126);
}

int spawn_prepare(struct spawn *spawn, char *const argv[], struct err *err)
{
	int go[2], failed[2];

	if (pipe2(go, O_CLOEXEC))
		return err_set(err, -errno, "cannot make a pipe: %s", strerror(errno));
	if (pipe2(failed, O_CLOEXEC)) {
		close(go[0]);
		close(go[1]);
		return err_set(err, -errno, "cannot make a pipe: %s", strerror(errno));
	}
	*spawn = (struct spawn){.pidfd = -1, .go_fd = go[1], .failed_fd = failed[0]};
	spawn->pid = fork();
	if (spawn->pid == 0) {
		close(go[1]); /* so that the child sees our death as end of file */
		close(failed[0]);
		run_child(go[0], failed[1], argv);
	}
	close(go[0]);
	close(failed[1]);
	if (spawn->pid > 0)
		spawn->pidfd = (int)syscall(SYS_pidfd_open, spawn->pid, 0);
	if (spawn->pid < 0 || spawn->pidfd < 0)
		return err_set(err, -errno, "cannot start a process: %s", strerror(errno));
	return 0;
}

int spawn_go(struct spawn *spawn, const char *name, struct err *err)
{
	int code = 0;

	if (write(spawn->go_fd, "g", 1) != 1)
		return err_set(err, -errno, "cannot start '%s': %s", name, strerror(errno));
	close(spawn->go_fd);
	spawn->go_fd = -1;
	if (read(spawn->failed_fd, &code, sizeof(code)) == sizeof(code))
		return err_set(err, -code, "cannot run '%s': %s", name, strerror(code));
	return 0;
}

bool spawn_ended(struct spawn *spawn)
{
	if (!spawn->reaped && waitpid(spawn->pid, &spawn->status, WNOHANG) == spawn->pid)
		spawn->reaped = true;
	return spawn->reaped;
}

int spawn_exit_code(const struct spawn *spawn)
{
	if (WIFSIGNALED(spawn->status))
		return 128 + WTERMSIG(spawn->status);
	return WEXITSTATUS(spawn->status);
}

void spawn_close(struct spawn *spawn)
{
	if (spawn->go_fd >= 0)
		close(spawn->go_fd); /* a waiting child ends at end of file */
	if (spawn->failed_fd >= 0)
		close(spawn->failed_fd);
	if (spawn->pidfd >= 0)
		close(spawn->pidfd);
}
