/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What differs from one processor to another: where a thread keeps what is its own, how arguments
 * are passed, how a call is replaced by another.
 *
 * glibc 2.31 - 2.43, nptl/descr.h and sysdeps/{x86_64,aarch64}/nptl/tls.h. On x86-64 the thread
 * pointer is that of struct pthread, which begins with the thread control block; the DTV is the
 * word at 8. On AArch64 it points behind struct pthread, whose size differs from version to
 * version, and at the DTV's address. The kernel is given the address of the `tid` in struct
 * pthread, as it clears it at the thread's end (set_tid_address, CLONE_CHILD_CLEARTID).
 */
#ifndef GRADWATCH_MACHINE_BPF_H
#define GRADWATCH_MACHINE_BPF_H

#include "vmlinux.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "python.bpf.h"

#if defined(__TARGET_ARCH_x86)

#define PTHREAD_KEYS 0x310 /* struct pthread, specific_1stblock: {seq, data} */
#define DTV_POINTER  8     /* from the thread pointer */

/* The only argument of a function that returns an object: the first says where to. */
#define PT_REGS_ALONE(ctx) PT_REGS_PARM2(ctx)

static __always_inline __u64 thread_pointer(void)
{
	struct task_struct *task = (void *)bpf_get_current_task();

	return BPF_CORE_READ(task, thread.fsbase);
}

/* The thread's struct pthread, which is what pthread_self() returns. */
static __always_inline __u64 thread_self(void)
{
	return thread_pointer();
}

/*
 * A register by the number that it is encoded as. The number is a constant to the verifier, which
 * wants each field of the context read by an instruction of its own.
 */
#define READ_REGISTER(number, field)                                                               \
	case number:                                                                               \
		asm volatile("%0 = *(u64 *)(%1 + %2)"                                              \
			     : "=r"(value)                                                         \
			     : "r"(ctx), "i"(offsetof(struct pt_regs, field)));                    \
		break

static __always_inline __u64 register_value(struct pt_regs *ctx, __u32 number)
{
	__u64 value = 0;

	switch (number) {
		READ_REGISTER(0, ax);
		READ_REGISTER(1, cx);
		READ_REGISTER(2, dx);
		READ_REGISTER(3, bx);
		READ_REGISTER(5, bp);
		READ_REGISTER(6, si);
		READ_REGISTER(7, di);
		READ_REGISTER(8, r8);
		READ_REGISTER(9, r9);
		READ_REGISTER(10, r10);
		READ_REGISTER(11, r11);
		READ_REGISTER(12, r12);
		READ_REGISTER(13, r13);
		READ_REGISTER(14, r14);
		READ_REGISTER(15, r15);
	}
	return value;
}

/* At the entry of a function, or `frame` bytes of its frame later: the address it returns to. */
static __always_inline __u64 return_address(struct pt_regs *ctx, __u32 frame)
{
	return user_word(PT_REGS_SP(ctx) + frame);
}

/* Makes the thread go on at a variadic function with three arguments, none of them in vectors. */
static __always_inline void call_instead(struct pt_regs *ctx, __u64 function, __u64 first,
					 __u64 second, __u64 third)
{
	ctx->di = first;
	ctx->si = second;
	ctx->dx = third;
	ctx->ax = 0;
	ctx->ip = function;
}

#elif defined(__TARGET_ARCH_arm64)

#define PTHREAD_KEYS       0x110
#define PTHREAD_TID        0xd0
#define DTV_POINTER        0

/* x8 says where a returned object goes. */
#define PT_REGS_ALONE(ctx) PT_REGS_PARM1(ctx)

/*
 * As it was when the thread last left a CPU: the kernel reads the register only then. A thread that
 * never has since it began has 0 there, or what its creator gave it, which is right.
 */
static __always_inline __u64 thread_pointer(void)
{
	struct task_struct *task = (void *)bpf_get_current_task();

	return BPF_CORE_READ(task, thread.uw.tp_value);
}

static __always_inline __u64 thread_self(void)
{
	struct task_struct *task = (void *)bpf_get_current_task();

	return (__u64)BPF_CORE_READ(task, clear_child_tid) - PTHREAD_TID;
}

/* user/inspect looks for no other register there. */
static __always_inline __u64 register_value(struct pt_regs *ctx, __u32 number)
{
	(void)number;
	return PT_REGS_PARM1(ctx);
}

/* In the link register, with a signature in the bits that no address needs (pointer
 * authentication). */
static __always_inline __u64 return_address(struct pt_regs *ctx, __u32 frame)
{
	(void)frame;
	return PT_REGS_RET(ctx) & ((1ULL << 48) - 1);
}

static __always_inline void call_instead(struct pt_regs *ctx, __u64 function, __u64 first,
					 __u64 second, __u64 third)
{
	struct user_pt_regs *registers = (void *)ctx;

	registers->regs[0] = first;
	registers->regs[1] = second;
	registers->regs[2] = third;
	registers->pc = function;
}

#endif

#endif
