/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Records to user space. A record that does not fit is counted; the next one that fits carries the
 * total.
 */
#ifndef GRADWATCH_EMIT_BPF_H
#define GRADWATCH_EMIT_BPF_H

#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

#include "maps.bpf.h"
#include "traces.bpf.h"
#include "stack.bpf.h"

struct change {
	__u64 trace;
	__u64 mode;
	__u64 operators; /* of the trace so far */
	__u64 changes;   /* the same */
	__u64 asked;
	__u64 stack_pointer;
	__u32 file_id;
	__u32 ask;  /* enum gw_ask */
	__u16 type; /* enum gw_record_type */
	__u8 from;  /* GW_STATE_ bits */
	__u8 to;
	__u8 certain;
	__u8 inference;
	__u8 began;
	__u8 caller; /* enum gw_caller */
};

static __always_inline void fill_record(struct gw_event_record *record, const struct change *change,
					__u64 lost)
{
	__u64 pid_tid = bpf_get_current_pid_tgid();

	record->header.type = change->type;
	record->header.version = GW_ABI_VERSION;
	record->header.lost = lost;
	record->trace = change->trace;
	record->mode = change->mode;
	record->operators = change->operators;
	record->changes = change->changes;
	traces_identify(&record->start_time, &record->ns_pid, &record->ns_tid);
	record->pid = pid_tid >> 32;
	record->tid = (__u32)pid_tid;
	record->uid = (__u32)bpf_get_current_uid_gid();
	record->file_id = change->file_id;
	record->from = change->from;
	record->to = change->to;
	record->certain = change->certain;
	record->ask = change->ask;
	record->inference = change->inference;
	record->began = change->began;
	record->caller = change->caller;
	record->asked = change->asked;
	record->stack_pointer = change->stack_pointer;
	bpf_get_current_comm(record->comm, sizeof(record->comm));
}

/* Sends the record of a walk with its frames; returns whether it fitted. */
static __always_inline bool send_walk(struct gw_walk *walk, const struct change *change, __u64 time,
				      __u64 lost)
{
	__u64 frames = walk->record.frames;
	__u64 size;

	fill_record(&walk->record, change, lost);
	if (frames > GW_MAX_FRAMES)
		return false;
	size = sizeof(walk->record) + frames * sizeof(struct gw_frame);
	walk->record.header.size = size;
	walk->record.header.time = time;
	return !bpf_ringbuf_output(&ring, &walk->record, size, 0);
}

/* The same without a stack, when there is no buffer to walk one in. */
static __always_inline bool send_bare(const struct change *change, __u64 time, __u64 lost)
{
	struct gw_event_record *record = bpf_ringbuf_reserve(&ring, sizeof(*record), 0);

	if (!record)
		return false;
	__builtin_memset(record, 0, sizeof(*record));
	fill_record(record, change, lost);
	record->header.size = sizeof(*record);
	record->header.time = time;
	record->stack = GW_STACK_BUSY;
	bpf_ringbuf_submit(record, 0);
	return true;
}

/* Sends a record with the Python stack; one that does not fit is counted as lost. */
static __noinline bool emit(const struct change *change)
{
	__u32 zero = 0;
	struct gw_shared *numbers = bpf_map_lookup_elem(&shared, &zero);
	__u64 time = bpf_ktime_get_ns();
	struct gw_walk *walk;
	bool sent = false;
	int slot;

	if (!change || !numbers)
		return false;
	slot = walk_take();
	if (slot >= 0) {
		walk = walk_begin(slot);
		if (walk)
			sent = send_walk(walk, change, time, numbers->lost);
		walk_end(slot);
	} else {
		sent = send_bare(change, time, numbers->lost);
	}
	if (!sent && change->type == GW_RECORD_CHANGE)
		__sync_fetch_and_add(&numbers->lost, 1);
	return sent;
}

#endif
