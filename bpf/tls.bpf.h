/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * libtorch's thread-local state, read from the thread that is at the probe.
 *
 * glibc (2.31 - 2.43: elf/dl-tls.c): the thread pointer leads to the DTV, an array of 16-byte
 * entries whose entry -1 holds its length and entry m the block of module m. An entry that is all
 * ones, zero or beyond the length is a block that the thread has not touched: the defaults hold.
 *
 * The module id is in the library's GOT. Or there is a TLS descriptor (AArch64;
 * sysdeps/aarch64/dl-machine.h, dl-tlsdesc.h): two words, the second of which is the distance of
 * the variable from the thread pointer where the loader found room next to it, else the address of
 * {module, offset}.
 *
 * Where a build's offsets are unknown (plan.certain == 0), or the process has another C library,
 * the state is tracked by the probes instead: good while nobody else changes it, so such verdicts
 * are marked.
 */
#ifndef GRADWATCH_TLS_BPF_H
#define GRADWATCH_TLS_BPF_H

#include "vmlinux.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#include "machine.bpf.h"
#include "maps.bpf.h"
#include "nest.bpf.h"
#include "python.bpf.h"
#include "traces.bpf.h"

#define DTV_ENTRY_SIZE 16
#define TLS_MODULE_MAX 65536

/* Constants of the builds whose probes these are; user space fills them in before loading. */
const volatile struct gw_plan plan = {};

enum tls_result {
	TLS_READ,       /* *state is what the thread has */
	TLS_UNREADABLE, /* a read failed */
};

struct tls_state {
	__u8 grad;           /* grad mode is on */
	__u8 inference;      /* inference mode is on */
	__u8 fake;           /* the infra slot below PROXY is taken: fake tensors are in use */
	__u8 functional;     /* the infra slot above PROXY is taken */
	__u8 tracing;        /* a ProxyTorchDispatchMode is in force */
	__u8 unsure;         /* the class of the mode in force could not be read */
	__u8 pre_dispatch;   /* the PreDispatch key is included: Python's own stack has modes */
	struct mode_ref ref; /* the mode, when tracing: complete after tls_resolve() */
	__u64 stack;         /* builds without keys: the vector of modes */
	__u64 stack_end;
	__u32 file_id; /* of the library at hand: set by the probe */
	__u32 pad;
};

static __always_inline void tls_keep_block(struct gw_thread *thread, __u64 base, __u32 file_id,
					   __u64 block)
{
	if (!thread || !block)
		return;
	thread->block = block;
	thread->base = base;
	thread->file_id = file_id;
}

/* Only for threads whose block is not known: theirs is not looked for. */
static __always_inline bool tls_is_foreign(void)
{
	__u32 pid = bpf_get_current_pid_tgid() >> 32;
	const struct gw_interpreter *process = bpf_map_lookup_elem(&interpreters, &pid);

	return process && process->other_libc;
}

/*
 * The thread's block of this library: 0 in *block when it has none yet.
 * `thread` keeps it for the next time; NULL when the thread does not fit into the map.
 */
static __always_inline enum tls_result tls_block(struct gw_thread *thread, __u64 base,
						 __u32 file_id, __u64 *block)
{
	__u64 pointer, argument, module, dtv, length;

	if (thread && thread->block && thread->base == base && thread->file_id == file_id) {
		*block = thread->block;
		return TLS_READ;
	}
	*block = 0;
	pointer = thread_pointer();
	if (!pointer || tls_is_foreign())
		return TLS_UNREADABLE;
	if (plan.tls_variable == GW_NO_OFFSET) {
		module = user_word(base + plan.tls_pair);
	} else {
		argument = user_word(base + plan.tls_pair + 8);
		if (argument && argument < GW_STATIC_TLS_END) {
			*block = pointer + argument - plan.tls_variable;
			tls_keep_block(thread, base, file_id, *block);
			return TLS_READ;
		}
		module = user_word(argument);
	}
	dtv = user_word(pointer + DTV_POINTER);
	if (!dtv || !module || module > TLS_MODULE_MAX)
		return TLS_UNREADABLE;
	length = user_word(dtv - DTV_ENTRY_SIZE);
	if (module > length)
		return TLS_READ;
	*block = user_word(dtv + module * DTV_ENTRY_SIZE);
	if (*block == ~0ULL)
		*block = 0;
	tls_keep_block(thread, base, file_id, *block);
	return TLS_READ;
}

static __always_inline enum python_proxy mode_is_proxy(struct gw_thread *thread, __u64 mode)
{
	__u64 type;

	if (!mode)
		return PYTHON_PROXY_NO;
	type = python_type(mode);
	if (!type)
		return PYTHON_PROXY_UNREADABLE;
	return python_is_proxy_mode(type, thread ? &thread->proxy_type : NULL);
}

/*
 * The innermost ProxyTorchDispatchMode on the vector of modes, if there is one. A mode whose class
 * cannot be read is taken for one, and the state is marked.
 */
static __noinline bool tls_find_proxy(struct gw_thread *thread, struct tls_state *state)
{
	__u64 at;

	if (!state)
		return false;
	at = state->stack_end;
	for (int i = 0; i < GW_MAX_STACK_MODES; i++) {
		at -= 16; /* sizeof(std::shared_ptr) */
		if (at < state->stack)
			return false;
		state->ref.holder = user_word(at);
		state->ref.mode = state->ref.holder ? user_word(state->ref.holder) : 0;
		state->ref.above = i;
		switch (mode_is_proxy(thread, state->ref.mode)) {
		case PYTHON_PROXY_NO:
			break;
		case PYTHON_PROXY_UNREADABLE:
			state->unsure = 1;
			return true;
		case PYTHON_PROXY_YES:
			return true;
		}
	}
	return false;
}

