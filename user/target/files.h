/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The registry of files: each file that a process has shown, once per role, known by the kernel's
 * inode (inodes.h). What is found out about a file hangs on its entry as `content`, and lives as
 * long as the entry.
 *
 * A file is held by the processes that map it (processes.h). One that nobody has held for
 * FILES_LINGER_NS is forgotten, with all that hangs on it; so a job that starts the same program
 * over and over does not have it probed again each time. Ids are never given twice.
 */
#ifndef GRADWATCH_TARGET_FILES_H
#define GRADWATCH_TARGET_FILES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/table.h"
#include "gradwatch/abi.h"
#include "target/inodes.h"

#define FILES_LINGER_NS 10000000000ull
#define FILES_PER_USER  (GW_MAX_FILES / 2) /* so that one user cannot use up what others need */

enum file_role {
	FILE_SETTER,  /* has the grad-mode setter, or is a candidate by its name */
	FILE_BINDING, /* has the setter's Python binding */
	FILE_PYTHON,  /* has a CPython */
	FILE_ROLE_MAX,
};

struct file_key {
	struct gw_inode inode;
	uint64_t role;
};

struct file {
	struct table_item by_id; /* the table's own, as the last three */
	uint32_t id;             /* from 1 */
	enum file_role role;
	struct gw_inode inode;
	char *path;          /* as first met */
	uint32_t uid;        /* whose process has shown it */
	unsigned int held;   /* by processes */
	uint64_t idle_since; /* ns, while it is not held */
	bool written;        /* since it was inspected: what the inode has now is another file */
	void *content;       /* what its role's owner knows of it; NULL: nothing yet */
	struct table_item by_key; /* unless it was written to */
	struct file_key key;
	int watch; /* of rewrites.h; negative: none */
};

struct files;

struct files_handler {
	/* Frees the content of a file that is forgotten. */
	void (*forget)(void *context, struct file *file);
	/* A file with content was written to. */
	void (*rewritten)(void *context, struct file *file);
	void *context;
};

/* NULL: out of memory. The inodes stay the caller's. */
struct files *files_new(struct inodes *inodes);
void files_free(struct files *files);

/* Who owns the contents of a role. */
void files_set_handler(struct files *files, enum file_role role,
		       const struct files_handler *handler);

/*
 * The entry of the file behind fd, made if there is none; content is NULL then. Negative errno in
 * *code and NULL: -ENOSPC: too many files, in all or of this user (counted: files_refused()).
 */
struct file *files_learn(struct files *files, enum file_role role, int fd, const char *path,
			 uint32_t uid, uint64_t now, int *code);

/* By id; NULL: there is none any more. */
struct file *files_get(const struct files *files, uint32_t id);

/* One process more, or less, maps a file. */
void files_hold(struct file *file);
void files_release(struct file *file, uint64_t now);

/* Forgets a file at once. */
void files_drop(struct files *files, struct file *file);

/* Forgets what has been idle for long. Returns how many. */
unsigned int files_expire(struct files *files, uint64_t now);

/* Calls visit for all files of a role. */
void files_each(const struct files *files, enum file_role role,
		void (*visit)(void *context, struct file *file), void *context);

unsigned int files_count(const struct files *files);
uint64_t files_refused(const struct files *files);

/* Readable when a file may have been written to; negative errno: that cannot be noticed. */
int files_rewrites_fd(const struct files *files);

/* Marks the files that were written to, and notifies the owners of their contents. */
void files_read_rewrites(struct files *files);

#endif
