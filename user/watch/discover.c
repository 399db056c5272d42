// SPDX-License-Identifier: GPL-2.0-or-later
#include "watch/discover.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/str.h"
#include "inspect/libc.h"
#include "target/roles.h"
#include "watch/choose.h"

#define TRY_AGAIN_NS 2000000000ull /* what could not be probed for lack of something */

struct visit {
	struct discover *discover;
	uint32_t pid;
	uint64_t mapped_at;
	int code; /* why it is to be tried again, 0: it need not */
};

static void on_rewritten(void *context, const struct library *library);

static void on_ended(void *context, const struct process *process, bool missed)
{
	const struct discover *discover = context;

	if (missed)
		programs_forget(discover->programs, process->pid);
	if (discover->ended)
		discover->ended(discover->found_context, process->pid);
	model_process_ended(discover->model, process->pid, process->start_time, clock_monotonic());
}

int discover_open(struct discover *discover, struct err *err)
{
	int code = inodes_open(&discover->inodes, err);

	if (code)
		return code;
	discover->files = files_new(discover->inodes);
	discover->processes = discover->files ? processes_new(discover->files, on_ended, discover)
					      : NULL;
	discover->inspections = inspections_new();
	if (!discover->processes || !discover->inspections ||
	    inspections_use_thread(discover->inspections))
		return err_set(err, -ENOMEM, "out of memory");
	discover->libraries = libraries_new(discover->programs, discover->files,
					    discover->inspections);
	if (!discover->libraries)
		return err_set(err, -ENOMEM, "out of memory");
	libraries_on_rewrite(discover->libraries, on_rewritten, discover);
	roles_register(discover->files);
	return 0;
}

void discover_close(struct discover *discover)
{
	processes_free(discover->processes);
	files_free(discover->files);
	libraries_free(discover->libraries);
	inspections_free(discover->inspections);
	inodes_close(discover->inodes);
}

/* --- events ------------------------------------------------------------------------------------
 */

void discover_describe_cgroup(struct event_cgroup *event, const struct process *process)
{
	const struct cgroup_names *names = process->cgroup;

	if (names)
		*event = (struct event_cgroup){.path = names->path,
					       .container = names->container,
					       .runtime = names->runtime,
					       .pod = names->pod,
					       .unit = names->unit};
}

void discover_describe_process(struct event_process *event, const struct process *process)
{
	if (!process)
		return;
	event->pid = event->tid = process->pid;
	event->ns_pid = event->ns_tid = process->ns_pid;
	event->uid = process->uid;
	event->start_time = process->start_time;
	memcpy(event->comm, process->comm, sizeof(event->comm));
	str_copy(event->exe, sizeof(event->exe), process->exe ? process->exe : "");
	discover_describe_cgroup(&event->cgroup, process);
}

void discover_describe_torch(struct event_torch *event, const struct library *library)
{
	if (!library)
		return;
	str_copy(event->file, sizeof(event->file), library->path);
	str_copy(event->version, sizeof(event->version), library->version);
}

static void describe_library(struct event *event, const struct library *library)
{
	discover_describe_torch(&event->torch, library);
	event->attached.sites = library->placed;
	event->attached.certain = library->plan.abi.certain;
	str_format(event->attached.doubt, sizeof(event->attached.doubt), "%.255s",
		   library->state == LIBRARY_SKIPPED ? library->reason : library->plan.doubt);
}

/* Files that are for glibc run with others, too (gcompat). */
static void doubt_libc(struct event *event, const struct process *process)
{
	struct inspect_plan plan = {.abi.certain = event->attached.certain};

	if (!plan.abi.certain)
		return;
	libc_doubt(&plan, process->libc);
	event->attached.certain = false;
	str_format(event->attached.doubt, sizeof(event->attached.doubt), "%.255s", plan.doubt);
}

/* Tells that a process has a library. */
static void report(struct discover *discover, const struct process *process,
		   struct library *library, struct process_file *file)
{
	struct event event = {.time = clock_monotonic()};
	bool first = !library->reported;
	pid_t tgid;

