// SPDX-License-Identifier: GPL-2.0-or-later
#include "watch/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "watch/inherited.h"
#include "watch/invoking_user.h"

/* The child: nothing of gradwatch may reach the command but the wait. */
static void run_child(const struct invoking_user *user, int go_fd, int failed_fd,
		      char *const argv[])
{
	char byte = 0;
	int code;

	inherited_restore();
	while (read(go_fd, &byte, 1) < 0 && errno == EINTR)
		;
	if (byte != 'g')
		_exit(126);
	code = invoking_user_become(user);
	if (!code) {
		if (user->environment)
			environ = user->environment;
		execvp(argv[0], argv);
		code = -errno;
	}
	code = -code;
	if (write(failed_fd, &code, sizeof(code)) < 0)
		_exit(125);
	_exit(code == ENOENT ? 127 : 126);
}

static int fork_child(struct spawn *spawn, const struct invoking_user *user, char *const argv[],
		      struct err *err)
{
	int go[2], failed[2];

	if (pipe2(go, O_CLOEXEC))
		return err_set(err, -errno, "cannot make a pipe: %s", strerror(errno));
	if (pipe2(failed, O_CLOEXEC)) {
		close(go[0]);
		close(go[1]);
		return err_set(err, -errno, "cannot make a pipe: %s", strerror(errno));
	}
	*spawn = (struct spawn){
		.name = argv[0], .pidfd = -1, .go_fd = go[1], .failed_fd = failed[0]};
	spawn->pid = fork();
	if (spawn->pid == 0) {
		close(go[1]); /* so that the child sees our death as end of file */
		close(failed[0]);
		run_child(user, go[0], failed[1], argv);
	}
	close(go[0]);
	close(failed[1]);
	if (spawn->pid > 0)
		spawn->pidfd = (int)syscall(SYS_pidfd_open, spawn->pid, 0);
	if (spawn->pid < 0 || spawn->pidfd < 0)
		return err_set(err, -errno, "cannot start a process: %s", strerror(errno));
	return 0;
}

int spawn_prepare(struct spawn *spawn, char *const argv[], struct err *err)
{
	struct invoking_user user;
	int code = invoking_user_find(&user, err);

	if (code)
		return code;
	code = fork_child(spawn, &user, argv, err);
	invoking_user_free(&user);
	return code;
}

int spawn_go(struct spawn *spawn, struct err *err)
{
	if (write(spawn->go_fd, "g", 1) != 1)
		return err_set(err, -errno, "cannot start '%s': %s", spawn->name, strerror(errno));
	close(spawn->go_fd);
	spawn->go_fd = -1;
	return 0;
}

int spawn_failure(const struct spawn *spawn, struct err *err)
{
	int code;

	if (read(spawn->failed_fd, &code, sizeof(code)) != sizeof(code))
		return 0;
	return err_set(err, -code, "cannot run '%s': %s", spawn->name, strerror(code));
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
	if (!spawn->pid)
		return;
	if (spawn->go_fd >= 0)
		close(spawn->go_fd); /* a waiting child ends at end of file */
	if (spawn->failed_fd >= 0)
		close(spawn->failed_fd);
	if (spawn->pidfd >= 0)
		close(spawn->pidfd);
}
