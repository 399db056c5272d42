// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * libbpf's perf_buffer does the reading of the rings. It wants a perf event array to put its
 * events in; no BPF program ever writes there.
 */
#include "watch/mappings.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/perf_event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "probe/diagnose.h"
#include "target/procfs.h"

#define RING_PAGES 64 /* per CPU; records are about 150 bytes */

struct mappings {
	struct perf_buffer *buffer;
	int array_fd;
	struct mappings_handler handler;
};

/* Layouts: perf_event_open(2), PERF_RECORD_*; each ends with sample_id when asked for: it is. */
struct record_mmap2 {
	struct perf_event_header header;
	uint32_t pid, tid;
	uint64_t address, length, page_offset;
	uint32_t major, minor;
	uint64_t inode, inode_generation;
	uint32_t protection, flags;
	char filename[];
};

struct record_lost {
	struct perf_event_header header;
	uint64_t id, lost;
};

/* The kernel writes //toolong where a path has more than about 4,080 bytes. */
static bool is_of_interest(const char *path)
{
	return procfs_is_candidate(path) || procfs_is_binding(path) || !strcmp(path, "//toolong");
}

static void on_mmap2(struct mappings *mappings, const struct record_mmap2 *record)
{
	size_t size = record->header.size;
	uint64_t time;

	if (size <= sizeof(*record) + sizeof(time) || !(record->protection & PROT_EXEC))
		return;
	if (!memchr(record->filename, '\0', size - sizeof(*record)) ||
	    !is_of_interest(record->filename))
		return;
	memcpy(&time, (const char *)record + size - sizeof(time), sizeof(time));
	mappings->handler.mapped(mappings->handler.context, record->pid, time);
}

static enum bpf_perf_event_ret on_record(void *context, int cpu, struct perf_event_header *header)
{
	struct mappings *mappings = context;
	const struct mappings_handler *handler = &mappings->handler;

	(void)cpu;
	if (header->type == PERF_RECORD_MMAP2 && header->size > sizeof(struct record_mmap2)) {
		on_mmap2(mappings, (const struct record_mmap2 *)header);
	} else if (header->type == PERF_RECORD_LOST && header->size >= sizeof(struct record_lost)) {
		handler->lost(handler->context, ((const struct record_lost *)header)->lost);
	}
	return LIBBPF_PERF_EVENT_CONT;
}

int mappings_open(struct mappings **out, const struct mappings_handler *handler, struct err *err)
{
	struct perf_event_attr attr = {
		.size = sizeof(attr),
		.type = PERF_TYPE_SOFTWARE,
		.config = PERF_COUNT_SW_DUMMY,
		.sample_type = PERF_SAMPLE_TIME,
		/* Only samples count as events to wake up for: these records count as bytes. */
		.watermark = 1,
		.wakeup_watermark = 1,
		.mmap = 1,
		.mmap2 = 1,
		.sample_id_all = 1,
		.use_clockid = 1,
		.clockid = CLOCK_MONOTONIC,
	};
	struct mappings *mappings = calloc(1, sizeof(*mappings));
	int code;

	if (!mappings)
		return err_set(err, -ENOMEM, "out of memory");
	mappings->handler = *handler;
	mappings->array_fd = bpf_map_create(BPF_MAP_TYPE_PERF_EVENT_ARRAY, "gw_mappings",
					    sizeof(int), sizeof(int),
					    (uint32_t)libbpf_num_possible_cpus(), NULL);
	if (mappings->array_fd >= 0)
		mappings->buffer = perf_buffer__new_raw(mappings->array_fd, RING_PAGES, &attr,
							on_record, mappings, NULL);
	if (!mappings->buffer) {
		code = -errno;
		diagnose_bpf(err, code, "listening for new mappings (perf_event_open)");
		mappings_close(mappings);
		return code;
	}
	*out = mappings;
	return 0;
}

void mappings_close(struct mappings *mappings)
{
	if (!mappings)
		return;
	perf_buffer__free(mappings->buffer);
	if (mappings->array_fd >= 0)
		close(mappings->array_fd);
	free(mappings);
}

int mappings_fd(const struct mappings *mappings)
{
	return perf_buffer__epoll_fd(mappings->buffer);
}

int mappings_read(struct mappings *mappings)
{
	int code = perf_buffer__consume(mappings->buffer);

	return code < 0 ? code : 0;
}