	library->reported = true;
	file->reported = library->state == LIBRARY_SKIPPED || file->unplaced
				 ? FILE_REPORTED_SKIPPED
				 : FILE_REPORTED_ATTACHED;
	event.type = file->reported == FILE_REPORTED_SKIPPED ? EVENT_SKIPPED : EVENT_ATTACHED;
	discover_describe_process(&event.process, process);
	describe_library(&event, library);
	if (event.type == EVENT_ATTACHED && process->libc[0])
		doubt_libc(&event, process);
	if (file->unplaced)
		str_format(event.attached.doubt, sizeof(event.attached.doubt), DISCOVER_ELSEWHERE);
	if (first && process->mapped_at && process->mapped_at < event.time)
		event.attached.armed_after_ns = event.time - process->mapped_at;
	if (event.type == EVENT_ATTACHED)
		discover->probed++;
	if (first && event.type == EVENT_ATTACHED)
		event.attached.too_late = procfs_tgid((pid_t)process->pid, &tgid) == -ESRCH;
	model_process(discover->model, process->pid, process->start_time);
	discover->handler(discover->context, &event);
}

/* A process of which only the number may be known. */
static void describe_pid(struct discover *discover, struct event_process *event, uint32_t pid)
{
	struct process *known = processes_get(discover->processes, pid);

	event->pid = event->tid = pid;
	if (known)
		discover_describe_process(event, known);
	else
		procfs_identity((pid_t)pid, event->comm, &event->uid, &event->ns_pid);
}

static void report_skipped(struct discover *discover, uint32_t pid, const char *path,
			   const char *format, int code)
{
	struct event event = {.type = EVENT_SKIPPED, .time = clock_monotonic()};
	const char *why = code == -ENOSPC ? "too many files at one time" : strerror(-code);

	describe_pid(discover, &event.process, pid);
	str_format(event.torch.file, sizeof(event.torch.file), "%s", path);
	str_format(event.attached.doubt, sizeof(event.attached.doubt), format, why);
	discover->handler(discover->context, &event);
}

void discover_failed(struct discover *discover, uint32_t pid, int code)
{
	struct process *process;
	char path[64];
	bool is_new;

	str_format(path, sizeof(path), "/proc/%u/maps", pid);
	process = processes_note(discover->processes, pid, clock_monotonic(), &is_new);
	if (process)
		process->refused = code;
	report_skipped(discover, pid, path, "cannot be watched: %s; it is tried again", code);
}

static void on_rewritten(void *context, const struct library *library)
{
	struct discover *discover = context;
	struct event event = {.type = EVENT_SKIPPED, .time = clock_monotonic()};

	describe_pid(discover, &event.process, library->pid);
	describe_library(&event, library);
	discover->handler(discover->context, &event);
}

/* --- looking -----------------------------------------------------------------------------------
 */

static struct gw_range range_at(const struct gw_range *range, uint64_t bias)
{
	return range->end ? (struct gw_range){range->start + bias, range->end + bias} : *range;
}

/* What goes wrong for lack of something says nothing about the process: it is tried again. */
static void note_shortage(struct visit *visit, int code)
{
	if (library_is_short(code) || code == -EAGAIN || code == -EBUSY)
		visit->code = code;
}

/*
 * Tells BPF of a process that has a libtorch: of its Python, and of the code in it that calls the
 * setter. What is not mapped yet is reported when it is: each mapping is looked at.
 */
static void report_interpreter(struct visit *visit, struct process *process)
{
	struct discover *discover = visit->discover;
	struct interpreter_found python;
	struct binding_found binding = {0};
	pid_t pid = (pid_t)process->pid;
	char reason[256];

	note_shortage(visit, interpreters_find(discover->files, discover->inspections, pid, process,
					       &discover->mapped, &python));
	note_shortage(visit, bindings_find(discover->files, discover->inspections, pid, process,
					   &discover->mapped, &binding, reason, sizeof(reason)));
	if (binding.mapping) {
		python.interpreter.binding = range_at(&binding.inspect.range, binding.bias);
		python.interpreter.apply = range_at(&binding.inspect.apply, binding.bias);
	}
	python.interpreter.other_libc = process->libc[0] != '\0';
	if (!programs_set_interpreter(discover->programs, process->pid, &python.interpreter))
		return;
	if (!process->stackless)
		programs_count_full(discover->programs, GW_INTERPRETERS_FULL);
	process->stackless = true;
	visit->code = -EAGAIN; /* there may be space later */
}

/* BPF forgets a process at its end, but not what it is given for one that has ended before. */
static void forget_if_ended(const struct discover *discover, const struct process *process)
{
	pid_t tgid;

	if (procfs_tgid((pid_t)process->pid, &tgid) == -ESRCH)
		programs_forget(discover->programs, process->pid);
}

/* The load address of the library with the setter. */
static uint64_t library_bias(const struct library *library, const struct procfs_mapping *mapping)
{
	const struct inspect_site *site = &library->plan.site[GW_SITE_SET_ENABLED];

	return mapping->start + (site->file_offset - mapping->offset) - site->address;
}

