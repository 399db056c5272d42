/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The little of CPython's object layout that telling one mode from another needs. Layouts from
 * CPython 3.9 - 3.14, Include/object.h and Include/cpython/object.h (builds with a GIL): an object
 * is {ob_refcnt, ob_type}, a type object has tp_name at 24 and tp_base at 256.
 */
#ifndef GRADWATCH_PYTHON_BPF_H
#define GRADWATCH_PYTHON_BPF_H

#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

#define PYOBJECT_TYPE    8
#define PYTYPE_NAME      24
#define PYTYPE_BASE      256
#define PYTHON_MAX_BASES 4 /* subclasses of ProxyTorchDispatchMode that are looked through */

#define CHARS(a, b, c, d, e, f, g, h)                                                              \
	((__u64)(a) | (__u64)(b) << 8 | (__u64)(c) << 16 | (__u64)(d) << 24 | (__u64)(e) << 32 |   \
	 (__u64)(f) << 40 | (__u64)(g) << 48 | (__u64)(h) << 56)

/* Reads a word of the current process; 0 when it cannot be read. */
static __always_inline __u64 user_word(__u64 address)
{
	__u64 word = 0;

	if (bpf_probe_read_user(&word, sizeof(word), (void *)address))
		return 0;
	return word;
}

static __always_inline __u64 python_type(__u64 object)
{
	return object ? user_word(object + PYOBJECT_TYPE) : 0;
}

/*
 * Whether the object that was at this address still is. A freed object keeps reference count 0
 * until its memory is used again, and then hardly gets the same type there.
 * The low half of the count is enough, and the only part that is a count from 3.12 on.
 */
static __always_inline bool python_is_alive(__u64 object, __u64 type)
{
	__u64 head[2] = {};

	if (bpf_probe_read_user(head, sizeof(head), (void *)object))
		return false;
	return (__u32)head[0] != 0 && head[1] == type;
}

/* Whether an object is a ProxyTorchDispatchMode. */
enum python_proxy {
	PYTHON_PROXY_NO,
	PYTHON_PROXY_YES,
	PYTHON_PROXY_UNREADABLE, /* its class cannot be read: a page that is not in memory */
};

#define PROXY_UNRELATED  -1
#define PROXY_UNREADABLE -2

/*
 * How many classes above a type ProxyTorchDispatchMode is, by name: 0 is the class itself.
 * PROXY_UNRELATED: it is none of its bases. PROXY_UNREADABLE: a read failed. A BPF program cannot
 * bring in a page: after fork(2) the child lacks those of files that the parent had not written to.
 */
static __noinline __attribute__((unused)) int python_proxy_distance(__u64 type)
{
	for (int i = 0; i <= PYTHON_MAX_BASES && type; i++) {
		__u64 name[3] = {}, address;

		if (bpf_probe_read_user(&address, sizeof(address), (void *)(type + PYTYPE_NAME)) ||
		    bpf_probe_read_user_str(name, sizeof(name), (void *)address) < 0)
			return PROXY_UNREADABLE;
		if (name[0] == CHARS('P', 'r', 'o', 'x', 'y', 'T', 'o', 'r') &&
		    name[1] == CHARS('c', 'h', 'D', 'i', 's', 'p', 'a', 't') &&
		    name[2] == CHARS('c', 'h', 'M', 'o', 'd', 'e', 0, 0))
			return i;
		if (bpf_probe_read_user(&type, sizeof(type), (void *)(type + PYTYPE_BASE)))
			return PROXY_UNREADABLE;
	}
	return PROXY_UNRELATED;
}

/*
 * Whether a type is ProxyTorchDispatchMode or derived from it. *known keeps the class itself for
 * the next time, NULL: nowhere to keep it. PyTorch's module has it as long as there is Python; a
 * class that is derived from it can go, and another can get its address.
 */
static __always_inline enum python_proxy python_is_proxy_mode(__u64 type, __u64 *known)
{
	int distance;

	if (known && *known == type)
		return PYTHON_PROXY_YES;
	distance = python_proxy_distance(type);
	if (distance == 0 && known)
		*known = type;
	if (distance == PROXY_UNREADABLE)
		return PYTHON_PROXY_UNREADABLE;
	return distance >= 0 ? PYTHON_PROXY_YES : PYTHON_PROXY_NO;
}

#endif
