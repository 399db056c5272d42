/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Records to user space. A record that finds no room is counted, and the next one that does tells.
 */
#ifndef GRADWATCH_EMIT_BPF_H
#define GRADWATCH_EMIT_BPF_H

#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

#include "maps.bpf.h"
#include "session.bpf.h"

struct change {
	__u64 session;
	__u64 mode;
	__u32 file_id;
	__u8 from;
	__u8 to;
	__u8 certain;
};

/* Sends a violation; it is in the ledger as reported or as lost. */
static __noinline int emit_violation(const struct change *change)
{
	__u32 zero = 0;
	__u64 pid_tid = bpf_get_current_pid_tgid();
	struct gw_shared *numbers = bpf_map_lookup_elem(&shared, &zero);
	struct gw_violation *record;

	if (!change || !numbers)
		return 0;
	record = bpf_ringbuf_reserve(&ring, sizeof(*record), 0);
	if (!record) {
		count(GW_LOST);
		__sync_fetch_and_add(&numbers->lost, 1);
		return 0;
	}
	__builtin_memset(record, 0, sizeof(*record));
	record->header.type = GW_RECORD_VIOLATION;
	record->header.version = GW_ABI_VERSION;
	record->header.size = sizeof(*record);
	record->header.time = bpf_ktime_get_ns();
	record->header.lost = numbers->lost;
	record->session = change->session;
	record->mode = change->mode;
	session_identify(&record->start_time, &record->ns_pid, &record->ns_tid);
	record->pid = pid_tid >> 32;
	record->tid = (__u32)pid_tid;
	record->uid = (__u32)bpf_get_current_uid_gid();
	record->file_id = change->file_id;
	record->from = change->from;
	record->to = change->to;
	record->certain = change->certain;
	bpf_get_current_comm(record->comm, sizeof(record->comm));
	bpf_ringbuf_submit(record, 0);
	count(GW_REPORTED);
	return 0;
}

#endif
