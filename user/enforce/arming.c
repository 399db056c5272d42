// SPDX-License-Identifier: GPL-2.0-or-later
#include "enforce/arming.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/str.h"
#include "base/table.h"

#define MAX_PLACES 1024 /* that are remembered; they are looked for again where they are not */

/* Where calls raise in a process. */
struct place {
	struct table_item item;
	uint32_t pid;
	uint64_t start_time;
	struct raise_place place;
};

struct arming {
	const struct enforce_policy *policy;
	struct discover *discover;
	char warned[256];    /* what was last warned of */
	struct table places; /* by pid */
};

struct arming *arming_new(const struct enforce_policy *policy, struct discover *discover)
{
	struct arming *arming = calloc(1, sizeof(*arming));

	if (arming) {
		arming->policy = policy;
		arming->discover = discover;
		arming->places.capacity = MAX_PLACES;
	}
	return arming;
}

void arming_free(struct arming *arming)
{
	struct table_item *place;

	if (!arming)
		return;
	while ((place = table_pop(&arming->places)))
		free(place);
	free(arming);
}

/* Not once more what was said last. */
static void warn(struct arming *arming, const char *why)
{
	if (!strncmp(arming->warned, why, sizeof(arming->warned) - 1))
		return;
	str_format(arming->warned, sizeof(arming->warned), "%s", why);
	log_warn("calls cannot be made to raise by way of %s", why);
}

/*
 * Places the probe in the binding of a library's setter, once. It stays while gradwatch runs: to
 * place one for a trace that begins, its process would have to be stopped.
 */
static int bind(struct arming *arming, uint32_t pid, const struct binding_found *found,
		struct library *library)
{
	int fd = procfs_open_mapping((pid_t)pid, found->mapping), code;
	char why[sizeof(arming->warned)];
	struct err err;

	if (fd < 0)
		return fd;
	code = library_bind(library, found->file_id, fd, found->inspect.file_offset, &err);
	close(fd);
	if (code) {
		str_format(why, sizeof(why), "%s: %s", found->mapping->path, err.text);
		warn(arming, why);
	}
	return code;
}

void arming_forget(struct arming *arming, uint32_t pid)
{
	struct table_item *place = table_find(&arming->places, &pid, sizeof(pid));

	if (place)
		table_remove(&arming->places, place);
	free(place);
}

/* How the binding of a process takes its arguments; its probe is placed. */
static int prepare_binding(struct arming *arming, struct process *process, struct library *library,
			   const struct mapped *mapped, struct gw_enforced *enforced)
{
	struct discover *discover = arming->discover;
	struct binding_found binding = {0};
	char reason[256];
	int code = bindings_find(discover->files, discover->inspections, (pid_t)process->pid,
				 process, mapped, &binding, reason, sizeof(reason));

	if (!code) {
		enforced->method_o = binding.inspect.method_o;
		code = bind(arming, process->pid, &binding, library);
	} else if (code == -ENOTSUP) {
		warn(arming, reason);
	}
	return code;
}

int arming_process(struct arming *arming, struct process *process, struct library *library,
		   const struct process_file *file, const struct mapped *mapped)
{
	struct gw_enforced enforced = {.torch_base = file->bias};
	struct programs *programs = arming->discover->programs;
	int code = 0;

	arming_forget(arming, process->pid); /* after an exec it has another memory */
	if (!enforce_policy_allows(arming->policy, (pid_t)process->pid))
		return 0;
	if (arming->policy->bpf.action == GW_ACTION_RAISE)
		code = prepare_binding(arming, process, library, mapped, &enforced);
	if (programs_enforce(programs, process->pid, &enforced)) {
		if (!process->unenforced)
			programs_count_full(programs, GW_ENFORCED_FULL);
		process->unenforced = true;
		return -EAGAIN;
	}
	return library_is_short(code) ? code : 0;
}

static int find_place(struct arming *arming, uint32_t pid, struct raise_place *place, char *reason,
		      size_t reason_size)
{
	struct discover *discover = arming->discover;
	struct process *process = processes_get(discover->processes, pid);
	struct mapped *mapped = &discover->mapped;
	struct interpreter_found python;
	struct binding_found binding = {0};
	int code = mapped_read((pid_t)pid, mapped);

	if (code >= 0)
		code = bindings_find(discover->files, discover->inspections, (pid_t)pid, process,
				     mapped, &binding, reason, reason_size);
	else
		str_format(reason, reason_size, "its mappings cannot be read: %s", strerror(-code));
	if (code)
		return code;
	code = interpreters_find(discover->files, discover->inspections, (pid_t)pid, process,
				 mapped, &python);
	if (code == -EINPROGRESS) {
		str_format(reason, reason_size, "its Python is still being inspected");
		return code;
	}
	if (code || !python.err_format || !python.runtime_error) {
		str_format(reason, reason_size, "its Python exports no PyErr_Format");
		return -ENOENT;
	}
	*place = (struct raise_place){
		.entry = binding.bias + binding.inspect.function,
		.err_format = python.err_format,
		.exception = python.runtime_error,
		.space = binding.bias + binding.inspect.space,
		.space_size = binding.inspect.space_size,
	};
	return 0;
}

static void remember(struct arming *arming, uint32_t pid, uint64_t start_time,
		     const struct raise_place *place)
{
	struct place *known = malloc(sizeof(*known));

	if (!known)
		return;
	*known = (struct place){.pid = pid, .start_time = start_time, .place = *place};
	if (table_surplus(&arming->places))
		free(table_pop(&arming->places));
	if (table_add(&arming->places, &known->item, &known->pid, sizeof(known->pid)))
		free(known);
}

int arming_place(struct arming *arming, uint32_t pid, uint64_t start_time,
		 struct raise_place *place, char *reason, size_t reason_size)
{
	const struct place *known = (struct place *)table_find(&arming->places, &pid, sizeof(pid));
	int code;

	if (known && known->start_time == start_time) {
		*place = known->place;
		return 0;
	}
	arming_forget(arming, pid); /* of an earlier process */
	code = find_place(arming, pid, place, reason, reason_size);
	if (!code)
		remember(arming, pid, start_time, place);
	return code;
}

void arming_prepare(struct arming *arming, uint32_t pid, uint64_t start_time)
{
	struct programs *programs = arming->discover->programs;
	struct gw_enforced process;
	struct raise_place place;
	struct raise_ready ready;
	char reason[160];

	if (programs_enforced(programs, pid, &process) || process.err_format)
		return;
	if (arming_place(arming, pid, start_time, &place, reason, sizeof(reason)) ||
	    raise_prepare((pid_t)pid, &place, &ready))
		return;
	process.exception = ready.exception;
	process.message[0] = ready.message[0];
	process.message[1] = ready.message[1];
	process.err_format = place.err_format;
	programs_enforce(programs, pid, &process);
}
