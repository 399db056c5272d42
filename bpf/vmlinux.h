/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The kernel types that gradwatch's programs use, and no others. Field offsets are relocated at
 * load time against the running kernel's BTF (CO-RE), so only names and types matter here. Names
 * as in Linux 5.10 and later; start_boottime was called real_start_time before 5.5.
 */
#ifndef __VMLINUX_H__
#define __VMLINUX_H__

typedef unsigned char __u8;
typedef short __s16;
typedef unsigned short __u16;
typedef int __s32;
typedef unsigned int __u32;
typedef long long __s64;
typedef unsigned long long __u64;
typedef __u16 __be16;
typedef __u32 __be32;
typedef __u32 __wsum;
typedef _Bool bool;

enum {
	false = 0,
	true = 1,
};

enum bpf_map_type {
	BPF_MAP_TYPE_HASH = 1,
	BPF_MAP_TYPE_ARRAY = 2,
	BPF_MAP_TYPE_PROG_ARRAY = 3,
	BPF_MAP_TYPE_PERCPU_ARRAY = 6,
	BPF_MAP_TYPE_LRU_HASH = 9,
	BPF_MAP_TYPE_RINGBUF = 27,
};

enum {
	BPF_ANY = 0,
	BPF_NOEXIST = 1,
};

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

#if defined(__TARGET_ARCH_x86)
struct pt_regs {
	long unsigned int r15, r14, r13, r12, bp, bx, r11, r10, r9, r8;
	long unsigned int ax, cx, dx, si, di, orig_ax, ip, cs, flags, sp, ss;
};

struct thread_struct {
	long unsigned int fsbase;
};
#elif defined(__TARGET_ARCH_arm64)
struct user_pt_regs {
	__u64 regs[31];
	__u64 sp, pc, pstate;
};

struct thread_struct {
	struct {
		long unsigned int tp_value;
	} uw;
};
#endif

/* Whole, since it is an element of an array: its size is the step. */
struct upid {
	int nr;
	struct pid_namespace *ns;
};

struct pid {
	unsigned int level;
	struct upid numbers[1];
};

typedef struct {
	int counter;
} atomic_t;

struct signal_struct {
	atomic_t live;
};

struct super_block {
	__u32 s_dev;
};

struct inode {
	struct super_block *i_sb;
	long unsigned int i_ino;
	__u32 i_generation;
};

struct file {
	struct inode *f_inode;
};

/* Mappings are in a list before 6.1. */
struct vm_area_struct {
	long unsigned int vm_start, vm_end;
	struct vm_area_struct *vm_next;
	struct file *vm_file;
};

struct mm_struct {
	struct vm_area_struct *mmap;
};

struct task_struct {
	int pid;
	int tgid;
	struct mm_struct *mm;
	__u64 start_boottime;
	struct task_struct *group_leader;
	struct pid *thread_pid;
	struct signal_struct *signal;
	int *clear_child_tid;
	struct thread_struct thread;
};

struct bpf_raw_tracepoint_args {
	__u64 args[0];
};

#pragma clang attribute pop

#endif
