/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a push or a pop of a dispatch mode means, by the two innermost Python frames.
 *
 * torch/utils/_python_dispatch.py (1.13 - 2.14): TorchDispatchMode.__enter__ calls _push_mode,
 * __exit__ calls _pop_mode. Whoever puts a mode aside for a while calls the same two from
 * somewhere else (1.13 so hands on an operator), and the C++ guard round an operator comes from
 * neither.
 */
#ifndef GRADWATCH_PEEK_BPF_H
#define GRADWATCH_PEEK_BPF_H

#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

#include "frame.bpf.h"
#include "maps.bpf.h"

enum peek {
	PEEK_UNKNOWN, /* the frames cannot be read */
	PEEK_ENTER,   /* a mode is entered */
	PEEK_EXIT,    /* and left */
	PEEK_ASIDE,   /* Python code puts it aside for a while, or back */
	PEEK_OTHER,   /* neither: the C++ guard round an operator */
};

/* Whose call of the setter it is. */
enum changer {
	CHANGER_UNKNOWN,
	CHANGER_ENTER,    /* a context manager's, when it is entered */
	CHANGER_EXIT,     /* and left: the way back */
	CHANGER_AUTOGRAD, /* C++ code that torch/autograd has called */
};

#define PEEK_MAX_CHANGERS 6  /* frames that are looked at for that */
#define PYSTRING_LENGTH   16 /* PyASCIIObject.length, CPython 3.9 - 3.14 */
#define PEEK_NAME_WORDS   4  /* "TorchDispatchMode.__enter__" and its 0 */

/* Reads the name of a frame's code: of a str that is ASCII, as others cannot be meant. */
static __always_inline bool peek_name(const struct gw_interpreter *interpreter, __u64 frame,
				      __u64 name[PEEK_NAME_WORDS])
{
	const struct gw_python *python = &interpreter->python;
	__u64 code = user_word(frame + python->frame_code) & ~FRAME_CODE_TAG;
	__u64 string = user_word(code + python->code_name);

	__builtin_memset(name, 0, PEEK_NAME_WORDS * 8);
	return bpf_probe_read_user_str(name, PEEK_NAME_WORDS * 8,
				       (void *)(string + python->string_ascii)) > 0;
}

static __always_inline bool is_push_mode(const __u64 *name)
{
	return name[0] == CHARS('_', 'p', 'u', 's', 'h', '_', 'm', 'o') &&
	       name[1] == CHARS('d', 'e', 0, 0, 0, 0, 0, 0);
}

static __always_inline bool is_pop_mode(const __u64 *name)
{
	return name[0] == CHARS('_', 'p', 'o', 'p', '_', 'm', 'o', 'd') &&
	       name[1] == CHARS('e', 0, 0, 0, 0, 0, 0, 0);
}

/* "TorchDispatchMode." before the name, as it is qualified from CPython 3.11 on. */
static __always_inline bool is_method(const __u64 *name)
{
	return name[0] == CHARS('T', 'o', 'r', 'c', 'h', 'D', 'i', 's') &&
	       name[1] == CHARS('p', 'a', 't', 'c', 'h', 'M', 'o', 'd') &&
	       (name[2] & 0xffff) == ('e' | '.' << 8);
}

/* Whether a name is first-rest, of eight and of one or two characters, qualified or not. */
static __always_inline bool is_called(const __u64 *name, __u64 first, __u64 rest)
{
	if (is_method(name))
		return (name[2] >> 16) == (first & 0xffffffffffff) &&
		       name[3] == (first >> 48 | rest << 16);
	return name[0] == first && name[1] == rest;
}

/* The frame that called one, past the artificial one that an entry from C leaves between them. */
static __always_inline __u64 peek_previous(const struct gw_python *python, __u64 frame)
{
	__u8 owner = 0;

	frame = user_word(frame + python->frame_previous);
	if (python->frame_owner == GW_NO_FIELD)
		return frame;
	bpf_probe_read_user(&owner, sizeof(owner), (void *)(frame + python->frame_owner));
	return owner >= OWNER_INTERPRETER ? user_word(frame + python->frame_previous) : frame;
}

