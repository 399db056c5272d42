/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Makes a call of the Python binding raise, in its own thread, instead of what it would do. */
#ifndef GRADWATCH_ACT_RAISE_H
#define GRADWATCH_ACT_RAISE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Addresses in the process. */
struct raise_place {
	uint64_t entry;      /* of the binding */
	uint64_t err_format; /* PyErr_Format() */
	uint64_t exception;  /* the variable that holds the exception's type */
	uint64_t room;       /* for the message */
	size_t room_size;
};

/*
 * The thread tid is at the entry of the binding, and its process is being stopped; stack_pointer is
 * what it was there. The message is given as it is to be read; what is not ASCII becomes '?'.
 *
 * 0: the call raises once the process goes on. -EALREADY: the thread has gone on. -EPERM: somebody
 * else traces it. -ESRCH: it has ended. -ENOTSUP: another architecture. -ENOSPC: the message has
 * no room. Or what another system call said. In each of these nothing was changed.
 */
int raise_exception(pid_t pid, pid_t tid, const struct raise_place *place, uint64_t stack_pointer,
		    const char *message);

#endif
