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
	struct bindings *bindings;
	struct place place[MAX_PLACES];
	size_t next_place;
};

struct arming *arming_new(const struct act_policy *policy, struct discover *discover,
			  struct bindings *bindings)
{
	struct arming *arming = calloc(1, sizeof(*arming));

	if (arming) {
		arming->policy = policy;
		arming->discover = discover;
		arming->bindings = bindings;
	}
	return arming;
}

void arming_free(struct arming *arming)
{
	free(arming);
}

/* What is looked for in a process: the binding, and its load address. */
struct search {
	struct bindings *bindings;
	pid_t pid;
	const struct inspect_binding *binding; /* NULL: reason says why */
	uint64_t bias;
	char reason[160];
};

static int visit_mapping(void *context, const struct procfs_mapping *mapping)
{
	struct search *search = context;
	const struct inspect_binding *binding;
	int fd;

	if (!procfs_is_binding(mapping->path))
		return 0;
	fd = procfs_open_mapping(search->pid, mapping);
	if (fd < 0)
		return 0;
	binding = bindings_learn(search->bindings, fd, mapping->path, search->reason,
				 sizeof(search->reason));
	close(fd);
	/* Of several executable mappings of the file the one that holds it. */
	if (!binding || binding->file_offset < mapping->offset ||
	    binding->file_offset - mapping->offset >= mapping->end - mapping->start)
		return 0;
	search->binding = binding;
	search->bias = mapping->start + (binding->file_offset - mapping->offset) - binding->address;
	return 1;
}

static void search_binding(struct arming *arming, uint32_t pid, struct search *search)
{
	*search = (struct search){.bindings = arming->bindings, .pid = (pid_t)pid};
	str_format(search->reason, sizeof(search->reason), "it maps no libtorch_python");
	procfs_executables((pid_t)pid, visit_mapping, search);
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

void arming_process(struct arming *arming, uint32_t pid, const struct library *library,
		    const struct procfs_mapping *mapping)
{
	struct gw_enforced process = {.torch_base = library_base(library, mapping)};
	struct search search;
	int code;

	forget_places(arming, pid);
	if (!act_policy_allows(arming->policy, (pid_t)pid))
		return;
	if (arming->policy->bpf.action == GW_ACTION_RAISE) {
		search_binding(arming, pid, &search);
		if (search.binding) {
			process.method_o = search.binding->method_o;
			bindings_arm(arming->bindings, search.binding, library->id);
		}
	}
	code = programs_enforce(arming->discover->programs, pid, &process);
	if (code)
		log_warn("cannot act in process %u: %s", pid, strerror(-code));
}

static int find_place(struct arming *arming, uint32_t pid, struct raise_place *place, char *reason,
		      size_t reason_size)
{
	struct interpreter_found python;
	struct search search;

	search_binding(arming, pid, &search);
	if (!search.binding) {
		str_format(reason, reason_size, "%s", search.reason);
		return -ENOENT;
	}
	if (interpreters_find(arming->discover->interpreters, pid, &python) || !python.err_format ||
	    !python.runtime_error) {
		str_format(reason, reason_size, "its Python exports no PyErr_Format");
		return -ENOENT;
	}
	*place = (struct raise_place){
		.entry = search.bias + search.binding->function,
		.err_format = python.err_format,
		.exception = python.runtime_error,
		.room = search.bias + search.binding->room,
		.room_size = search.binding->room_size,
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
