/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a uprobe's program knows of the place it was hit at. Programs are loaded once per plan and
 * placed in every file that has it; the cookie (5.15 and later) holds the file's number and, for a
 * program that serves several sites, the site. Older kernels have no cookies: there the programs
 * are loaded for one file, whose number is a constant.
 */
#ifndef GRADWATCH_COOKIE_BPF_H
#define GRADWATCH_COOKIE_BPF_H

#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

#include "gradwatch/abi.h"

const volatile bool has_cookies = false;
const volatile __u32 only_file = 0; /* where there are none */

/* The number of the file that was hit. */
static __always_inline __u32 cookie_file(struct pt_regs *ctx)
{
	return has_cookies ? (__u32)bpf_get_attach_cookie(ctx) : only_file;
}

/* enum gw_site that was hit; only for programs that are placed with cookies. */
static __always_inline __u32 cookie_site(struct pt_regs *ctx)
{
	return has_cookies ? bpf_get_attach_cookie(ctx) >> GW_COOKIE_SITE_SHIFT : GW_SITE_MAX;
}

#endif
