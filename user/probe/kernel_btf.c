// SPDX-License-Identifier: GPL-2.0-or-later
#include "probe/kernel_btf.h"

#include <bpf/btf.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

static const char *given;

int kernel_btf_use(const char *path, struct err *err)
{
	struct btf *btf = btf__parse(path, NULL);

	if (!btf)
		return err_set(err, -errno,
			       "--btf %s: %s; it wants the BTF of the running kernel: a copy of "
			       "its " KERNEL_BTF_OWN ", or what `pahole -J` makes of its vmlinux",
			       path, strerror(errno));
	btf__free(btf);
	given = path;
	return 0;
}

const char *kernel_btf_path(void)
{
	return given;
}

bool kernel_btf_found(void)
{
	return given || !access(KERNEL_BTF_OWN, R_OK);
}
