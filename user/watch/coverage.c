// SPDX-License-Identifier: GPL-2.0-or-later
#include "watch/coverage.h"

#include <errno.h>
#include <string.h>

#include "base/str.h"
#include "inspect/libc.h"
#include "target/roles.h"

const char *coverage_name(enum coverage coverage)
{
	static const char *const name[COVERAGE_MAX] = {
		[COVERAGE_WATCHED] = "watched",
		[COVERAGE_PARTIAL] = "partial",
		[COVERAGE_UNSUPPORTED] = "unsupported",
		[COVERAGE_WAITING] = "waiting",
	};

	return coverage < COVERAGE_MAX ? name[coverage] : "unknown";
}

/* Adds a cause. The coverage is that of the worst. */
static void lower(struct coverage_process *out, enum coverage coverage, const char *reason)
{
	size_t used = strlen(out->reason);

	if (coverage > out->coverage)
		out->coverage = coverage;
	str_format(out->reason + used, sizeof(out->reason) - used, "%s%s", used ? "; " : "",
		   reason);
}

static void look_at_library(const struct process *process, const struct process_file *file,
			    const struct library *library, struct coverage_process *out)
{
	struct inspect_plan plan = {.abi.certain = true};

	if (library->state == LIBRARY_NOT_TORCH)
		return;
	if (!out->torch.file[0])
		discover_describe_torch(&out->torch, library);
	if (library->state == LIBRARY_ARMING)
		lower(out, COVERAGE_WAITING, "its libtorch is being inspected and probed");
	else if (library->state == LIBRARY_SKIPPED)
		lower(out, COVERAGE_UNSUPPORTED, library->reason);
	else if (file->unplaced)
		lower(out, COVERAGE_UNSUPPORTED, DISCOVER_ELSEWHERE);
	else if (!library->plan.abi.certain)
		lower(out, COVERAGE_PARTIAL, library->plan.doubt);
	if (out->coverage != COVERAGE_WATCHED || !process->libc[0])
		return;
	libc_doubt(&plan, process->libc);
	lower(out, COVERAGE_PARTIAL, plan.doubt);
}

/* A file with a CPython in it, or without. */
static void look_at_python(const struct file *file, struct coverage_process *out)
{
	const struct inspection *inspection = roles_found(file);

	if (!inspection || (inspection->code && inspection->code != -ENOTSUP))
		return;
	out->python = inspection->python.python.version;
	if (inspection->code)
		lower(out, COVERAGE_PARTIAL, inspection->reason);
}

static void look_at_files(const struct discover *discover, const struct process *process,
			  struct coverage_process *out)
{
	for (unsigned int i = 0; i < process->files; i++) {
		const struct process_file *held = &process->file[i];
		const struct library *library = NULL;
		const struct file *file = files_get(discover->files, held->id);

		if (held->role == FILE_SETTER)
			library = libraries_get(discover->libraries, held->id);
		if (library)
			look_at_library(process, held, library, out);
		else if (file && held->role == FILE_PYTHON)
			look_at_python(file, out);
	}
}

void coverage_of(const struct discover *discover, const struct process *process,
		 struct coverage_process *out)
{
	*out = (struct coverage_process){.process = process};
	look_at_files(discover, process, out);
	if (process->refused)
		lower(out, COVERAGE_UNSUPPORTED, strerror(-process->refused));
	if (process->cut)
		lower(out, COVERAGE_PARTIAL, "not all of its files were looked at");
	if (process->stackless)
		lower(out, COVERAGE_PARTIAL,
		      "no stacks: it did not fit into the map of interpreters");
	if (process->unenforced)
		lower(out, COVERAGE_PARTIAL,
		      "not acted in: it did not fit into the map of enforced processes");
}

struct each {
	const struct discover *discover;
	void (*visit)(void *context, const struct coverage_process *process);
	void *context;
};

static void visit_process(void *context, const struct process *process)
{
	const struct each *each = context;
	struct coverage_process view;

	if (process->ended)
		return;
	coverage_of(each->discover, process, &view);
	if (view.torch.file[0] || process->refused)
		each->visit(each->context, &view);
}

void coverage_each(const struct discover *discover,
		   void (*visit)(void *context, const struct coverage_process *process),
		   void *context)
{
	struct each each = {discover, visit, context};

	processes_each(discover->processes, visit_process, &each);
}

void coverage_count(struct discover *discover, const struct event *event)
{
	struct process *process;

	if (!event->process.pid)
		return;
	process = processes_find(discover->processes, event->process.pid,
				 event->process.start_time);
	if (!process)
		return;
	process->last_event = event->time;
	process->traces += event->type == EVENT_TRACE_BEGIN;
	process->changes += event->type == EVENT_CHANGE;
	process->findings += event->type == EVENT_FINDING && event_is_alarm(&event->finding);
}
