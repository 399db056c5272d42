// SPDX-License-Identifier: GPL-2.0-or-later
#include "probe/programs.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "skel/process.skel.h"
#include "probe/diagnose.h"
#include "probe/kernel_btf.h"
#include "probe/map_sizes.h"

struct programs {
	struct process_bpf *process;
	struct programs_options options;
	uint64_t full[GW_COUNTER_MAX]; /* what did not fit into a map from here */
	int cpus;
	struct gw_counters {
		uint64_t count[GW_COUNTER_MAX];
	} * counters; /* one per possible CPU: what a per-CPU look-up fills */
};

/* The verifier's log comes as one text of many lines. */
static int print_libbpf(enum libbpf_print_level level, const char *format, va_list args)
{
	char *text, *rest, *line;

	(void)level;
	if (vasprintf(&text, format, args) < 0)
		return 0;
	for (rest = text; (line = strsep(&rest, "\n"));)
		if (*line)
			log_debug("%s", line);
	free(text);
	return 0;
}

static struct bpf_object_open_opts open_options(void)
{
	return (struct bpf_object_open_opts){
		.sz = sizeof(struct bpf_object_open_opts),
		.btf_custom_path = kernel_btf_path(),
	};
}

int programs_open(struct programs **out, const struct programs_options *options, struct err *err)
{
	struct bpf_object_open_opts opts = open_options();
	struct programs *programs = calloc(1, sizeof(*programs));
	int code;

	if (!programs)
		return err_set(err, -ENOMEM, "out of memory");
	libbpf_set_print(print_libbpf);
	programs->options = *options;
	programs->cpus = libbpf_num_possible_cpus();
	if (programs->cpus > 0)
		programs->counters = calloc((size_t)programs->cpus, sizeof(*programs->counters));
	if (!programs->counters) {
		code = err_set(err, -ENOMEM, "out of memory");
		goto fail;
	}
	programs->process = process_bpf__open_opts(&opts);
	if (!programs->process) {
		code = err_set(err, -errno, "cannot read the BPF programs: %s", strerror(errno));
		goto fail;
	}
	programs->process->rodata->watch_all = options->watch_all;
	bpf_program__set_autoload(programs->process->progs.on_signal, options->signals);
	code = map_sizes_set(programs->process, options);
	if (!code)
		code = process_bpf__load(programs->process);
	if (!code)
		code = process_bpf__attach(programs->process);
	if (code) {
		diagnose_bpf(err, code, "loading the BPF programs");
		goto fail;
	}
	*out = programs;
	return 0;
fail:
	programs_close(programs);
	return code;
}

void programs_close(struct programs *programs)
{
	if (!programs)
		return;
	process_bpf__destroy(programs->process);
	free(programs->counters);
	free(programs);
}

int programs_ring_fd(const struct programs *programs)
{
	return bpf_map__fd(programs->process->maps.ring);
}

int programs_watch(struct programs *programs, uint32_t pid, bool follow, struct err *err)
{
	struct gw_process process = {.follow = follow};

	const struct bpf_map *map = programs->process->maps.processes;

	if (bpf_map_update_elem(bpf_map__fd(map), &pid, &process, BPF_ANY))
		return err_set(err, -errno, "cannot watch process %u: %s (at most %u processes)",
			       pid, strerror(errno), bpf_map__max_entries(map));
	return 0;
}

void programs_unwatch(struct programs *programs, uint32_t pid)
{
	bpf_map_delete_elem(bpf_map__fd(programs->process->maps.processes), &pid);
}

bool programs_is_watched(const struct programs *programs, uint32_t pid)
{
	struct gw_process process;

	return programs->options.watch_all ||
	       !bpf_map_lookup_elem(bpf_map__fd(programs->process->maps.processes), &pid, &process);
}

bool programs_first_watched(const struct programs *programs, uint32_t *pid)
{
	return !bpf_map_get_next_key(bpf_map__fd(programs->process->maps.processes), NULL, pid);
}

const struct gw_signals *programs_signals(struct programs *programs, uint32_t own_pid,
					  uint32_t command_pid)
{
	struct gw_signals *signals = &programs->process->bss->signals;

	signals->own_pid = own_pid;
	signals->command_pid = command_pid;
	return signals;
}

/* 0 or negative errno. */
static int put(const struct bpf_map *map, const void *key, const void *value)
{
	return bpf_map_update_elem(bpf_map__fd(map), key, value, BPF_ANY) ? -errno : 0;
}

