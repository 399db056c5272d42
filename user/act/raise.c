// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A builtin that fails sets an exception and returns NULL, and that is what PyErr_Format does
 * (CPython Include/pyerrors.h: it always returns NULL). So the thread, which is at the entry of the
 * builtin, is made to run PyErr_Format instead: the stack is as it was at the entry, the arguments
 * are the exception's type and a format string. CPython holds the GIL there, so this is a place
 * where its functions may be called, and the string is used up before another thread can get there.
 *
 * By ptrace, since few kernels let a BPF program write registers, and none lets it write memory
 * under lockdown. The thread was stopped by a signal from BPF, behind the probed instruction.
 */
#include "act/raise.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "inspect/binding.h"

#define MESSAGE_MAX   1024
#define PATIENCE_NS   10000000000ull /* it is on its way out of the kernel: it is sure to stop */
#define LOOK_AGAIN_NS 10000

#ifdef __x86_64__

/* The format string that gives the message. Returns its size with the NUL, 0: it has no room. */
static size_t make_format(char *out, size_t size, const char *message)
{
	size_t length = 0;

	for (; *message; message++) {
		char c = *message < 0 ? '?' : *message;

		if (length + 3 > size)
			return 0;
		out[length++] = c;
		if (c == '%')
			out[length++] = c;
	}
	out[length++] = '\0';
	return length;
}

static int write_memory(pid_t pid, uint64_t address, void *data, size_t size)
{
	struct iovec local = {data, size}, remote = {(void *)(uintptr_t)address, size};
	ssize_t done = process_vm_writev(pid, &local, 1, &remote, 1, 0);

	if (done < 0)
		return -errno;
	return (size_t)done == size ? 0 : -EFAULT;
}

static int read_word(pid_t pid, uint64_t address, uint64_t *word)
{
	struct iovec local = {word, sizeof(*word)};
	struct iovec remote = {(void *)(uintptr_t)address, sizeof(*word)};
	ssize_t done = process_vm_readv(pid, &local, 1, &remote, 1, 0);

	if (done < 0)
		return -errno;
	return done == sizeof(*word) ? 0 : -EFAULT;
}

/* Waits for the thread to be in a stop that we may look at. */
static int wait_for_stop(pid_t tid, int *status)
{
	const struct timespec pause = {.tv_nsec = LOOK_AGAIN_NS};
	uint64_t end = clock_monotonic() + PATIENCE_NS;

	for (;;) {
		pid_t got = waitpid(tid, status, __WALL | WNOHANG);

		if (got == tid)
			return WIFSTOPPED(*status) ? 0 : -ESRCH;
		if (got < 0 && errno != EINTR)
			return -errno;
		if (clock_monotonic() > end)
			return -ETIMEDOUT;
		nanosleep(&pause, NULL);
	}
}

static bool is_at_entry(const struct user_regs_struct *registers, const struct raise_place *place)
{
	return registers->rip >= place->entry &&
	       registers->rip <= place->entry + BINDING_ENTRY_BYTES;
}

static int redirect(pid_t tid, const struct raise_place *place, uint64_t stack_pointer,
		    uint64_t exception)
{
	struct user_regs_struct registers;

	if (ptrace(PTRACE_GETREGS, tid, NULL, &registers))
		return -errno;
	if (!is_at_entry(&registers, place))
		return -EALREADY;
	registers.rip = place->err_format;
	registers.rsp = stack_pointer;
	registers.rdi = exception;
	registers.rsi = place->room;
	registers.rax = 0;          /* no vector registers hold arguments */
	registers.orig_rax = ~0ull; /* no system call is to be started again */
	return ptrace(PTRACE_SETREGS, tid, NULL, &registers) ? -errno : 0;
}

/* With the signal that the thread was about to get, if that is why it stopped. */
static void let_loose(pid_t tid, int status)
{
	int signal = status >> 16 ? 0 : WSTOPSIG(status);

	ptrace(PTRACE_DETACH, tid, NULL, (void *)(intptr_t)signal);
}

static int prepare(pid_t pid, const struct raise_place *place, const char *message,
		   uint64_t *exception)
{
	char format[MESSAGE_MAX];
	size_t size = make_format(format, sizeof(format), message);
	int code = read_word(pid, place->exception, exception);

	if (code)
		return code;
	if (!size || size > place->room_size)
		return -ENOSPC;
	return write_memory(pid, place->room, format, size);
}

int raise_exception(pid_t pid, pid_t tid, const struct raise_place *place, uint64_t stack_pointer,
		    const char *message)
{
	uint64_t exception;
	int status = 0, code;

	if (ptrace(PTRACE_SEIZE, tid, NULL, NULL))
		return -errno;
	code = ptrace(PTRACE_INTERRUPT, tid, NULL, NULL) ? -errno : wait_for_stop(tid, &status);
	if (code) {
		ptrace(PTRACE_DETACH, tid, NULL, NULL); /* it has ended, or does not stop */
		return code;
	}
	code = prepare(pid, place, message, &exception);
	if (!code)
		code = redirect(tid, place, stack_pointer, exception);
	let_loose(tid, status);
	return code;
}

#else

int raise_exception(pid_t pid, pid_t tid, const struct raise_place *place, uint64_t stack_pointer,
		    const char *message)
{
	(void)pid;
	(void)tid;
	(void)place;
	(void)stack_pointer;
	(void)message;
	return -ENOTSUP;
}

#endif
