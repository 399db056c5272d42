// SPDX-License-Identifier: GPL-2.0-or-later
#include "target/processes.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "target/procfs.h"

#define LOOKS_PER_TICK 4 /* at processes whose end may have been missed */

struct processes {
	struct files *files;
	processes_ended ended;
	void *context;
	struct table by_pid; /* in the order of arrival */
	uint32_t looked_at;  /* the pid after which the next look goes on */
	uint64_t refused;
	uint64_t refused_at; /* ns, the last time; 0: never */
};

struct processes *processes_new(struct files *files, processes_ended ended, void *context)
{
	struct processes *processes = calloc(1, sizeof(*processes));

	if (!processes)
		return NULL;
	processes->files = files;
	processes->ended = ended;
	processes->context = context;
	processes->by_pid.capacity = PROCESSES_MAX;
	return processes;
}

static void release(struct files *files, const struct process_file *held, uint64_t now)
{
	struct file *file = files_get(files, held->id);

	if (file)
		files_release(file, now);
}

/* All files of a process, and what hangs on them, are let go of. */
static void release_files(struct processes *processes, struct process *process, uint64_t now)
{
	for (unsigned int i = 0; i < process->files; i++)
		release(processes->files, &process->file[i], now);
}

/* Of one that is, or is not, in the registry. */
static void forget_names(struct process *process)
{
	free(process->exe);
	cgroup_names_release(process->cgroup);
}

static void drop(struct processes *processes, struct process *process, uint64_t now)
{
	if (!process->ended)
		release_files(processes, process, now);
	table_remove(&processes->by_pid, &process->item);
	forget_names(process);
	free(process);
}

void processes_free(struct processes *processes)
{
	if (!processes)
		return;
	while (processes->by_pid.oldest)
		drop(processes, (struct process *)processes->by_pid.oldest, 0);
	free(processes);
}

struct process *processes_get(const struct processes *processes, uint32_t pid)
{
	return (struct process *)table_find(&processes->by_pid, &pid, sizeof(pid));
}

/* Reads what /proc knows of a process; false when it is gone. */
static bool read_process(uint32_t pid, struct process *process)
{
	memset(process, 0, sizeof(*process));
	process->pid = pid;
	return !procfs_start_time((pid_t)pid, &process->start_time) &&
	       !procfs_identity((pid_t)pid, process->comm, &process->uid, &process->ns_pid);
}

static char *read_exe(uint32_t pid)
{
	char path[PATH_MAX];

	return procfs_exe((pid_t)pid, path, sizeof(path)) ? NULL : strdup(path);
}

/* Takes the process's strings. 0, -ENOSPC (counted) or -ENOMEM. */
static int add(struct processes *processes, const struct process *process, uint64_t now,
	       struct process **added)
{
	struct process *copy = malloc(sizeof(*copy));
	int code;

	if (!copy)
		return -ENOMEM;
	*copy = *process;
	code = table_add(&processes->by_pid, &copy->item, &copy->pid, sizeof(copy->pid));
	if (code) {
		free(copy);
		if (code != -ENOSPC)
			return code;
		processes->refused++;
		processes->refused_at = now;
		return code;
	}
	*added = copy;
	return 0;
}

static void read_names(struct process *process)
{
	process->exe = read_exe(process->pid);
	process->cgroup = cgroup_names_read((pid_t)process->pid);
}

/* exec may have changed what it is called, and it may have been moved to another group. */
static void refresh(struct process *known, const struct process *process)
{
	forget_names(known);
	read_names(known);
	memcpy(known->comm, process->comm, sizeof(known->comm));
	known->uid = process->uid;
	if (known->ended) { /* and is another program now */
		known->mapped_at = known->files = 0;
		known->cut = false;
	}
	known->ended = 0;
}

/* Its memory is gone. */
static void end(struct processes *processes, struct process *process, uint64_t now)
{
	if (process->ended)
		return;
	release_files(processes, process, now);
	process->ended = now;
}

/* An earlier process of a pid that is another's now. */
static void replace(struct processes *processes, struct process *known, bool missed, uint64_t now)
{
	bool lived = !known->ended;

	end(processes, known, now);
	if (lived)
		processes->ended(processes->context, known, missed);
	drop(processes, known, now);
}

struct process *processes_note(struct processes *processes, uint32_t pid, uint64_t now,
			       bool *is_new)
{
	struct process *known = processes_get(processes, pid);
	struct process process;

	*is_new = false;
	if (!read_process(pid, &process))
		return known;
	if (known && procfs_same_start(known->start_time, process.start_time)) {
		refresh(known, &process);
		return known;
	}
	*is_new = true;
	if (known)
		replace(processes, known, true, now);
	read_names(&process);
	if (!add(processes, &process, now, &known))
		return known;
	forget_names(&process);
	return NULL;
}

/* The parent as it was at the fork. What it has mapped since, its child has not. */
static struct process *find_parent(const struct processes *processes,
				   const struct gw_fork_record *record)
{
	struct process *parent = processes_get(processes, record->parent);

	if (!parent || parent->ended || parent->start_time > record->start_time ||
	    parent->mapped_at > record->header.time)
		return NULL;
	return parent;
}