/*
 * The last 16 bytes of a string; 0 where they cannot be read. Of a string that is not ASCII they
 * are others, so it is none of those that are looked for. A shorter one is preceded by its own
 * header.
 */
static __always_inline void peek_tail(const struct gw_python *python, __u64 string, __u64 *length,
				      __u64 tail[2])
{
	*length = user_word(string + PYSTRING_LENGTH);
	tail[0] = user_word(string + python->string_ascii + *length - 16);
	tail[1] = user_word(string + python->string_ascii + *length - 8);
}

/* Whether a qualified name is that of a method, by its last eight bytes and one before. */
static __always_inline bool is_enter(__u64 length, const __u64 tail[2])
{
	return tail[1] == CHARS('_', 'e', 'n', 't', 'e', 'r', '_', '_') && tail[0] >> 56 == '_' &&
	       (length == 9 || (tail[0] >> 48 & 0xff) == '.');
}

static __always_inline bool is_exit(__u64 length, const __u64 tail[2])
{
	return tail[1] == CHARS('_', '_', 'e', 'x', 'i', 't', '_', '_') &&
	       (length == 8 || tail[0] >> 56 == '.');
}

static __always_inline bool is_torch_function(const __u64 tail[2])
{
	return tail[0] == CHARS('t', 'o', 'r', 'c', 'h', '_', 'f', 'u') &&
	       tail[1] == CHARS('n', 'c', 't', 'i', 'o', 'n', '_', '_');
}

/*
 * The files of torch/autograd that call its C++ code: function.py, graph.py (since 2.2) and
 * __init__.py (before).
 */
static __always_inline bool is_autograd_file(const __u64 tail[2])
{
	if (tail[0] == CHARS('u', 't', 'o', 'g', 'r', 'a', 'd', '/'))
		return tail[1] == CHARS('g', 'r', 'a', 'p', 'h', '.', 'p', 'y');
	if (tail[0] == CHARS('g', 'r', 'a', 'd', '/', 'f', 'u', 'n'))
		return tail[1] == CHARS('c', 't', 'i', 'o', 'n', '.', 'p', 'y');
	return tail[0] == CHARS('g', 'r', 'a', 'd', '/', '_', '_', 'i') &&
	       tail[1] == CHARS('n', 'i', 't', '_', '_', '.', 'p', 'y');
}

static __always_inline bool is_grad_mode_file(const __u64 tail[2])
{
	return tail[0] == CHARS('r', 'a', 'd', '/', 'g', 'r', 'a', 'd') &&
	       tail[1] == CHARS('_', 'm', 'o', 'd', 'e', '.', 'p', 'y');
}

/*
 * Who changes the grad mode, as the innermost Python frames show: the outermost in
 * torch/autograd/grad_mode.py, as no_grad.__enter__ calls set_grad_enabled.__init__; else the
 * innermost; both past what handles torch functions (user/model/frames.c looks at the whole stack).
 */
__noinline int peek_changer(void)
{
	__u32 pid = bpf_get_current_pid_tgid() >> 32;
	struct gw_interpreter *interpreter = bpf_map_lookup_elem(&interpreters, &pid);
	__u64 frame, length, name[2], file[2];
	int changer = CHANGER_UNKNOWN;
	bool inside = false;

	if (!interpreter || frame_innermost(interpreter, &frame) != GW_STACK_WHOLE)
		return CHANGER_UNKNOWN;
	for (int i = 0; i < PEEK_MAX_CHANGERS; i++) {
		const struct gw_python *python = &interpreter->python;
		__u64 code = user_word(frame + python->frame_code) & ~FRAME_CODE_TAG;

		peek_tail(python, user_word(code + python->code_filename), &length, file);
		peek_tail(python, user_word(code + python->code_name), &length, name);
		if (!is_torch_function(name)) {
			bool in_grad_mode = is_grad_mode_file(file);

			if (inside && !in_grad_mode)
				return changer;
			changer = is_enter(length, name)   ? CHANGER_ENTER
				  : is_exit(length, name)  ? CHANGER_EXIT
				  : is_autograd_file(file) ? CHANGER_AUTOGRAD
							   : CHANGER_UNKNOWN;
			if (!in_grad_mode)
				return changer;
			inside = true;
		}
		frame = peek_previous(python, frame);
	}
	return CHANGER_UNKNOWN;
}

