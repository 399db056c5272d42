/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where the current thread's Python frames begin.
 *
 * The thread's PyThreadState hangs on a pthread key (_PyRuntime's autoTSSkey, Python/pystate.c),
 * whether it holds the GIL or not. glibc keeps the first keys' values in struct pthread.
 */
#ifndef GRADWATCH_FRAME_BPF_H
#define GRADWATCH_FRAME_BPF_H

#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

#include "gradwatch/abi.h"
#include "machine.bpf.h"
#include "python.bpf.h"

#define PTHREAD_KEYS_MAX  32
#define FRAME_CODE_TAG    3ULL /* low bits of f_executable, 3.14 */
#define OWNER_INTERPRETER 3    /* FRAME_OWNED_BY_CSTACK or _INTERPRETER: an entry from C */

/* Finds the innermost frame, which may be 0: no Python is running. */
static __always_inline enum gw_stack_status
frame_innermost(const struct gw_interpreter *interpreter, __u64 *frame)
{
	const struct gw_python *python = &interpreter->python;
	__u64 self = thread_self();
	__u32 key = PTHREAD_KEYS_MAX;
	__u64 tstate;

	if (!interpreter->has_python)
		return GW_STACK_NO_PYTHON;
	if (!python->tstate_frame)
		return GW_STACK_UNSUPPORTED;
	bpf_probe_read_user(&key, sizeof(key), (void *)(interpreter->runtime + python->key));
	if (key >= PTHREAD_KEYS_MAX)
		return GW_STACK_NO_THREAD;
	tstate = user_word(self + PTHREAD_KEYS + 16 * key + 8);
	if (!tstate || user_word(tstate + python->tstate_thread) != self)
		return GW_STACK_NO_THREAD;
	*frame = user_word(tstate + python->tstate_frame);
	if (python->cframe_frame != GW_NO_FIELD)
		*frame = user_word(*frame + python->cframe_frame);
	return GW_STACK_WHOLE;
}

#endif