/* The library behind a mapping; NULL with a negative errno in *code: it cannot be looked at. */
static struct library *learn(struct visit *visit, const struct procfs_mapping *mapping, int *code)
{
	struct discover *discover = visit->discover;
	struct event_process process = {.uid = 0};
	struct library *library = NULL;
	struct file *file;
	int fd = procfs_open_mapping((pid_t)visit->pid, mapping);

	if (fd < 0) {
		*code = fd;
		return NULL;
	}
	describe_pid(discover, &process, visit->pid);
	file = files_learn(discover->files, FILE_SETTER, fd, mapping->path, process.uid,
			   clock_monotonic(), code);
	if (file)
		library = libraries_arm(discover->libraries, file, fd, (pid_t)visit->pid);
	close(fd);
	if (!file || library)
		return library;
	files_drop(discover->files, file);
	*code = -ENOMEM;
	return NULL;
}

/* Whether there is something to report: nothing was reported yet, or it could be probed after all.
 */
static bool is_news(const struct library *library, const struct process_file *file)
{
	return file->reported == FILE_REPORTED_NOTHING ||
	       (file->reported == FILE_REPORTED_SKIPPED && !file->unplaced &&
		library->state == LIBRARY_PROBED);
}

/* The process has a library that is no more ARMING. */
static void on_library(struct visit *visit, struct process *process, struct library *library,
		       struct process_file *file, const struct procfs_mapping *mapping)
{
	struct discover *discover = visit->discover;

	file->bias = library_bias(library, mapping);
	if (file->reported == FILE_REPORTED_NOTHING)
		file->unplaced = !library_is_placed(library, (pid_t)visit->pid, mapping);
	if (is_news(library, file))
		report(discover, process, library, file);
	if (discover->found && !file->unplaced && library->state == LIBRARY_PROBED &&
	    discover->found(discover->found_context, process, library, file, &discover->mapped))
		visit->code = -EAGAIN;
	if (library->again)
		visit->code = -EAGAIN;
}

/* A library that could not be probed for lack of something may have it now. */
static void try_again(struct visit *visit, struct library *library,
		      const struct procfs_mapping *mapping)
{
	int fd = procfs_open_mapping((pid_t)visit->pid, mapping);

	if (fd < 0) {
		visit->code = -EAGAIN;
		return;
	}
	if (libraries_arm_again(visit->discover->libraries, library, fd))
		visit->code = -EAGAIN;
	close(fd);
}

/* The file is known where it is mapped, and is still the same. */
static struct library *known_library(struct discover *discover, struct process *process,
				     const struct procfs_mapping *mapping,
				     struct process_file **file)
{
	struct library *library;

	*file = process ? process_file_at(process, FILE_SETTER, mapping->start, mapping->inode)
			: NULL;
	library = *file ? libraries_get(discover->libraries, (*file)->id) : NULL;
	if (*file && !library) {
		process_forget_file(discover->files, process, *file, clock_monotonic());
		*file = NULL;
	}
	return library;
}

static struct process *note(struct visit *visit)
{
	bool is_new;
	struct process *process = processes_note(visit->discover->processes, visit->pid,
						 clock_monotonic(), &is_new);

	if (!process)
		return NULL;
	memcpy(process->libc, visit->discover->mapped.libc, sizeof(process->libc));
	if (visit->mapped_at && !process->mapped_at)
		process->mapped_at = visit->mapped_at;
	return process;
}

static void visit_setter(struct visit *visit, struct process **process,
			 const struct procfs_mapping *mapping)
{
	struct discover *discover = visit->discover;
	struct process_file *file;
	struct library *library = known_library(discover, *process, mapping, &file);
	int code = 0;

	if (!library)
		library = learn(visit, mapping, &code);
	if (!library) {
		discover->missed += code == -ESRCH;
		if (code != -ESRCH && code != -ENOENT)
			visit->code = code;
		return;
	}
	if (library->state == LIBRARY_NOT_TORCH)
		return;
	if (library->state == LIBRARY_SKIPPED && library->again &&
	    clock_monotonic() - library->tried > TRY_AGAIN_NS)
		try_again(visit, library, mapping);
	if (!*process)
		*process = note(visit);
	if (!*process) {
		visit->code = -EAGAIN; /* or it has ended */
		return;
	}
	if (!file)
		file = process_add_file(*process, files_get(discover->files, library->id),
					mapping->start, mapping->inode);
	if (file && library->state != LIBRARY_ARMING)
		on_library(visit, *process, library, file, mapping);
}