/* Which of these the current call comes from. Global: the verifier then checks it on its own. */
__noinline int peek_caller(void)
{
	__u32 pid = bpf_get_current_pid_tgid() >> 32;
	struct gw_interpreter *interpreter = bpf_map_lookup_elem(&interpreters, &pid);
	__u64 name[PEEK_NAME_WORDS], frame;
	bool push, pop;

	if (!interpreter || frame_innermost(interpreter, &frame) != GW_STACK_WHOLE)
		return PEEK_UNKNOWN;
	if (!peek_name(interpreter, frame, name))
		return PEEK_UNKNOWN;
	push = is_push_mode(name);
	pop = is_pop_mode(name);
	if (!push && !pop)
		return PEEK_OTHER;
	frame = peek_previous(&interpreter->python, frame);
	if (!peek_name(interpreter, frame, name))
		return PEEK_UNKNOWN;
	if (push && is_called(name, CHARS('_', '_', 'e', 'n', 't', 'e', 'r', '_'), '_'))
		return PEEK_ENTER;
	if (pop && is_called(name, CHARS('_', '_', 'e', 'x', 'i', 't', '_', '_'), 0))
		return PEEK_EXIT;
	return PEEK_ASIDE;
}

#define PEEK_EXPORT_FRAMES 8

/* no_grad.__enter__, qualified or not */
static __always_inline bool is_no_grad_enter(const __u64 *name)
{
	if (name[0] == CHARS('n', 'o', '_', 'g', 'r', 'a', 'd', '.'))
		return name[1] == CHARS('_', '_', 'e', 'n', 't', 'e', 'r', '_');
	return name[0] == CHARS('_', '_', 'e', 'n', 't', 'e', 'r', '_');
}

/* contextlib's _BaseExitStack.enter_context, qualified or not */
static __always_inline bool is_enter_context(const __u64 *name)
{
	if (name[0] == CHARS('_', 'B', 'a', 's', 'e', 'E', 'x', 'i'))
		return name[1] == CHARS('t', 'S', 't', 'a', 'c', 'k', '.', 'e');
	return name[0] == CHARS('e', 'n', 't', 'e', 'r', '_', 'c', 'o');
}

/* The functions that enter no_grad() around the trace of an export, 2.1 - 2.8 and later. */
static __always_inline bool is_export(const __u64 *name)
{
	if (name[0] == CHARS('a', 'o', 't', '_', 'e', 'x', 'p', 'o'))
		return name[1] == CHARS('r', 't', '_', 'm', 'o', 'd', 'u', 'l');
	return name[0] == CHARS('_', 'e', 'x', 'p', 'o', 'r', 't', '_') &&
	       name[1] == CHARS('t', 'o', '_', 'a', 't', 'e', 'n', '_');
}

/* Whether the current call is that of a no_grad() which torch.export enters to trace. */
__noinline int peek_is_export(void)
{
	__u32 pid = bpf_get_current_pid_tgid() >> 32;
	struct gw_interpreter *interpreter = bpf_map_lookup_elem(&interpreters, &pid);
	__u64 name[PEEK_NAME_WORDS], frame;
	bool entered = false;

	if (!interpreter || frame_innermost(interpreter, &frame) != GW_STACK_WHOLE)
		return false;
	for (int i = 0; i < PEEK_EXPORT_FRAMES; i++) {
		if (!peek_name(interpreter, frame, name))
			return false;
		if (entered && !is_enter_context(name))
			return is_export(name);
		entered |= is_no_grad_enter(name);
		frame = peek_previous(&interpreter->python, frame);
	}
	return false;
}

#endif
