/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The Python stack of the current thread.
 *
 * Frames are a list from the innermost one (frame.bpf.h). Per frame only (code object, position)
 * is taken. A code object's names and line table are sent once, in a record of their own that comes
 * before the first frame that refers to it: so a stack is whole even if the process is killed by
 * its next instruction, and lines are worked out in user space. User space forgets code objects to
 * make room, those first that were sent longest ago. So one that is used after GW_CODES_AGAIN
 * others were sent is sent again, with the same id: user space has room for more than these.
 *
 * The stack belongs to the running thread, so it stands still while it is walked. What is walked
 * is the target's memory and may be anything: reads that fail end the walk with a reason, cycles
 * end with the loop.
 *
 * The verifier sees the walk as a loop that calls a function, which it checks on its own (a global
 * function, 5.6): that keeps it small on kernels without bpf_loop. Global functions take numbers
 * only on old kernels, so the state of a walk is in a map, by thread.
 */
#ifndef GRADWATCH_STACK_BPF_H
#define GRADWATCH_STACK_BPF_H

#include "vmlinux.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#include "frame.bpf.h"
#include "maps.bpf.h"
#include "python.bpf.h"

#define FRAME_BYTES 112 /* holds all fields that are looked at, of any version */
#define CPU_BITS    13  /* as many CPUs as Linux takes (CONFIG_NR_CPUS) */
#define MAX_CPUS    (1 << CPU_BITS)
#define EXTRA_STEPS 32 /* such frames, which are passed over */

static __always_inline __u64 process_start_time(void)
{
	struct task_struct *task = (void *)bpf_get_current_task();

	return BPF_CORE_READ(task, group_leader, start_boottime);
}

static __always_inline struct gw_walk *walk_get(void)
{
	__u32 tid = (__u32)bpf_get_current_pid_tgid();

	return bpf_map_lookup_elem(&walks, &tid);
}

/* A field of a copied structure; the mask is for the verifier. */
static __always_inline __u64 raw_u64(const __u8 *raw, __u32 offset)
{
	asm volatile("" : "+r"(offset));
	return *(const __u64 *)(raw + (offset & 0x78));
}

static __always_inline __u32 raw_u32(const __u8 *raw, __u32 offset)
{
	asm volatile("" : "+r"(offset));
	return *(const __u32 *)(raw + (offset & 0x7c));
}

static __always_inline __u8 raw_u8(const __u8 *raw, __u32 offset)
{
	asm volatile("" : "+r"(offset));
	return raw[offset & 0x7f];
}

/*
 * Copies a str's characters: their bytes, and how many bytes one takes. CPython 3.9 - 3.14 with a
 * GIL, Include/cpython/unicodeobject.h: length at 16, state at 32 with kind in bits 2-4, compact
 * in bit 5, ascii in bit 6.
 */
static __always_inline void copy_string(__u64 string, struct gw_walk *walk, __u8 *out, __u16 *bytes,
					__u8 *kind, __u8 *cut)
{
	const struct gw_python *python = &walk->interpreter.python;
	__u64 *head = walk->string;
	__u64 length, data;
	__u32 state;

	*kind = 0;
	*bytes = 0;
	if (bpf_probe_read_user(head, sizeof(walk->string), (void *)string))
		return;
	state = (__u32)head[4];
	if (!(state & 0x20))
		return;
	*kind = state >> 2 & 7;
	data = string + (state & 0x40 ? python->string_ascii : python->string_compact);
	length = head[2] > GW_NAME_BYTES ? GW_NAME_BYTES + 1 : head[2];
	length *= *kind;
	*cut = length > GW_NAME_BYTES;
	if (length > GW_NAME_BYTES)
		length = GW_NAME_BYTES;
	asm volatile("" : "+r"(length));
	if (length > GW_NAME_BYTES || bpf_probe_read_user(out, length, (void *)data))
		*kind = 0;
	*bytes = length;
}