int programs_set_interpreter(struct programs *programs, uint32_t pid,
			     const struct gw_interpreter *interpreter)
{
	return put(programs->process->maps.interpreters, &pid, interpreter);
}

int programs_enforce(struct programs *programs, uint32_t pid, const struct gw_enforced *process)
{
	return put(programs->process->maps.enforced, &pid, process);
}

void programs_count_full(struct programs *programs, enum gw_counter full)
{
	programs->full[full]++;
}

void programs_forget(struct programs *programs, uint32_t pid)
{
	bpf_map_delete_elem(bpf_map__fd(programs->process->maps.interpreters), &pid);
	bpf_map_delete_elem(bpf_map__fd(programs->process->maps.enforced), &pid);
}

int programs_enforced(const struct programs *programs, uint32_t pid, struct gw_enforced *process)
{
	if (bpf_map_lookup_elem(bpf_map__fd(programs->process->maps.enforced), &pid, process))
		return -errno;
	return 0;
}

void programs_decide(struct programs *programs, uint64_t trace, uint8_t decision)
{
	const struct bpf_map *map = programs->process->maps.decisions;

	if (!decision)
		bpf_map_delete_elem(bpf_map__fd(map), &trace);
	else if (put(map, &trace, &decision))
		programs_count_full(programs, GW_DECISIONS_FULL);
}

bool programs_is_asking(const struct programs *programs, uint32_t tid, uint64_t asked)
{
	uint64_t value;

	return !bpf_map_lookup_elem(bpf_map__fd(programs->process->maps.asking), &tid, &value) &&
	       value == asked;
}

void programs_set_acting(struct programs *programs, bool acting)
{
	uint32_t zero = 0, value = acting;

	bpf_map_update_elem(bpf_map__fd(programs->process->maps.acting), &zero, &value, BPF_ANY);
}

void programs_end_probes(struct programs *programs)
{
	uint32_t zero = 0, value = true;

	bpf_map_update_elem(bpf_map__fd(programs->process->maps.over), &zero, &value, BPF_ANY);
}

void programs_let_go(struct programs *programs, uint32_t tid, uint64_t asked)
{
	bpf_map_update_elem(bpf_map__fd(programs->process->maps.let_go), &tid, &asked, BPF_ANY);
}

bool programs_ran_on(const struct programs *programs, uint32_t tid, uint64_t asked)
{
	uint64_t value;

	return !bpf_map_lookup_elem(bpf_map__fd(programs->process->maps.ran_on), &tid, &value) &&
	       value >= asked;
}

int programs_held_fd(const struct programs *programs)
{
	return bpf_map__fd(programs->process->maps.held);
}

int programs_answers_fd(const struct programs *programs)
{
	return bpf_map__fd(programs->process->maps.answers);
}

bool programs_next_trace(const struct programs *programs, uint64_t previous, uint64_t *next)
{
	return !bpf_map_get_next_key(bpf_map__fd(programs->process->maps.traces),
				     previous ? &previous : NULL, next);
}

bool programs_trace(const struct programs *programs, uint64_t id, struct gw_trace *trace)
{
	return !bpf_map_lookup_elem(bpf_map__fd(programs->process->maps.traces), &id, trace);
}

void programs_forget_trace(const struct programs *programs, uint64_t id)
{
	bpf_map_delete_elem(bpf_map__fd(programs->process->maps.traces), &id);
}

int programs_counters(const struct programs *programs, uint64_t counter[GW_COUNTER_MAX])
{
	uint32_t zero = 0;

	if (bpf_map_lookup_elem(bpf_map__fd(programs->process->maps.counters), &zero,
				programs->counters))
		return -errno;
	memcpy(counter, programs->full, sizeof(programs->full));
	for (int cpu = 0; cpu < programs->cpus; cpu++)
		for (int i = 0; i < GW_COUNTER_MAX; i++)
			counter[i] += programs->counters[cpu].count[i];
	return 0;
}

const struct programs_options *programs_options(const struct programs *programs)
{
	return &programs->options;
}

int programs_share_maps(const struct programs *programs, struct bpf_object *object)
{
	struct bpf_map *map;

	bpf_object__for_each_map(map, object)
	{
		struct bpf_map *own;
		int code;

		if (bpf_map__is_internal(map))
			continue;
		own = bpf_object__find_map_by_name(programs->process->obj, bpf_map__name(map));
		if (!own)
			return -ENOENT;
		code = bpf_map__reuse_fd(map, bpf_map__fd(own));
		if (code)
			return code;
	}
	return 0;
}
