/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What /proc shows of a process. A pid is only a number: callers that keep one keep its start time
 * with it. All functions return 0 or a negative errno (-ESRCH: no such process, or it just ended).
 */
#ifndef GRADWATCH_TARGET_PROCFS_H
#define GRADWATCH_TARGET_PROCFS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

/* An executable mapping of a file. */
struct procfs_mapping {
	uint64_t start, end;
	uint64_t offset; /* of the file */
	uint64_t inode;
	uint32_t major, minor; /* of the inode's file system, as the kernel shows it here */
	char path[4096];       /* as the process's root sees it, without what the kernel adds */
};

/* Opens a file of /proc/PID. */
int procfs_open(pid_t pid, const char *name, int flags);

/* A thread that has not ended, whose id stands for the process where the first one has ended. */
pid_t procfs_living_thread(pid_t pid);

/* Time the process started, ns since boot, in steps of the kernel's clock tick. */
int procfs_start_time(pid_t pid, uint64_t *ns);

/* Whether two start times, one exact and one in clock ticks, are the same. */
bool procfs_same_start(uint64_t a, uint64_t b);

int procfs_parent(pid_t pid, pid_t *parent);

/* The process that a process or thread id belongs to. -ESRCH for one that only waits to be reaped.
 */
int procfs_tgid(pid_t pid, pid_t *tgid);

/* Thread name and user id; innermost pid namespace's id. */
int procfs_identity(pid_t pid, char comm[17], uint32_t *uid, uint32_t *ns_pid);

/* The state of a thread, as /proc/TID/stat has it: R, S, D, T (stopped), t (traced), Z, ... */
int procfs_state(pid_t tid, char *state);

/* What becomes of signals: bit n - 1 is signal n. Of the thread whose id it is. */
struct procfs_signals {
	uint64_t pending; /* sent to the process, not to this thread alone */
	uint64_t blocked, ignored, caught;
	pid_t tracer; /* 0: none */
	bool is_init; /* of its pid namespace: signals with the default action do nothing */
};

int procfs_signals(pid_t tid, struct procfs_signals *signals);

/* Whose process it is: its effective user; root where others may not look into it. */
int procfs_owner(pid_t pid, uint32_t *uid);

/* The program file. */
int procfs_exe(pid_t pid, char *path, size_t size);

/*
 * Calls visit for each executable file mapping whose file name makes it a candidate for the
 * library with the grad-mode setter, until it returns non-zero, which is passed on. That is
 * libc10.so in every PyTorch from 1.13 to 2.14, whatever auditwheel or a distribution adds to the
 * name; its siblings have up to 2 GB and need not be read to know that it is not in them.
 */
int procfs_candidates(pid_t pid, int (*visit)(void *context, const struct procfs_mapping *mapping),
		      void *context);

/*
 * The same for the executable file mappings that are wanted. wanted is asked with the path as the
 * kernel writes it: a newline is "\\012", and " (deleted)" may follow. What the path itself is
 * takes system calls to find out, so it is only done for these.
 */
int procfs_executables(pid_t pid, bool (*wanted)(const void *context, const char *path),
		       int (*visit)(void *context, const struct procfs_mapping *mapping),
		       void *context);

/* Where a process has a byte of a file; false: this mapping does not hold it. */
bool procfs_mapped_at(const struct procfs_mapping *mapping, uint64_t file_offset,
		      uint64_t *address);

/* Whether a path's file name makes it a candidate, or that of its Python binding. */
bool procfs_is_candidate(const char *path);
bool procfs_is_binding(const char *path);

/*
 * Opens the very file that is mapped, read-only: through map_files, which works for deleted and
 * replaced files and in any namespace; where that is not allowed, by path inside the process's
 * root. Returns a descriptor. -ENOENT: there is no such mapping any more, -ESRCH: no such process,
 * -ESTALE: another file has that path, -EBUSY: somebody has a lease on it, -EAGAIN: it is being
 * split or moved.
 */
int procfs_open_mapping(pid_t pid, const struct procfs_mapping *mapping);

/* The start of a file, mapped into this process. */
struct procfs_start {
	void *address;
	size_t size; /* what is mapped: one page, a huge one where the file has these */
};

/* 0 or negative errno. */
int procfs_map_start(int fd, struct procfs_start *start);
void procfs_unmap_start(const struct procfs_start *start);

/* Opens a path as the process sees it, never leaving its root. Returns a descriptor. */
int procfs_open_in_root(pid_t pid, const char *path);

/* Reads memory of the process without stopping it. -EFAULT when it is not there. */
int procfs_read_memory(pid_t pid, uint64_t address, void *out, size_t size);

/* Calls visit for every process of the host. */
int procfs_each_process(void (*visit)(void *context, pid_t pid), void *context);

#endif
