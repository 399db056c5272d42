// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Since 6.1 a hash map that is filled from tracing programs may allocate its elements when they are
 * needed, from caches that the kernel keeps for that (bpf_mem_alloc; Linux 7c8199e24fa0,
 * 8d5a8011b35d). Older kernels warn about such a map, for good reason: there all elements are
 * allocated in advance, and there are fewer of them. What does not fit into a map is counted either
 * way.
 */
#include "probe/map_sizes.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "skel/process.skel.h"

/* Elements that are allocated in advance. Where they need not be: GW_MAX_ of the map. */
#define FEW_PROCESSES 8192
#define FEW_NESTS     4096
#define FEW_TRACES    16384

/* Maps of this type came with the same kernel as those caches. */
static bool allocates_when_needed(void)
{
	return libbpf_probe_bpf_map_type(BPF_MAP_TYPE_USER_RINGBUF, NULL) == 1;
}

static int shrink(struct bpf_map *map, bool when_needed, uint32_t few)
{
	if (when_needed)
		return bpf_map__set_map_flags(map, bpf_map__map_flags(map) | BPF_F_NO_PREALLOC);
	return few < bpf_map__max_entries(map) ? bpf_map__set_max_entries(map, few) : 0;
}

/* Of a map that these options leave empty. */
static int empty(struct bpf_map *map)
{
	return bpf_map__set_max_entries(map, 1);
}

int map_sizes_set(struct process_bpf *process, const struct programs_options *options)
{
	const bool when_needed = allocates_when_needed();
	const bool acts = options->policy.action != GW_ACTION_REPORT;
	struct {
		struct bpf_map *map;
		bool used;
		uint32_t few;
	} const hashes[] = {
		{process->maps.processes, !options->watch_all, FEW_PROCESSES},
		{process->maps.interpreters, true, FEW_PROCESSES},
		{process->maps.nests, true, FEW_NESTS},
		{process->maps.traces, true, FEW_TRACES},
		{process->maps.enforced, acts, FEW_PROCESSES},
		{process->maps.decisions, acts, FEW_TRACES},
		{process->maps.held, acts, GW_MAX_HELD},
		{process->maps.answers, acts, GW_MAX_HELD},
	};
	struct bpf_map *const evicting[] = {
		process->maps.let_go,
		process->maps.asking,
		process->maps.ran_on,
	};
	int code = 0;

	for (size_t i = 0; i < sizeof(hashes) / sizeof(hashes[0]) && !code; i++)
		code = hashes[i].used ? shrink(hashes[i].map, when_needed, hashes[i].few)
				      : empty(hashes[i].map);
	for (size_t i = 0; i < sizeof(evicting) / sizeof(evicting[0]) && !acts && !code; i++)
		code = empty(evicting[i]);
	return code;
}