/* What was reported of the parent's files is enough. */
static void hold_files(const struct processes *processes, struct process *process)
{
	for (unsigned int i = 0; i < process->files; i++) {
		struct file *file = files_get(processes->files, process->file[i].id);

		process->file[i].reported = FILE_REPORTED_ATTACHED;
		if (file)
			files_hold(file);
	}
}

int processes_fork(struct processes *processes, const struct gw_fork_record *record,
		   const struct process **child)
{
	const struct process *parent = find_parent(processes, record);
	struct process *known = processes_get(processes, record->pid), copy;
	int code;

	if (!parent)
		return -ESRCH;
	*child = known;
	if (known && procfs_same_start(known->start_time, record->start_time))
		return 0;
	if (known && known->start_time > record->start_time)
		return -ESRCH;
	if (known) /* what BPF knows of the pid is the child's by now */
		replace(processes, known, false, record->header.time);
	copy = *parent;
	copy.pid = record->pid;
	copy.ns_pid = record->ns_pid;
	copy.start_time = record->start_time - record->start_time % CLOCK_TICK_NS;
	copy.exe = parent->exe ? strdup(parent->exe) : NULL;
	copy.cgroup = cgroup_names_hold(parent->cgroup);
	copy.stackless = record->interpreter == GW_INHERITED_FULL;
	copy.traces = copy.changes = copy.findings = copy.last_event = 0;
	code = add(processes, &copy, record->header.time, &known);
	if (!code)
		hold_files(processes, known);
	else
		forget_names(&copy);
	*child = known;
	return code;
}

struct process *processes_find(const struct processes *processes, uint32_t pid, uint64_t start_time)
{
	struct process *known = processes_get(processes, pid);

	return known && procfs_same_start(known->start_time, start_time) ? known : NULL;
}

void processes_end(struct processes *processes, uint32_t pid, uint64_t start_time, bool exec,
		   uint64_t time)
{
	struct process *process = processes_find(processes, pid, start_time);

	if (!process)
		return;
	end(processes, process, time);
	if (!exec)
		processes->ended(processes->context, process, false);
}

static void look_at(struct processes *processes, struct process *process, uint64_t now)
{
	uint64_t start_time = process->start_time;
	pid_t tgid;
	int code = procfs_start_time((pid_t)process->pid, &start_time);

	/* A zombie has no memory. Another error, as of too many descriptors, says nothing. */
	if (code != -ESRCH && procfs_tgid((pid_t)process->pid, &tgid) != -ESRCH &&
	    (code || procfs_same_start(start_time, process->start_time)))
		return;
	end(processes, process, now);
	processes->ended(processes->context, process, true);
}

static struct process *next_of(const struct process *process)
{
	return (struct process *)process->item.next;
}

static void expire(struct processes *processes, uint64_t now)
{
	struct process *process = (struct process *)processes->by_pid.oldest, *next;

	for (; process; process = next) {
		next = next_of(process);
		if (process->ended && now - process->ended >= PROCESSES_LINGER_NS)
			drop(processes, process, now);
	}
}

void processes_tick(struct processes *processes, uint64_t now)
{
	struct process *process = processes_get(processes, processes->looked_at);

	process = process ? next_of(process) : (struct process *)processes->by_pid.oldest;
	for (int i = 0; i < LOOKS_PER_TICK && process; i++) {
		processes->looked_at = process->pid;
		if (!process->ended)
			look_at(processes, process, now);
		process = next_of(process);
	}
	if (!process)
		processes->looked_at = 0;
	expire(processes, now);
}

struct process_file *process_file_at(struct process *process, enum file_role role, uint64_t start,
				     uint64_t inode)
{
	for (unsigned int i = 0; !process->ended && i < process->files; i++)
		if (process->file[i].role == role && process->file[i].start == start &&
		    process->file[i].inode == inode)
			return &process->file[i];
	return NULL;
}

struct process_file *process_add_file(struct process *process, struct file *file, uint64_t start,
				      uint64_t inode)
{
	struct process_file *added;

	if (process->ended || process->files == PROCESS_FILES_MAX)
		return NULL;
	files_hold(file);
	added = &process->file[process->files++];
	*added = (struct process_file){
		.id = file->id, .role = (uint8_t)file->role, .start = start, .inode = inode};
	return added;
}

void process_forget_file(struct files *files, struct process *process, struct process_file *file,
			 uint64_t now)
{
	release(files, file, now);
	*file = process->file[--process->files];
}

void processes_with_file(const struct processes *processes, uint32_t file_id,
			 void (*visit)(void *context, struct process *process), void *context)
{
	struct process *process = (struct process *)processes->by_pid.oldest, *next;

	for (; process; process = next) {
		next = next_of(process);
		for (unsigned int i = 0; i < process->files; i++)
			if (process->file[i].id == file_id) {
				visit(context, process);
				break;
			}
	}
}

void processes_each(const struct processes *processes,
		    void (*visit)(void *context, const struct process *process), void *context)
{
	const struct process *process = (const struct process *)processes->by_pid.oldest;

	for (; process; process = next_of(process))
		visit(context, process);
}

unsigned int processes_count(const struct processes *processes)
{
	return (unsigned int)table_count(&processes->by_pid);
}

uint64_t processes_refused(const struct processes *processes)
{
	return processes->refused;
}

bool processes_are_refused(const struct processes *processes, uint64_t now)
{
	return processes->refused_at && now < processes->refused_at + PROCESSES_RETRY_NS;
}