static __always_inline void fill_code(struct gw_code_record *record, __u32 room,
				      struct gw_walk *walk, __u32 line_total)
{
	const struct code_known *known = &walk->known;

	__u64 size = line_total;

	__builtin_memset(record, 0, sizeof(*record));
	record->header.type = GW_RECORD_CODE;
	record->header.version = GW_ABI_VERSION;
	record->header.size = sizeof(*record) + room;
	record->header.time = bpf_ktime_get_ns();
	record->id = known->id;
	record->start_time = walk->start_time;
	record->pid = bpf_get_current_pid_tgid() >> 32;
	record->first_line = known->first_line;
	record->version = walk->interpreter.python.version;
	record->line_total = line_total;
	copy_string(known->file, walk, record->file, &record->file_bytes, &record->file_kind,
		    &record->file_cut);
	copy_string(known->name, walk, record->name, &record->name_bytes, &record->name_kind,
		    &record->name_cut);
	asm volatile("" : "+r"(size)); /* one value for the comparison and the read */
	if (size > room)
		size = room;
	if (!bpf_probe_read_user(record->lines, size, (void *)(known->lines + 32)))
		record->line_bytes = size;
}

/* Sends the walk's code object; returns whether there was room. */
static __always_inline bool send_code(struct gw_walk *walk)
{
	__u64 total = user_word(walk->known.lines + 16); /* bytes: ob_size; the data is at 32 */
	__u32 line_total = total > 0x7fffffff ? 0 : total;
	struct gw_code_record *record;

	if (line_total <= GW_LINES_SMALL) {
		record = bpf_ringbuf_reserve(&ring, sizeof(*record) + GW_LINES_SMALL, 0);
		if (!record)
			return false;
		fill_code(record, GW_LINES_SMALL, walk, line_total);
	} else {
		record = bpf_ringbuf_reserve(&ring, sizeof(*record) + GW_LINES_LARGE, 0);
		if (!record)
			return false;
		fill_code(record, GW_LINES_LARGE, walk, line_total);
	}
	bpf_ringbuf_submit(record, 0);
	return true;
}

/*
 * A number that no other code object has, on any kernel (session_insert says what old ones lack):
 * sending a code object takes longer than the clock's step, so a CPU has but one at a time.
 */
static __always_inline __u64 code_new_id(void)
{
	return bpf_ktime_get_ns() << CPU_BITS | (bpf_get_smp_processor_id() & (MAX_CPUS - 1));
}

#define BORN_SHIFT 20 /* steps of a millisecond; the same again after 52 days */

static __always_inline bool code_is_same(const struct code_known *a, const struct code_known *b)
{
	return a->file == b->file && a->name == b->name && a->lines == b->lines &&
	       a->first_line == b->first_line;
}

/*
 * The id of a code object, which is sent if user space may not know it; 0 when it cannot be read or
 * sent. The count is read after an add that does not return it (see session_insert): that it is
 * another CPU's makes no difference.
 */
__noinline __u64 code_define(__u64 address)
{
	struct gw_walk *walk = walk_get();
	struct code_key key = {.address = address};
	const struct gw_python *python;
	struct code_known *now, *known;
	struct gw_shared *numbers;
	__u32 zero = 0;

	numbers = bpf_map_lookup_elem(&shared, &zero);
	if (!walk || !numbers || bpf_probe_read_user(walk->code, CODE_BYTES, (void *)address))
		return 0;
	python = &walk->interpreter.python;
	now = &walk->known;
	key.pid = bpf_get_current_pid_tgid() >> 32;
	key.born = walk->start_time >> BORN_SHIFT;
	now->file = raw_u64(walk->code + 16, python->code_filename - 16);
	now->name = raw_u64(walk->code + 16, python->code_name - 16);
	now->lines = raw_u64(walk->code + 16, python->code_lines - 16);
	now->first_line = raw_u32(walk->code, python->code_firstlineno);
	known = bpf_map_lookup_elem(&codes, &key);
	now->id = 0;
	if (known && code_is_same(known, now)) {
		now->id = known->id;
		if (numbers->codes - known->told < GW_CODES_AGAIN)
			return now->id;
	}
	if (!now->id)
		now->id = code_new_id();
	if (!send_code(walk)) {
		count(GW_CODES_LOST);
		return 0;
	}
	__sync_fetch_and_add(&numbers->codes, 1);
	now->told = *(volatile __u32 *)&numbers->codes;
	bpf_map_update_elem(&codes, &key, now, BPF_ANY);
	return now->id;
}

