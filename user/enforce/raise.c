// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A builtin that fails sets an exception and returns NULL, and that is what PyErr_Format does
 * (CPython Include/pyerrors.h: it always returns NULL). So the thread, which is at the entry of the
 * builtin, is made to run PyErr_Format instead: the stack is as it was at the entry, the arguments
 * are the exception's type, a format string and the number of the trace. CPython holds the GIL
 * there, so this is a place where its functions may be called, and the string is used up before
 * another thread can get there.
 *
 * A kernel that lets a uprobe's program write registers does it in BPF (bpf/torch.bpf.c), with what
 * is prepared here. On others it is done by ptrace: the thread was stopped by a signal from BPF,
 * behind the probed instruction.
 */
#include "enforce/raise.h"

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
#include "target/procfs.h"

#define MESSAGE_BYTES 256          /* of one */
#define PATIENCE_NS   500000000ull /* it is on its way out of the kernel, if nothing freezes it */
#define LOOK_AGAIN_NS 10000
#define MAX_LATE      64 /* threads that are traced and have not stopped */

#ifdef __x86_64__

/* Format strings, by what the mode was to become; the argument is the trace. */
static const char message[2][MESSAGE_BYTES] = {
	"gradwatch: the grad mode was about to change (on -> off) inside trace %lu, which does not "
	"record it: the graph would be silently wrong. Use pre_dispatch=True, which records it; "
	"for "
	"inference only, put torch.no_grad() around the whole trace.",
	"gradwatch: the grad mode was about to change (off -> on) inside trace %lu, which does not "
	"record it: the graph would be silently wrong. Use pre_dispatch=True, which records it.",
};

static int write_memory(pid_t pid, uint64_t address, const void *data, size_t size)
{
	struct iovec local = {(void *)(uintptr_t)data, size},
		     remote = {(void *)(uintptr_t)address, size};
	ssize_t done = process_vm_writev(pid, &local, 1, &remote, 1, 0);

	if (done < 0)
		return -errno;
	return (size_t)done == size ? 0 : -EFAULT;
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

/* At most one instruction behind it, which may have pushed a register. */
static bool is_at_entry(const struct user_regs_struct *registers, const struct raise_place *place,
			const struct raise_call *call)
{
	return registers->rip >= place->entry &&
	       registers->rip <= place->entry + BINDING_ENTRY_BYTES &&
	       registers->rsp <= call->stack_pointer &&
	       call->stack_pointer - registers->rsp <= sizeof(registers->rsp);
}

int raise_prepare(pid_t pid, const struct raise_place *place, struct raise_ready *ready)
{
	int code = procfs_read_memory(pid, place->exception, &ready->exception,
				      sizeof(ready->exception));

	if (code)
		return code;
	if (place->space_size < sizeof(message))
		return -ENOSPC;
	ready->message[0] = place->space;
	ready->message[1] = place->space + MESSAGE_BYTES;
	return write_memory(pid, place->space, message, sizeof(message));
}

static int redirect(pid_t tid, const struct raise_place *place, const struct raise_call *call)
{
	struct user_regs_struct registers;
	struct raise_ready ready;
	int code = raise_prepare(call->pid, place, &ready);

	if (code)
		return code;
	if (ptrace(PTRACE_GETREGS, tid, NULL, &registers))
		return -errno;
	/* Somebody else may have continued it: then it can be at the entry for another call. */
	if (!is_at_entry(&registers, place, call) || !call->is_current(call->context, call))
		return -EALREADY;
	registers.rip = place->err_format;
	registers.rsp = call->stack_pointer;
	registers.rdi = ready.exception;
	registers.rsi = ready.message[call->to];
	registers.rdx = call->trace;
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

static pid_t late[MAX_LATE];
static size_t late_count;

void raise_tick(void)
{
	for (size_t i = 0; i < late_count;) {
		int status = 0;
		pid_t got = waitpid(late[i], &status, __WALL | WNOHANG);

		if (!got) {
			i++;
			continue;
		}
		if (got == late[i] && WIFSTOPPED(status))
			let_loose(late[i], status);
		late[i] = late[--late_count];
	}
}

int raise_exception(const struct raise_call *call, const struct raise_place *place)
{
	pid_t tid = call->tid;
	int status = 0, code;

	if (late_count == MAX_LATE)
		return -EAGAIN;
	if (ptrace(PTRACE_SEIZE, tid, NULL, NULL))
		return -errno;
	code = ptrace(PTRACE_INTERRUPT, tid, NULL, NULL) ? -errno : wait_for_stop(tid, &status);
	if (code == -ETIMEDOUT)
		late[late_count++] = tid;
	if (code) /* it has ended, or does not stop */
		return code;
	code = redirect(tid, place, call);
	let_loose(tid, status);
	return code;
}

#else

int raise_prepare(pid_t pid, const struct raise_place *place, struct raise_ready *ready)
{
	(void)pid;
	(void)place;
	(void)ready;
	return -ENOTSUP;
}

int raise_exception(const struct raise_call *call, const struct raise_place *place)
{
	(void)call;
	(void)place;
	return -ENOTSUP;
}

void raise_tick(void)
{
}

#endif
