/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The argument of torch._C._set_grad_enabled(enabled), as CPython hands it to a builtin: the object
 * itself (METH_O), or a tuple and a dict, which may be NULL (METH_VARARGS | METH_KEYWORDS).
 *
 * Layouts, CPython 3.9 - 3.14: a tuple has ob_size at 16 and its items from 24 on, in 3.14 from 32
 * on (Include/cpython/tupleobject.h). A dict has ma_used at 16, ma_keys at 32, ma_values at 40
 * (Include/cpython/dictobject.h). Its keys (Objects/dict-common.h, since 3.11
 * Include/internal/pycore_dict.h) are a table of indices and then entries: 3.11 has
 * dk_log2_index_bytes at 9, dk_kind at 10 and the indices at 32, 3.9 has dk_size at 8 and them at
 * 40. An entry is {hash, key, value}; where dk_kind says that all keys are strings, {key, value}.
 */
#ifndef GRADWATCH_ARGUMENTS_BPF_H
#define GRADWATCH_ARGUMENTS_BPF_H

#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

#include "maps.bpf.h"
#include "python.bpf.h"

#define PY_SIZE_OFFSET  16 /* PyVarObject, and ma_used */
#define TUPLE_ITEMS     24
#define TUPLE_ITEMS_314 32
#define DICT_KEYS       32
#define DICT_VALUES     40
#define KEYS_HEADER     32
#define KEYS_HEADER_309 40
#define KEYS_GENERAL    0 /* dk_kind DICT_KEYS_GENERAL */

#define PYTHON_311      0x30b
#define PYTHON_314      0x30e

/* Address of the first entry's value in the keys of a dict with one entry. */
static __always_inline __u64 dict_first_value(__u64 keys, __u32 version)
{
	__u64 head[2] = {};

	if (bpf_probe_read_user(head, sizeof(head), (void *)keys))
		return 0;
	if (version < PYTHON_311) { /* of up to 128 slots, an index is a byte */
		if (head[1] > 128)
			return 0;
		return keys + KEYS_HEADER_309 + head[1] + 16;
	}
	if ((head[1] >> 8 & 0xff) > 7)
		return 0;
	return keys + KEYS_HEADER + (1ull << (head[1] >> 8 & 7)) +
	       ((head[1] >> 16 & 0xff) == KEYS_GENERAL ? 16 : 8);
}

/* The value in a dict that has one, 0: it has another number, or a form of its own. */
static __always_inline __u64 dict_only_value(__u64 dict, __u32 version)
{
	__u64 value;

	if (!dict || user_word(dict + PY_SIZE_OFFSET) != 1 || user_word(dict + DICT_VALUES))
		return 0;
	value = dict_first_value(user_word(dict + DICT_KEYS), version);
	return value ? user_word(value) : 0;
}

/* The object that the binding is called with, 0: it is not known. */
static __always_inline __u64 binding_argument(struct pt_regs *ctx, bool method_o, __u32 version)
{
	__u64 args = PT_REGS_PARM2(ctx);

	if (method_o)
		return args;
	if (user_word(args + PY_SIZE_OFFSET) == 1)
		return user_word(args + (version >= PYTHON_314 ? TUPLE_ITEMS_314 : TUPLE_ITEMS));
	return dict_only_value(PT_REGS_PARM3(ctx), version);
}

/* The mode that the binding is asked for: 0, 1, or -1: what is given is neither True nor False. */
static __noinline int binding_value(struct pt_regs *ctx, bool method_o)
{
	__u32 pid = bpf_get_current_pid_tgid() >> 32;
	struct gw_interpreter *interpreter = bpf_map_lookup_elem(&interpreters, &pid);
	__u64 object;

	if (!ctx || !interpreter || !interpreter->true_object)
		return -1;
	object = binding_argument(ctx, method_o, interpreter->python.version);
	if (object == interpreter->true_object)
		return 1;
	return object == interpreter->false_object ? 0 : -1;
}

#endif
