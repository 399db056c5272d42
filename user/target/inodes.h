/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The identity of a file: the inode that the kernel puts uprobes on, whatever overlayfs, bind
 * mounts or hard links show. A file is mapped, and bpf/inode.bpf.c looks at the mapping.
 */
#ifndef GRADWATCH_TARGET_INODES_H
#define GRADWATCH_TARGET_INODES_H

#include <stdbool.h>

#include "base/err.h"
#include "gradwatch/abi.h"

struct inodes;

/* 0, or negative errno with the cause in err. */
int inodes_open(struct inodes **inodes, struct err *err);
void inodes_close(struct inodes *inodes);

/*
 * The inode of the file behind fd. inodes NULL: without asking the kernel, what fstat(2) says; good
 * enough to look at one process. 0 or negative errno.
 */
int inodes_identify(struct inodes *inodes, int fd, struct gw_inode *inode);

#endif
