/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The Python stack of the current thread.
 *
 * Frames are a list from the innermost one (frame.bpf.h). Per frame only (code object, position)
 * is taken. A code object's names and line table are sent once, in a record of their own that comes
 * before the first frame that refers to it: so a stack is whole even if the process is killed by
 * its next instruction, and lines are worked out in user space. User space forgets code objects to
 * are evicted, those first that were sent longest ago. So one that is used after GW_CODES_AGAIN
 * others were sent is sent again, with the same id: user space keeps more than these.
 *
 * The stack belongs to the running thread, so it stands still while it is walked. What is walked
 * is the target's memory and may be anything: reads that fail end the walk with a reason, cycles
 * end with the loop.
 *
 * The verifier sees the walk as a loop that calls a function, which it checks on its own (a global
 * function, 5.6): that keeps it small on kernels without bpf_loop. Global functions take numbers
 * only on old kernels, so the state of a walk is in an array, and they take the number of its slot.
 *
 * A walk at 100 frames looks at 100 code objects, nearly all of which the walk before has met. So
 * each slot has a small table of the code objects that were met last, where a look-up costs a few
 * instructions. An entry is taken only if it says what the code object itself says now: a code
 * object may be freed, and another one may get its address and its frame's. Not while a walk lasts,
 * as the frames hold their code: so what comes twice in a stack is compared once.
 */
#ifndef GRADWATCH_STACK_BPF_H
#define GRADWATCH_STACK_BPF_H

#include "vmlinux.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#include "frame.bpf.h"
#include "maps.bpf.h"
#include "python.bpf.h"

#define CPU_BITS    13 /* as many CPUs as Linux takes (CONFIG_NR_CPUS) */
#define MAX_CPUS    (1 << CPU_BITS)
#define EXTRA_STEPS 32 /* frames that are no Python ones, which are passed over */
#define WALK_WAYS   8  /* slots that a thread may take; the first half have a cache */

static __always_inline __u64 process_start_time(void)
{
	struct task_struct *task = (void *)bpf_get_current_task();

	return BPF_CORE_READ(task, group_leader, start_boottime);
}