/* Of which files a process maps too many, so that one of them may be a libtorch. Told once. */
static void report_cut(struct visit *visit, struct process *process)
{
	struct discover *discover = visit->discover;
	struct event event = {.type = EVENT_SKIPPED, .time = clock_monotonic()};

	if (!process)
		process = note(visit);
	if (!process || process->cut)
		return;
	process->cut = true;
	discover_describe_process(&event.process, process);
	str_format(event.torch.file, sizeof(event.torch.file), "/proc/%u/maps", visit->pid);
	str_format(event.attached.doubt, sizeof(event.attached.doubt),
		   "it maps more than %d files that have names like those of libtorch and Python; "
		   "the others are not looked at",
		   MAPPED_MAX);
	discover->handler(discover->context, &event);
}

/* The process that is known by this pid, if it is still the same. */
static struct process *known_process(struct discover *discover, uint32_t pid)
{
	struct process *process = processes_get(discover->processes, pid);
	uint64_t start_time;

	if (!process || process->ended || procfs_start_time((pid_t)pid, &start_time) ||
	    !procfs_same_start(process->start_time, start_time))
		return NULL;
	return process;
}

static bool has_setter(const struct mapped *mapped)
{
	for (unsigned int i = 0; i < mapped->count; i++)
		if (mapped->role[i] == FILE_SETTER)
			return true;
	return false;
}

int discover_process(struct discover *discover, uint32_t pid, uint64_t mapped_at)
{
	struct visit visit = {.discover = discover, .pid = pid, .mapped_at = mapped_at};
	struct mapped *mapped = &discover->mapped;
	struct process *process;
	int code;

	if (!discover->filter && !programs_is_watched(discover->programs, pid))
		return 0;
	code = mapped_read((pid_t)pid, mapped);
	if (code == -ESRCH && mapped_at)
		discover->missed++;
	if (code < 0)
		return code == -ESRCH ? 0 : code;
	process = known_process(discover, pid);
	if (discover->filter && !process && has_setter(mapped)) {
		bool chosen;

		code = choose_process(discover->filter, discover->programs, pid, &chosen);
		if (code || !chosen)
			return code == -ESRCH ? 0 : code;
	}
	if (process)
		process->refused = 0;
	if (process)
		mapped_release_others(mapped, discover->files, process, clock_monotonic());
	for (unsigned int i = 0; i < mapped->count; i++)
		if (mapped->role[i] == FILE_SETTER)
			visit_setter(&visit, &process, &mapped->mapping[i]);
	if (mapped->cut)
		report_cut(&visit, process);
	if (process)
		report_interpreter(&visit, process);
	if (process)
		forget_if_ended(discover, process);
	return visit.code;
}

bool discover_forked(struct discover *discover, const struct gw_fork_record *record)
{
	const struct process *process;
	int code = processes_fork(discover->processes, record, &process);

	if (code)
		return code != -ESRCH;
	model_process(discover->model, process->pid, process->start_time);
	return process->files && record->interpreter != GW_INHERITED_ENTRY;
}

struct armed {
	struct discover *discover;
	struct library *library;
	void (*again)(void *context, const struct process *process);
	void *context;
};

/* One that has ended meanwhile is reported here: there is nothing more to look at. */
static void on_waiting(void *context, struct process *process)
{
	struct armed *armed = context;

	if (!process->ended) {
		armed->again(armed->context, process);
		return;
	}
	for (unsigned int i = 0; i < process->files; i++)
		if (process->file[i].id == armed->library->id &&
		    process->file[i].reported == FILE_REPORTED_NOTHING)
			report(armed->discover, process, armed->library, &process->file[i]);
}

static void on_inspected(void *context, struct process *process)
{
	struct armed *armed = context;

	if (!process->ended)
		armed->again(armed->context, process);
}

bool discover_is_busy(const struct discover *discover, uint64_t time)
{
	return libraries_are_arming(discover->libraries, time) ||
	       inspections_are_busy(discover->inspections, time);
}

bool discover_armed(struct discover *discover,
		    void (*again)(void *context, const struct process *process), void *context)
{
	struct armed armed = {discover, NULL, again, context};
	struct inspection inspection;
	uint32_t file_id;
	bool any = inspections_next(discover->inspections, &file_id, &inspection);

	if (any) {
		roles_settle(discover->files, file_id, &inspection);
		processes_with_file(discover->processes, file_id, on_inspected, &armed);
	}
	armed.library = libraries_take(discover->libraries);
	if (armed.library && armed.library->state != LIBRARY_NOT_TORCH)
		processes_with_file(discover->processes, armed.library->id, on_waiting, &armed);
	return any || armed.library;
}
