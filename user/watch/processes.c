// SPDX-License-Identifier: GPL-2.0-or-later
#include "watch/processes.h"

#include <json-c/linkhash.h>
#include <stdlib.h>
#include <string.h>

#include "watch/procfs.h"

/* json-c's table keeps the order of arrival: its head is the oldest. */
struct processes {
	struct lh_table *by_pid; /* (void *)pid -> struct event_process, owned */
};

static void free_value(struct lh_entry *entry)
{
	free(lh_entry_v(entry));
}

struct processes *processes_new(void)
{
	struct processes *processes = calloc(1, sizeof(*processes));

	if (!processes)
		return NULL;
	processes->by_pid = lh_kptr_table_new(64, free_value);
	if (!processes->by_pid) {
		free(processes);
		return NULL;
	}
	return processes;
}

void processes_free(struct processes *processes)
{
	if (!processes)
		return;
	lh_table_free(processes->by_pid);
	free(processes);
}

static void *key_of(uint32_t pid)
{
	return (void *)(uintptr_t)pid;
}

static struct event_process *find(const struct processes *processes, uint32_t pid)
{
	struct lh_entry *entry = lh_table_lookup_entry(processes->by_pid, key_of(pid));

	return entry ? (struct event_process *)(uintptr_t)lh_entry_v(entry) : NULL;
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

static struct event_process *add(struct processes *processes, const struct event_process *process)
{
	struct event_process *copy = malloc(sizeof(*copy));

	if (!copy)
		return NULL;
	*copy = *process;
	lh_table_delete(processes->by_pid,
			key_of(process->pid)); /* an earlier one of that number */
	if (lh_table_length(processes->by_pid) >= PROCESSES_MAX)
		lh_table_delete_entry(processes->by_pid, processes->by_pid->head);
	if (lh_table_insert(processes->by_pid, key_of(process->pid), copy)) {
		free(copy);
		return NULL;
	}
	return copy;
}

const struct event_process *processes_note(struct processes *processes, uint32_t pid, bool *is_new)
{
	struct event_process *known = find(processes, pid);
	struct event_process process;

	*is_new = false;
	if (!read_process(pid, &process))
		return known;
	if (known && procfs_same_start(known->start_time, process.start_time)) {
		*known = process; /* exec may have changed its program */
		return known;
	}
	*is_new = true;
	return add(processes, &process);
}

const struct event_process *processes_fork(struct processes *processes, uint32_t parent,
					   uint32_t child)
{
	bool is_new;

	return find(processes, parent) ? processes_note(processes, child, &is_new) : NULL;
}

const struct event_process *processes_find(struct processes *processes, uint32_t pid,
					   uint64_t start_time)
{
	const struct event_process *known = find(processes, pid);

	if (!known || !procfs_same_start(known->start_time, start_time))
		return NULL;
	return known;
}
