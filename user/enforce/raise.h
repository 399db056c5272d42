/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Makes a call of the Python binding raise, in its own thread, instead of what it would do. */
#ifndef GRADWATCH_ENFORCE_RAISE_H
#define GRADWATCH_ENFORCE_RAISE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Addresses in the process. */
struct raise_place {
	uint64_t entry;      /* of the binding */
	uint64_t err_format; /* PyErr_Format() */
	uint64_t exception;  /* the variable that holds the exception's type */
	uint64_t space;      /* for the messages */
	size_t space_size;
};

/* What is in the process when it was prepared: the type, and the message for each new mode. */
struct raise_ready {
	uint64_t exception;
	uint64_t message[2];
};

/*
 * Writes the messages into the process. 0; -ENOSPC: they have no space; -ENOTSUP: another
 * architecture; or what process_vm_writev said.
 */
int raise_prepare(pid_t pid, const struct raise_place *place, struct raise_ready *ready);

/* A call that is to raise. */
struct raise_call {
	pid_t pid, tid;
	uint64_t stack_pointer; /* at the entry of the binding */
	uint64_t trace;
	bool to; /* the mode that it asks for */
	/* Whether the thread, which is stopped, is in this very call. */
	bool (*is_current)(void *context, const struct raise_call *call);
	void *context;
};

/*
 * The thread is at the entry of the binding, and its process is being stopped. By ptrace.
 *
 * 0: the call raises once the process goes on. -EALREADY: the thread has gone on. -EPERM: somebody
 * else traces it. -ESRCH: it has ended. -ETIMEDOUT: it did not stop. Or as raise_prepare(), or what
 * another system call said. In each of these nothing was changed.
 */
int raise_exception(const struct raise_call *call, const struct raise_place *place);

/*
 * Detaches from threads that were asked to stop and did not in time (-ETIMEDOUT): that can only be
 * done once they have stopped.
 */
void raise_tick(void);

#endif
