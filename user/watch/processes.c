// SPDX-License-Identifier: GPL-2.0-or-later
#include "watch/processes.h"

#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "watch/procfs.h"

struct entry {
	uint32_t pid;
	struct event_process process;
	UT_hash_handle hh;
};

struct processes {
	struct entry *by_pid; /* in order of arrival, as uthash keeps it */
};

struct processes *processes_new(void)
{
	return calloc(1, sizeof(struct processes));
}

static void drop(struct processes *processes, struct entry *entry)
{
	HASH_DEL(processes->by_pid, entry);
	free(entry);
}

void processes_free(struct processes *processes)
{
	if (!processes)
		return;
	while (processes->by_pid)
		drop(processes, processes->by_pid);
	free(processes);
}

static struct entry *find(struct processes *processes, uint32_t pid)
{
	struct entry *entry;

	HASH_FIND(hh, processes->by_pid, &pid, sizeof(pid), entry);
	return entry;
}

/* Reads what /proc knows of a process; false when it is gone. */
static bool read_process(uint32_t pid, struct event_process *process)
{
	memset(process, 0, sizeof(*process));
	process->pid = process->tid = pid;
	if (procfs_start_time((pid_t)pid, &process->start_time) ||
	    procfs_identity((pid_t)pid, process->comm, &process->uid, &process->ns_pid))
		return false;
	process->ns_tid = process->ns_pid;
	if (procfs_exe((pid_t)pid, process->exe, sizeof(process->exe)))
		process->exe[0] = '\0';
	return true;
}

static struct entry *add(struct processes *processes, const struct event_process *process)
{
	struct entry *entry = calloc(1, sizeof(*entry));

	if (!entry)
		return NULL;
	if (HASH_COUNT(processes->by_pid) >= PROCESSES_MAX)
		drop(processes, processes->by_pid);
	entry->pid = process->pid;
	entry->process = *process;
	HASH_ADD(hh, processes->by_pid, pid, sizeof(entry->pid), entry);
	return entry;
}

const struct event_process *processes_note(struct processes *processes, uint32_t pid, bool *is_new)
{
	struct entry *entry = find(processes, pid);
	struct event_process process;

	*is_new = false;
	if (!read_process(pid, &process))
		return entry ? &entry->process : NULL;
	if (entry && procfs_same_start(entry->process.start_time, process.start_time)) {
		entry->process = process; /* exec may have changed its program */
		return &entry->process;
	}
	if (entry)
		drop(processes, entry);
	*is_new = true;
	entry = add(processes, &process);
	return entry ? &entry->process : NULL;
}

const struct event_process *processes_fork(struct processes *processes, uint32_t parent,
					   uint32_t child)
{
	struct entry *from = find(processes, parent);
	bool is_new;

	return from ? processes_note(processes, child, &is_new) : NULL;
}

const struct event_process *processes_find(struct processes *processes, uint32_t pid,
					   uint64_t start_time)
{
	struct entry *entry = find(processes, pid);

	if (!entry || !procfs_same_start(entry->process.start_time, start_time))
		return NULL;
	return &entry->process;
}
