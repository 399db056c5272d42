// SPDX-License-Identifier: GPL-2.0-or-later
#include "act/arming.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/str.h"

#define MAX_PLACES 1024 /* processes that are remembered */

struct place {
	uint32_t pid;
	uint64_t start_time;
	struct raise_place place;
};

struct arming {
	const struct act_policy *policy;
	struct discover *discover;
	char warned[256];                       /* what was last warned of */
	bool bound[BINDINGS_MAX][GW_MAX_FILES]; /* by file and library: the probe is in place */
	struct place place[MAX_PLACES];
	size_t next_place;
};

struct arming *arming_new(const struct act_policy *policy, struct discover *discover)
{
	struct arming *arming = calloc(1, sizeof(*arming));

	if (arming) {
		arming->policy = policy;
		arming->discover = discover;
	}
	return arming;
}

void arming_free(struct arming *arming)
{
	free(arming);
}

/*
 * Places the probe in the binding of a library's setter, once. It stays while gradwatch runs: to
 * place one for a trace that begins, its process would have to be stopped.
 */
static void bind(struct arming *arming, const struct binding_found *found, uint32_t library)
{
	struct discover *discover = arming->discover;
	struct err err;

	if (library >= GW_MAX_FILES || arming->bound[found->file][library])
		return;
	/* Also when it fails: to say so once is enough. */
	arming->bound[found->file][library] = true;
	if (libraries_bind(discover->libraries, library,
			   bindings_fd(discover->bindings, found->file), found->inspect.file_offset,
			   &err))
		log_warn("calls cannot be made to raise by way of %s: %s",
			 bindings_path(discover->bindings, found->file), err.text);
}

/* The load address of the library with the setter. */
static uint64_t library_base(const struct library *library, const struct procfs_mapping *mapping)
{
	const struct inspect_site *site = &library->plan.site[GW_SITE_SET_ENABLED];

	return mapping->start + (site->file_offset - mapping->offset) - site->address;
}

/* After an exec a process has another memory, but is the same. */
static void forget_places(struct arming *arming, uint32_t pid)
{
	for (size_t i = 0; i < MAX_PLACES; i++)
		if (arming->place[i].pid == pid)
			arming->place[i].pid = 0;
}

/* How the binding of a process takes its arguments; its probe is placed. */
static void prepare_binding(struct arming *arming, uint32_t pid, const struct library *library,
			    struct gw_enforced *process)
{
	struct binding_found binding = {0};
	char reason[sizeof(arming->warned)];
	int code = bindings_find(arming->discover->bindings, pid, &binding, reason, sizeof(reason));

	if (!code) {
		process->method_o = binding.inspect.method_o;
		bind(arming, &binding, library->id);
	} else if (code == -ENOTSUP && strcmp(arming->warned, reason) != 0) {
		memcpy(arming->warned, reason, sizeof(reason));
		log_warn("calls cannot be made to raise by way of %s", reason);
	}
}

void arming_process(struct arming *arming, uint32_t pid, const struct library *library,
		    const struct procfs_mapping *mapping)
{
	struct gw_enforced process = {.torch_base = library_base(library, mapping)};

	forget_places(arming, pid);
	if (!act_policy_allows(arming->policy, (pid_t)pid))
		return;
	if (arming->policy->bpf.action == GW_ACTION_RAISE)
		prepare_binding(arming, pid, library, &process);
	programs_enforce(arming->discover->programs, pid, &process);
}

static int find_place(struct arming *arming, uint32_t pid, struct raise_place *place, char *reason,
		      size_t reason_size)
{
	struct interpreter_found python;
	struct binding_found binding = {0};
	int code = bindings_find(arming->discover->bindings, pid, &binding, reason, reason_size);

	if (code)
		return code;
	if (interpreters_find(arming->discover->interpreters, pid, &python) || !python.err_format ||
	    !python.runtime_error) {
		str_format(reason, reason_size, "its Python exports no PyErr_Format");
		return -ENOENT;
	}
	*place = (struct raise_place){
		.entry = binding.bias + binding.inspect.function,
		.err_format = python.err_format,
		.exception = python.runtime_error,
		.room = binding.bias + binding.inspect.room,
		.room_size = binding.inspect.room_size,
	};
	return 0;
}

int arming_place(struct arming *arming, uint32_t pid, uint64_t start_time,
		 struct raise_place *place, char *reason, size_t reason_size)
{
	struct place *known;
	int code;

	for (size_t i = 0; i < MAX_PLACES; i++) {
		known = &arming->place[i];
		if (known->pid == pid && known->start_time == start_time) {
			*place = known->place;
			return 0;
		}
	}
	code = find_place(arming, pid, place, reason, reason_size);
	if (code)
		return code;
	known = &arming->place[arming->next_place];
	arming->next_place = (arming->next_place + 1) % MAX_PLACES;
	*known = (struct place){pid, start_time, *place};
	return 0;
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
