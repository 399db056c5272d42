/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The command of `gradwatch -- CMD`: forked first, so that its pid can be watched, and let go into
 * exec only when the probes are armed.
 */
#ifndef GRADWATCH_WATCH_SPAWN_H
#define GRADWATCH_WATCH_SPAWN_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"

struct spawn {
	const char *name; /* of the command, as it was given */
	pid_t pid;
	int pidfd;
	int go_fd;     /* close-on-exec pipe: one byte lets the child go */
	int failed_fd; /* the child's errno, when exec failed; end of file when it did not */
	bool reaped;
	int status; /* as of waitpid(2), once reaped */
};

/*
 * Forks a child that waits. Under sudo it becomes the invoking user (invoking_user.h); the rest of
 * its environment, its descriptors, terminal and process group are ours, its signals what we were
 * given.
 */
int spawn_prepare(struct spawn *spawn, char *const argv[], struct err *err);

/* Lets it go. 0, or negative errno with the cause in err. */
int spawn_go(struct spawn *spawn, struct err *err);

/* Whether exec failed, with the cause in err: negative errno. To be called when failed_fd is
 * readable.
 */
int spawn_failure(const struct spawn *spawn, struct err *err);

/* Collects it if it has ended; returns whether it has. */
bool spawn_ended(struct spawn *spawn);

/* Its exit status as a shell gives it: the status, or 128 + the signal. */
int spawn_exit_code(const struct spawn *spawn);

/* Ends a child that was never let go, and closes what is open. Nothing if none was forked. */
void spawn_close(struct spawn *spawn);

#endif