static __always_inline struct gw_walk *walk_get(__u32 slot)
{
	return bpf_map_lookup_elem(&walks, &slot);
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

static __always_inline void fill_code(struct gw_code_record *record, __u32 space,
				      struct gw_walk *walk, __u32 line_total)
{
	const struct code_known *known = &walk->known;

	__u64 size = line_total;

	__builtin_memset(record, 0, sizeof(*record));
	record->header.type = GW_RECORD_CODE;
	record->header.version = GW_ABI_VERSION;
	record->header.size = sizeof(*record) + space;
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
	if (size > space)
		size = space;
	if (!bpf_probe_read_user(record->lines, size, (void *)(known->lines + 32)))
		record->line_bytes = size;
}

/* Sends the walk's code object; returns whether it fitted. */
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
 * A number that no other code object has, on any kernel (traces_insert says what old ones lack):
 * sending a code object takes longer than the clock's step, so a CPU has but one at a time.
 */
static __always_inline __u64 code_new_id(void)
{
	return bpf_ktime_get_ns() << CPU_BITS | (bpf_get_smp_processor_id() & (MAX_CPUS - 1));
}

#define BORN_SHIFT 20 /* steps of a millisecond; the same again after 52 days */

static __always_inline bool code_is_same(const struct code_known *known,
					 const struct code_known *now)
{
	return known->file == now->file && known->name == now->name && known->lines == now->lines &&
	       known->first_line == now->first_line;
}

/*
 * Where a slot's cache has a code object, if it has it; NULL: the slot has no cache. The odd number
 * spreads the addresses.
 */
static __always_inline struct code_cached *code_cached_at(__u32 slot, __u64 address)
{
	struct code_cache *cache = bpf_map_lookup_elem(&code_caches, &slot);
	__u64 hash = address * 0x9e3779b97f4a7c15;

	return cache ? &cache->entry[hash >> 32 & (GW_CACHED_CODES - 1)] : NULL;
}
_Static_assert((GW_CACHED_CODES & (GW_CACHED_CODES - 1)) == 0, "a mask");

static __always_inline __u32 codes_told(void)
{
	__u32 zero = 0;
	struct gw_shared *numbers = bpf_map_lookup_elem(&shared, &zero);

	return numbers ? numbers->codes : 0;
}

/*
 * One more was sent. The count is read after an add that does not return it (see traces_insert):
 * that it is another CPU's makes no difference.
 */
static __always_inline __u32 codes_count_up(void)
{
	__u32 zero = 0;
	struct gw_shared *numbers = bpf_map_lookup_elem(&shared, &zero);

	if (!numbers)
		return 0;
	__sync_fetch_and_add(&numbers->codes, 1);
	return *(volatile __u32 *)&numbers->codes;
}

/* Whether user space may have forgotten it. Others may have been sent since the walk began. */
static __always_inline bool is_sent_long_ago(const struct gw_walk *walk, __u32 sent)
{
	return (__s32)(walk->codes - sent) >= GW_CODES_AGAIN;
}

/*
 * The id of the code object that the walk has read, which is sent if user space may not know it; 0
 * when it cannot be sent. For one that the slot's cache does not have.
 */
__noinline __u64 code_define(__u32 slot)
{
	struct gw_walk *walk = walk_get(slot);
	struct code_cached *cached;
	struct code_known *known;

	if (!walk)
		return 0;
	known = bpf_map_lookup_elem(&codes, &walk->key);
	walk->known.id = walk->known.sent = 0;
	if (known && code_is_same(known, &walk->known)) {
		walk->known.id = known->id;
		walk->known.sent = known->sent;
	}
	if (!walk->known.id || is_sent_long_ago(walk, walk->known.sent)) {
		if (!walk->known.id)
			walk->known.id = code_new_id();
		if (!send_code(walk)) {
			count(GW_CODES_LOST);
			return 0;
		}
		walk->known.sent = codes_count_up();
		bpf_map_update_elem(&codes, &walk->key, &walk->known, BPF_ANY);
	}
	cached = code_cached_at(slot, walk->key.address);
	if (cached) {
		cached->key = walk->key;
		cached->known = walk->known;
		cached->walk = walk->number;
	}
	return walk->known.id;
}

/* Reads what distinguishes one code object from another; false when it cannot be read. */
static __always_inline bool code_read(struct gw_walk *walk, __u64 address)
{
	const struct gw_python *python = &walk->interpreter.python;
	struct code_known *now = &walk->known;

	if (bpf_probe_read_user(walk->code, CODE_BYTES, (void *)(address + CODE_START)))
		return false;
	now->file = raw_u64(walk->code, python->code_filename - CODE_START);
	now->name = raw_u64(walk->code, python->code_name - CODE_START);
	now->lines = raw_u64(walk->code, python->code_lines - CODE_START);
	now->first_line = raw_u32(walk->code, python->code_firstlineno - CODE_START);
	return true;
}

/* The id of a code object; 0 when it cannot be read or sent. */
static __always_inline __u64 code_id(struct gw_walk *walk, __u32 slot, __u64 address)
{
	struct code_cached *cached = code_cached_at(slot, address);

	if (cached && cached->walk == walk->number && cached->key.address == address)
		return cached->known.id;
	if (!code_read(walk, address))
		return 0;
	walk->key.address = address;
	if (cached && cached->key.address == address && cached->key.pid == walk->key.pid &&
	    cached->key.born == walk->key.born && code_is_same(&cached->known, &walk->known) &&
	    !is_sent_long_ago(walk, cached->known.sent)) {
		cached->walk = walk->number;
		return cached->known.id;
	}
	return code_define(slot);
}

/*
 * The bytes of the walk's next frame, NULL when they cannot be read. A read costs the same for
 * eight bytes and for a thousand. From 3.11 on, a thread's frames lie one after the other, the
 * outer ones at the lower addresses: so what lies below a frame is read with it, if it can be.
 */
static __always_inline const __u8 *frame_read(struct gw_walk *walk)
{
	__u64 frame = walk->frame, start = walk->chunk_start, offset = frame - start;

	if (frame < walk->chunk_low || offset > CHUNK_BYTES - FRAME_BYTES) {
		offset = CHUNK_BYTES - FRAME_BYTES;
		walk->chunk_start = walk->chunk_low = start = frame - offset;
		if (walk->interpreter.python.position != GW_POSITION_POINTER ||
		    bpf_probe_read_user(walk->chunk, CHUNK_BYTES, (void *)start)) {
			walk->chunk_low = frame;
			if (bpf_probe_read_user(walk->chunk + CHUNK_BYTES - FRAME_BYTES,
						FRAME_BYTES, (void *)frame))
				return NULL;
		}
	}
	asm volatile("" : "+r"(offset));
	return walk->chunk + (offset & (CHUNK_BYTES - 1));
}
_Static_assert((CHUNK_BYTES & (CHUNK_BYTES - 1)) == 0, "a mask");

/* Byte offset of the instruction that a frame is at. */
static __always_inline __s32 frame_position(const struct gw_walk *walk, const __u8 *raw, __u64 code)
{
	const struct gw_python *python = &walk->interpreter.python;

	if (python->position == GW_POSITION_POINTER)
		return raw_u64(raw, python->frame_position) - code - python->code_bytecode;
	if (python->position == GW_POSITION_UNITS)
		return 2 * raw_u32(raw, python->frame_position);
	return raw_u32(raw, python->frame_position);
}

/* Looks at one frame; returns 1 when the walk is over. */
__noinline int walk_step(__u32 slot)
{
	struct gw_walk *walk = walk_get(slot);
	const struct gw_python *python;
	struct gw_frame *frame;
	const __u8 *raw;
	__u64 code;
	__u32 index;

	if (!walk || !walk->frame)
		return 1;
	index = walk->record.frames;
	if (index >= GW_MAX_FRAMES) {
		walk->record.stack = GW_STACK_CUT;
		return 1;
	}
	raw = frame_read(walk);
	if (!raw) {
		walk->record.stack = GW_STACK_UNREADABLE;
		return 1;
	}
	python = &walk->interpreter.python;
	walk->frame = raw_u64(raw, python->frame_previous);
	if (python->frame_owner != GW_NO_FIELD &&
	    raw_u8(raw, python->frame_owner) >= OWNER_INTERPRETER)
		return 0;
	code = raw_u64(raw, python->frame_code) & ~FRAME_CODE_TAG;
	frame = &walk->frames[index & (GW_MAX_FRAMES - 1)];
	frame->position = frame_position(walk, raw, code);
	frame->code = code_id(walk, slot, code);
	walk->record.frames = index + 1;
	return 0;
}
_Static_assert((GW_MAX_FRAMES & (GW_MAX_FRAMES - 1)) == 0, "a mask");

/* Walks the stack of the current thread into the walk of a slot. */
__noinline int walk_run(__u32 slot)
{
	struct gw_walk *walk = walk_get(slot);

	if (!walk)
		return 0;
	walk->start_time = process_start_time();
	walk->key.born = walk->start_time >> BORN_SHIFT;
	walk->codes = codes_told();
	walk->record.stack = frame_innermost(&walk->interpreter, &walk->frame);
	for (int i = 0; i < GW_MAX_FRAMES + EXTRA_STEPS; i++)
		if (walk_step(slot))
			break;
	return 0;
}

/* Takes a slot for the current thread, if it can the one it had last; -1: all are in use. */
__noinline int walk_take(void)
{
	__u32 tid = (__u32)bpf_get_current_pid_tgid();

	for (__u32 way = 0; way < WALK_WAYS; way++) {
		__u32 slots = way < WALK_WAYS / 2 ? GW_CODE_CACHES : GW_MAX_WALKS;
		__u32 slot = (tid + way) & (slots - 1);

		if (!bpf_map_update_elem(&walk_owners, &slot, &tid, BPF_NOEXIST))
			return slot;
	}
	return -1;
}
_Static_assert((GW_CODE_CACHES & (GW_CODE_CACHES - 1)) == 0, "a mask");
_Static_assert((GW_MAX_WALKS & (GW_MAX_WALKS - 1)) == 0, "a mask");

/*
 * Walks the current thread's stack into the walk of a slot from walk_take(), whose record the
 * caller fills and sends; then walk_end(). NULL can only be the verifier's.
 */
static __always_inline struct gw_walk *walk_begin(__u32 slot)
{
	__u32 pid = bpf_get_current_pid_tgid() >> 32;
	struct gw_interpreter *interpreter;
	struct gw_walk *walk = walk_get(slot);

	if (!walk)
		return NULL;
	walk->number++;
	walk->key.pid = pid;
	walk->frame = 0;
	walk->chunk_start = 0;
	walk->chunk_low = ~0ULL; /* what is in the chunk is of another time */
	__builtin_memset(&walk->record, 0, sizeof(walk->record));
	interpreter = bpf_map_lookup_elem(&interpreters, &pid);
	if (!interpreter) {
		walk->record.stack = GW_STACK_NO_PYTHON;
		return walk;
	}
	walk->interpreter = *interpreter;
	walk_run(slot);
	return walk;
}

static __always_inline void walk_end(__u32 slot)
{
	bpf_map_delete_elem(&walk_owners, &slot);
}

#endif
