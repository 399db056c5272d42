// SPDX-License-Identifier: GPL-2.0-or-later
/* A uprobe program that does nothing: what is left is the price of the probe itself. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "GPL";

SEC("uprobe")
int empty(void *context)
{
	(void)context;
	return 0;
}
