// SPDX-License-Identifier: GPL-2.0-or-later
#include "watch/discover.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"

struct visit {
	struct discover *discover;
	uint32_t pid;
	uint64_t mapped_at;
};

static void describe_library(struct event *event, const struct library *library, const char *path)
{
	str_format(event->torch.file, sizeof(event->torch.file), "%s", path);
	str_format(event->torch.version, sizeof(event->torch.version), "%s", library->version);
	event->attached.sites = library->placed;
	event->attached.certain = library->plan.abi.certain;
	str_format(event->attached.doubt, sizeof(event->attached.doubt), "%.255s",
		   library->state == LIBRARY_SKIPPED ? library->reason : library->plan.doubt);
}

#define ELSEWHERE                                                                                  \
	"the process has mapped what its path no longer leads to (a file that an overlay has "     \
	"copied up); restart it to watch it"

/* placed: the process has the library's probes. */
static void tell(struct visit *visit, const struct event_process *process,
		 const struct library *library, const char *path, bool newly_probed, bool placed)
{
	struct discover *discover = visit->discover;
	struct event event = {.process = *process};
	pid_t tgid;

	event.type = library->state == LIBRARY_SKIPPED || !placed ? EVENT_SKIPPED : EVENT_ATTACHED;
	event.time = clock_monotonic();
	describe_library(&event, library, path);
	if (!placed)
		str_format(event.attached.doubt, sizeof(event.attached.doubt), ELSEWHERE);
	if (newly_probed && visit->mapped_at && visit->mapped_at < event.time)
		event.attached.armed_after_ns = event.time - visit->mapped_at;
	if (event.type == EVENT_ATTACHED)
		discover->probed++;
	if (newly_probed && event.type == EVENT_ATTACHED)
		event.attached.too_late = procfs_tgid((pid_t)visit->pid, &tgid) == -ESRCH;
	model_process(discover->model, process->pid, process->start_time);
	discover->handler(discover->context, &event);
}

/* A library that could not even be looked at. What is unmapped or has ended meanwhile is none. */
static void tell_unreadable(struct visit *visit, const struct procfs_mapping *mapping, int code)
{
	struct event event = {.type = EVENT_SKIPPED, .time = clock_monotonic()};
	const struct event_process *process;
	bool is_new;

	visit->discover->missed += code == -ESRCH;
	if (code == -ESRCH || code == -ENOENT)
		return;
	process = processes_note(visit->discover->processes, visit->pid, &is_new);
	if (!process)
		return;
	event.process = *process;
	str_format(event.torch.file, sizeof(event.torch.file), "%s", mapping->path);
	str_format(event.attached.doubt, sizeof(event.attached.doubt), "cannot be opened: %s",
		   code == -ENOSPC ? "too many libraries" : strerror(-code));
	visit->discover->handler(visit->discover->context, &event);
}

static struct gw_range moved(const struct gw_range *range, uint64_t bias)
{
	return range->end ? (struct gw_range){range->start + bias, range->end + bias} : *range;
}

/*
 * Tells BPF of a process's Python, and of the code in it that calls the setter. What is not mapped
 * yet is told when it is: each mapping is looked at.
 */
static void tell_interpreter(const struct discover *discover, uint32_t pid)
{
	struct interpreter_found python;
	struct binding_found binding = {0};
	char reason[256];

	if (interpreters_find(discover->interpreters, pid, &python))
		return;
	if (!bindings_find(discover->bindings, pid, &binding, reason, sizeof(reason))) {
		python.interpreter.binding = moved(&binding.inspect.range, binding.bias);
		python.interpreter.apply = moved(&binding.inspect.apply, binding.bias);
	}
	programs_set_interpreter(discover->programs, pid, &python.interpreter);
}

static int visit_mapping(void *context, const struct procfs_mapping *mapping)
{
	struct visit *visit = context;
	const struct library *library;
	const struct event_process *process;
	bool new_library, new_process, placed;
	int code;

	library = libraries_learn(visit->discover->libraries, (pid_t)visit->pid, mapping,
				  &new_library, &code);
	if (!library)
		tell_unreadable(visit, mapping, code);
	if (!library || library->state == LIBRARY_NOT_TORCH)
		return 0;
	placed = library_is_placed(library, (pid_t)visit->pid, mapping);
	/* After the probes: without a Python only stacks are missing. */
	tell_interpreter(visit->discover, visit->pid);
	process = processes_note(visit->discover->processes, visit->pid, &new_process);
	if (process && (new_process || new_library))
		tell(visit, process, library, mapping->path, new_library, placed);
	if (visit->discover->found && placed && library->state == LIBRARY_PROBED)
		visit->discover->found(visit->discover->found_context, visit->pid, library,
				       mapping);
	return 0;
}

int discover_process(struct discover *discover, uint32_t pid, uint64_t mapped_at)
{
	struct visit visit = {.discover = discover, .pid = pid, .mapped_at = mapped_at};
	int code;

	if (!programs_is_watched(discover->programs, pid))
		return 0;
	code = procfs_candidates((pid_t)pid, visit_mapping, &visit);
	if (code == -ESRCH && mapped_at)
		discover->missed++;
	return code == -ESRCH ? 0 : code;
}

void discover_unreadable(struct discover *discover, uint32_t pid, int code)
{
	struct event event = {.type = EVENT_SKIPPED, .time = clock_monotonic()};
	const struct event_process *process;
	bool is_new;

	process = processes_note(discover->processes, pid, &is_new);
	if (!process)
		return;
	event.process = *process;
	str_format(event.torch.file, sizeof(event.torch.file), "/proc/%u/maps", pid);
	str_format(event.attached.doubt, sizeof(event.attached.doubt), "cannot be read: %s",
		   strerror(-code));
	discover->handler(discover->context, &event);
}

static void on_rewritten(void *context, const struct library *library)
{
	struct discover *discover = context;
	struct event event = {.type = EVENT_SKIPPED, .time = clock_monotonic()};
	const struct event_process *process;
	bool is_new;

	process = processes_note(discover->processes, library->pid, &is_new);
	if (process)
		event.process = *process;
	else
		event.process.pid = library->pid;
	describe_library(&event, library, library->path);
	discover->handler(discover->context, &event);
}

void discover_rewritten(struct discover *discover)
{
	libraries_read_rewrites(discover->libraries, on_rewritten, discover);
}

struct all {
	struct discover *discover;
	void (*failed)(void *context, uint32_t pid);
	void *context;
};

static void visit_process(void *context, pid_t pid)
{
	const struct all *all = context;
	int code = discover_process(all->discover, (uint32_t)pid, 0);

	if (code && code != -EACCES && code != -EPERM)
		all->failed(all->context, (uint32_t)pid);
}

void discover_all(struct discover *discover, void (*failed)(void *context, uint32_t pid),
		  void *context)
{
	struct all all = {discover, failed, context};

	procfs_each_process(visit_process, &all);
}