/* Byte offset of the instruction that a frame is at. */
static __always_inline __s32 frame_position(const struct gw_walk *walk, __u64 code)
{
	const struct gw_python *python = &walk->interpreter.python;

	if (python->position == GW_POSITION_POINTER)
		return raw_u64(walk->raw, python->frame_position) - code - python->code_bytecode;
	if (python->position == GW_POSITION_UNITS)
		return 2 * raw_u32(walk->raw, python->frame_position);
	return raw_u32(walk->raw, python->frame_position);
}

/* Looks at one frame; returns 1 when the walk is over. */
__noinline int walk_step(void)
{
	struct gw_walk *walk = walk_get();
	const struct gw_python *python;
	struct gw_frame *frame;
	__u64 code;
	__u32 index;

	if (!walk || !walk->frame)
		return 1;
	index = walk->record.frames;
	if (index >= GW_MAX_FRAMES) {
		walk->record.stack = GW_STACK_CUT;
		return 1;
	}
	if (bpf_probe_read_user(walk->raw, FRAME_BYTES, (void *)walk->frame)) {
		walk->record.stack = GW_STACK_UNREADABLE;
		return 1;
	}
	python = &walk->interpreter.python;
	walk->frame = raw_u64(walk->raw, python->frame_previous);
	if (python->frame_owner != GW_NO_FIELD &&
	    raw_u8(walk->raw, python->frame_owner) >= OWNER_INTERPRETER)
		return 0;
	code = raw_u64(walk->raw, python->frame_code) & ~FRAME_CODE_TAG;
	frame = &walk->frames[index & (GW_MAX_FRAMES - 1)];
	frame->position = frame_position(walk, code);
	frame->code = code_define(code);
	walk->record.frames = index + 1;
	return 0;
}
_Static_assert((GW_MAX_FRAMES & (GW_MAX_FRAMES - 1)) == 0, "a mask");

/* Walks the stack of the current thread into its walk. */
__noinline int walk_run(void)
{
	struct gw_walk *walk = walk_get();

	if (!walk)
		return 0;
	walk->record.stack = frame_innermost(&walk->interpreter, &walk->frame);
	for (int i = 0; i < GW_MAX_FRAMES + EXTRA_STEPS; i++)
		if (walk_step())
			break;
	return 0;
}

/*
 * Walks the current thread's stack into a new walk, whose record the caller fills and sends; then
 * walk_end(). NULL when too many are under way.
 */
static __always_inline struct gw_walk *walk_begin(void)
{
	__u64 pid_tid = bpf_get_current_pid_tgid();
	__u32 tid = (__u32)pid_tid, pid = pid_tid >> 32, zero = 0;
	struct gw_walk *empty = bpf_map_lookup_elem(&no_walk, &zero);
	struct gw_interpreter *interpreter;
	struct gw_walk *walk;

	if (!empty || bpf_map_update_elem(&walks, &tid, empty, BPF_ANY))
		return NULL;
	walk = walk_get();
	if (!walk)
		return NULL;
	interpreter = bpf_map_lookup_elem(&interpreters, &pid);
	if (!interpreter) {
		walk->record.stack = GW_STACK_NO_PYTHON;
		return walk;
	}
	walk->interpreter = *interpreter;
	walk->start_time = process_start_time();
	walk_run();
	return walk;
}

static __always_inline void walk_end(void)
{
	__u32 tid = (__u32)bpf_get_current_pid_tgid();

	bpf_map_delete_elem(&walks, &tid);
}

#endif
