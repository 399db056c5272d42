// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Which inode the kernel has behind a mapping of the current process. Not attached to anything: the
 * process runs a program by BPF_PROG_TEST_RUN on an address that it has mapped a file at.
 *
 * Uprobes belong to that inode. What fstat(2) says is another one's on overlayfs: each mount has a
 * device number of its own, for one file of a lower layer that they share. /proc/PID/maps shows the
 * overlay's inode from 6.7 on, and perf's MMAP2 record from 6.18 on (file_user_inode()).
 */
#include "vmlinux.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#include "gradwatch/abi.h"

char LICENSE[] SEC("license") = "GPL";

#define MAX_MAPPINGS 4096 /* of the process, that are looked at */

/* What the programs find. User space serializes its calls. */
struct gw_inode found;

static __always_inline void take(struct vm_area_struct *vma)
{
	struct inode *inode = BPF_CORE_READ(vma, vm_file, f_inode);

	found.address = (__u64)inode;
	found.number = BPF_CORE_READ(inode, i_ino);
	found.generation = BPF_CORE_READ(inode, i_generation);
	found.device = BPF_CORE_READ(inode, i_sb, s_dev);
}

static long on_vma(struct task_struct *task, struct vm_area_struct *vma, void *context)
{
	(void)task;
	(void)context;
	take(vma);
	return 0;
}

/* args[0]: an address. Kernels with bpf_find_vma, 5.17 and later. */
SEC("raw_tp/inode_find")
int inode_find(struct bpf_raw_tracepoint_args *ctx)
{
	__u64 none = 0;

	return bpf_find_vma(bpf_get_current_task_btf(), ctx->args[0], on_vma, &none, 0);
}

/* The same before 6.1, where mappings are in a list. */
SEC("raw_tp/inode_walk")
int inode_walk(struct bpf_raw_tracepoint_args *ctx)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct vm_area_struct *vma = BPF_CORE_READ(task, mm, mmap);
	__u64 address = ctx->args[0];

	for (int i = 0; i < MAX_MAPPINGS && vma; i++) {
		if (address >= BPF_CORE_READ(vma, vm_start) &&
		    address < BPF_CORE_READ(vma, vm_end)) {
			take(vma);
			return 0;
		}
		vma = BPF_CORE_READ(vma, vm_next);
	}
	return -1;
}
