// SPDX-License-Identifier: GPL-2.0-or-later
#include "target/inodes.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "skel/inode.skel.h"
#include "probe/diagnose.h"
#include "probe/kernel_btf.h"
#include "target/procfs.h"

#define MAX_TRIES 1000
#define PAUSE_NS  10000

struct inodes {
	struct inode_bpf *bpf;
	int program_fd;
};

static int load(struct inodes *inodes, struct err *err)
{
	const struct bpf_object_open_opts opts = {
		.sz = sizeof(opts),
		.btf_custom_path = kernel_btf_path(),
	};
	bool has_find_vma = libbpf_probe_bpf_helper(BPF_PROG_TYPE_RAW_TRACEPOINT, BPF_FUNC_find_vma,
						    NULL) == 1;
	struct bpf_program *program;
	int code;

	inodes->bpf = inode_bpf__open_opts(&opts);
	if (!inodes->bpf)
		return err_set(err, -errno, "cannot read the BPF programs: %s", strerror(errno));
	bpf_program__set_autoload(inodes->bpf->progs.inode_find, has_find_vma);
	bpf_program__set_autoload(inodes->bpf->progs.inode_walk, !has_find_vma);
	program = has_find_vma ? inodes->bpf->progs.inode_find : inodes->bpf->progs.inode_walk;
	code = inode_bpf__load(inodes->bpf);
	if (code)
		diagnose_bpf(err, code, "loading the program that reads inodes");
	else
		inodes->program_fd = bpf_program__fd(program);
	return code;
}

int inodes_open(struct inodes **out, struct err *err)
{
	struct inodes *inodes = calloc(1, sizeof(*inodes));
	int code;

	if (!inodes)
		return err_set(err, -ENOMEM, "out of memory");
	code = load(inodes, err);
	if (code) {
		inodes_close(inodes);
		return code;
	}
	*out = inodes;
	return 0;
}

void inodes_close(struct inodes *inodes)
{
	if (!inodes)
		return;
	inode_bpf__destroy(inodes->bpf);
	free(inodes);
}

static int run(struct inodes *inodes, const void *address, struct gw_inode *inode)
{
	uint64_t argument = (uintptr_t)address;
	struct bpf_test_run_opts opts = {
		.sz = sizeof(opts),
		.ctx_in = &argument,
		.ctx_size_in = sizeof(argument),
	};
	int code;

	memset(&inodes->bpf->bss->found, 0, sizeof(inodes->bpf->bss->found));
	code = bpf_prog_test_run_opts(inodes->program_fd, &opts);
	if (code)
		return code;
	*inode = inodes->bpf->bss->found;
	if ((int)opts.retval == -EBUSY)
		return -EBUSY;
	return opts.retval || !inode->address ? -ENODATA : 0;
}

/* bpf_find_vma() does not wait: another thread of ours may be mapping something. */
static int look_at(struct inodes *inodes, const void *address, struct gw_inode *inode)
{
	int code = run(inodes, address, inode);

	for (int i = 0; i < MAX_TRIES && code == -EBUSY; i++) {
		nanosleep(&(struct timespec){.tv_nsec = PAUSE_NS}, NULL);
		code = run(inodes, address, inode);
	}
	return code == -EBUSY ? -EAGAIN : code;
}

static int identify_by_stat(int fd, struct gw_inode *inode)
{
	struct stat file;

	if (fstat(fd, &file))
		return -errno;
	*inode = (struct gw_inode){.number = file.st_ino, .device = (uint32_t)file.st_dev};
	return 0;
}

int inodes_identify(struct inodes *inodes, int fd, struct gw_inode *inode)
{
	struct procfs_start start;
	int code;

	if (!inodes)
		return identify_by_stat(fd, inode);
	code = procfs_map_start(fd, &start);
	if (code)
		return code;
	code = look_at(inodes, start.address, inode);
	procfs_unmap_start(&start);
	return code;
}