/* What one read of the block's interesting part brings. */
struct tls_span {
	__u64 word[GW_SPAN_MAX / 8];
};

#define span_u8(span, offset) (((const __u8 *)(span)->word)[(offset)-plan.tls_span])
#define span_u64(span, offset)                                                                     \
	(*(const __u64 *)((const __u8 *)(span)->word + ((offset)-plan.tls_span)))

/* c10/core/AutogradState.h (1.13 - 2.14): the inference mode is the bit above the grad mode. */
static __always_inline void tls_decode_grad(__u8 bits, struct tls_state *state)
{
	state->grad = !!(bits & plan.grad_mask);
	state->inference = !!(bits & plan.grad_mask << 1);
}

/* The slots are an array: the one below PROXY is as far away as the one above it. */
static __always_inline __u32 tls_fake_flag(void)
{
	__u32 size = plan.tls_functional_flag - plan.tls_proxy_flag;

	return plan.tls_proxy_flag - plan.tls_span >= size ? plan.tls_proxy_flag - size
							   : GW_NO_OFFSET;
}

static __always_inline void tls_decode(const struct tls_span *span, struct tls_state *state)
{
	if (plan.tls_grad_guard == GW_NO_OFFSET || span_u8(span, plan.tls_grad_guard))
		tls_decode_grad(span_u8(span, plan.tls_grad), state);
	if (plan.tls_included != GW_NO_OFFSET)
		state->pre_dispatch =
			span_u64(span, plan.tls_included) >> (plan.pre_dispatch_bit & 63) & 1;
	if (plan.tls_mode_guard != GW_NO_OFFSET && !span_u8(span, plan.tls_mode_guard))
		return;
	if (plan.mode_api == GW_MODES_KEYED) {
		state->functional = span_u8(span, plan.tls_functional_flag);
		if (tls_fake_flag() != GW_NO_OFFSET)
			state->fake = span_u8(span, tls_fake_flag());
		state->tracing = span_u8(span, plan.tls_proxy_flag);
		state->ref.holder = span_u64(span, plan.tls_proxy_slot);
	} else if (plan.mode_api == GW_MODES_STACK) {
		state->stack = span_u64(span, plan.tls_stack);
		state->stack_end = span_u64(span, plan.tls_stack + 8);
	}
}

/*
 * Reads what the block itself holds. Not inline, and calls nothing: all frames of a chain of calls
 * have 512 bytes together, and the span takes most of that.
 */
static __noinline enum tls_result tls_read_block(struct gw_thread *thread, __u64 base,
						 struct tls_state *state)
{
	struct tls_span span;
	__u64 block;

	if (!state)
		return TLS_UNREADABLE;
	state->grad = plan.grad_default;
	if (tls_block(thread, base, state->file_id, &block) != TLS_READ)
		return TLS_UNREADABLE;
	if (!block)
		return TLS_READ;
	if (bpf_probe_read_user(&span, plan.tls_span_size, (void *)(block + plan.tls_span)))
		return TLS_UNREADABLE;
	tls_decode(&span, state);
	return TLS_READ;
}

/* Reads the state of the current thread. */
static __always_inline enum tls_result tls_read(struct gw_thread *thread, __u64 base,
						struct tls_state *state)
{
	enum tls_result result = tls_read_block(thread, base, state);

	if (plan.mode_api == GW_MODES_STACK && state->stack != state->stack_end)
		state->tracing = tls_find_proxy(thread, state);
	return result;
}

/* Reads what only those need who deal with the mode object: most hits do not. */
static __always_inline void tls_resolve(struct tls_state *state)
{
	if (!state->ref.mode)
		state->ref.mode = user_word(state->ref.holder);
}

/*
 * Tracking. gw_thread.modes holds, for keyed builds, one bit per mode key that is set; for builds
 * with a stack, one bit per entry from the top, set for a ProxyTorchDispatchMode.
 */
static __always_inline void track_grad(struct gw_thread *thread, __u8 grad)
{
	thread->grad_known = 1;
	thread->grad = grad;
}

static __always_inline void track_key(struct gw_thread *thread, __u32 key, bool set)
{
	__u32 bit = 1u << (key & 31);

	thread->modes = set ? thread->modes | bit : thread->modes & ~bit;
}

static __always_inline void track_pop_highest(struct gw_thread *thread)
{
	for (int key = 2; key >= 0; key--) {
		if (thread->modes & (1u << key)) {
			track_key(thread, key, false);
			return;
		}
	}
}

static __always_inline void track_stack_push(struct gw_thread *thread, bool proxy)
{
	thread->modes = thread->modes << 1 | proxy;
}

static __always_inline void track_stack_pop(struct gw_thread *thread)
{
	thread->modes >>= 1;
}

/* The tracked state, in the form of a read one. */
static __always_inline void track_state(struct gw_thread *thread, struct tls_state *state)
{
	struct gw_nest *nest;

	state->grad = plan.grad_default;
	if (!thread)
		return;
	if (thread->grad_known)
		state->grad = thread->grad;
	if (plan.mode_api == GW_MODES_KEYED)
		state->tracing = thread->modes >> GW_MODE_KEY_PROXY & 1;
	else
		state->tracing = thread->modes != 0;
	if (plan.mode_api == GW_MODES_STACK)
		state->ref.above = !(thread->modes & 1);
	nest = state->tracing ? nest_get(thread) : NULL;
	if (nest) {
		const struct gw_open_trace *trace = nest_trace(nest, thread->depth - 1);

		state->ref.holder = trace->holder;
		state->ref.mode = trace->mode;
		state->inference = !!(thread->expected & GW_STATE_INFERENCE);
	}
}

#endif
