/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The registry of processes that have mapped libtorch: who they are (read from /proc while they
 * live, as a finding may be reported when they are gone), which files they map and where, and their
 * Python. A process is its pid and start time.
 *
 * A process holds the files that it maps (files.h). When it has ended, or has replaced its program,
 * it lets go of them at once; what it was called is kept for PROCESSES_LINGER_NS, for the traces
 * that are reported late.
 */
#ifndef GRADWATCH_TARGET_PROCESSES_H
#define GRADWATCH_TARGET_PROCESSES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/table.h"
#include "gradwatch/abi.h"
#include "target/cgroup.h"
#include "target/files.h"

#define PROCESSES_MAX       16384
#define PROCESSES_LINGER_NS 5000000000ull
#define PROCESSES_RETRY_NS  40000000000ull /* one that was refused is noted again within it */
#define PROCESS_FILES_MAX   16             /* of a process, all roles */
#define PROCESS_LIBC_MAX    64

/* What an event has said of a file. */
enum process_file_reported { FILE_REPORTED_NOTHING, FILE_REPORTED_SKIPPED, FILE_REPORTED_ATTACHED };

/* A file that a process maps. */
struct process_file {
	uint32_t id;    /* in the registry of files */
	uint64_t start; /* of its executable mapping, and the inode that /proc shows there */
	uint64_t inode;
	uint64_t bias;    /* added to link-time addresses */
	bool unplaced;    /* FILE_SETTER: the process's memory does not have its probes */
	uint8_t reported; /* FILE_SETTER: enum process_file_reported */
	uint8_t role;     /* enum file_role */
};

struct process {
	struct table_item item; /* the table's own */
	uint32_t pid;
	uint64_t start_time; /* ns since boot, in the kernel's clock ticks */
	uint32_t uid;
	uint32_t ns_pid; /* in the innermost pid namespace */
	char comm[GW_COMM_LEN + 1];
	char *exe;                   /* path of its program, NULL: could not be read */
	struct cgroup_names *cgroup; /* NULL: could not be read */
	char libc[PROCESS_LIBC_MAX]; /* a C library that is not glibc, "": glibc only */

	struct process_file file[PROCESS_FILES_MAX];
	unsigned int files;
	uint64_t mapped_at; /* ns, when it mapped libtorch; 0: before it was watched */
	uint64_t ended;     /* ns, 0: it lives */
	bool cut;           /* it was reported that not all of its files are looked at */
	bool stackless;     /* counted: it did not fit into BPF's map of interpreters */
	bool unenforced;    /* counted: the same of enforced ones */
	int refused;        /* why it could not be looked at, negative errno; 0: it could */
	/* Since it was noted: traces begun, changes, different findings; and the last of these. */
	uint64_t traces, changes, findings;
	uint64_t last_event; /* ns, 0: there was none */
};

struct processes;

/* Called for each process that has ended. missed: BPF did not report it, or that was lost. */
typedef void (*processes_ended)(void *context, const struct process *process, bool missed);

/* NULL: out of memory. The files stay the caller's. */
struct processes *processes_new(struct files *files, processes_ended ended, void *context);
void processes_free(struct processes *processes);

/*
 * The process that has this pid now: read from /proc, and added when it was not known (*is_new).
 * NULL when it is gone, memory is short, or there are too many (counted: processes_refused()).
 */
struct process *processes_note(struct processes *processes, uint32_t pid, uint64_t now,
			       bool *is_new);

/* The one that is known by this pid, alive or ended; NULL: none. */
struct process *processes_get(const struct processes *processes, uint32_t pid);

/* The same by start time too, in ticks or exact. */
struct process *processes_find(const struct processes *processes, uint32_t pid,
			       uint64_t start_time);

/*
 * A child was forked: it has what its parent has, so it is known if the parent is, also when it has
 * ended since. 0; -ESRCH: the parent is not known, or another process has its pid by now; -ENOMEM;
 * -ENOSPC: there are too many (counted).
 */
int processes_fork(struct processes *processes, const struct gw_fork_record *record,
		   const struct process **child);

/*
 * A process's memory is gone since `time`: it has ended, or (exec) has replaced its program. One
 * that has replaced it is to be looked at again: what it maps now may have been found already.
 */
void processes_end(struct processes *processes, uint32_t pid, uint64_t start_time, bool exec,
		   uint64_t time);

/*
 * Forgets those that have ended some time ago, and looks at a few others, in turn, whether they
 * still live: that they have ended may have been missed.
 */
void processes_tick(struct processes *processes, uint64_t now);

/* The file of a role that a process has at a mapping, if it is known; NULL: not yet. */
struct process_file *process_file_at(struct process *process, enum file_role role, uint64_t start,
				     uint64_t inode);

/* The process maps a file, and holds it. NULL: it has ended, or has too many, and does not. */
struct process_file *process_add_file(struct process *process, struct file *file, uint64_t start,
				      uint64_t inode);

/* The process maps a file no more, and lets go of it. `file` is one of the process's. */
void process_forget_file(struct files *files, struct process *process, struct process_file *file,
			 uint64_t now);

/* Calls visit for each process that maps a file, also for those that have ended just now. */
void processes_with_file(const struct processes *processes, uint32_t file_id,
			 void (*visit)(void *context, struct process *process), void *context);

/* Calls visit for each process, in the order of arrival, also for those that have ended just now.
 */
void processes_each(const struct processes *processes,
		    void (*visit)(void *context, const struct process *process), void *context);

unsigned int processes_count(const struct processes *processes);

/* How often one did not fit. */
uint64_t processes_refused(const struct processes *processes);

/* Whether there may be processes that did not fit. */
bool processes_are_refused(const struct processes *processes, uint64_t now);

#endif
