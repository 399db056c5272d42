/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The folder of a log: who may write to it, its lock, and the names of segments in it.
 *
 * gradwatch runs as root, and the folder may be where others can write: its name is not followed if
 * it is a symbolic link, and it must belong to root or to the one who called sudo, and be writable
 * by nobody else. So what is in it is ours.
 */
#ifndef GRADWATCH_LOG_FOLDER_H
#define GRADWATCH_LOG_FOLDER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/err.h"

#define FOLDER_PLAIN     ".jsonl"
#define FOLDER_ZSTD      ".jsonl.zst"
#define FOLDER_GZIP      ".jsonl.gz" /* read only */
#define FOLDER_UNDER_WAY ".tmp"      /* behind FOLDER_ZSTD, until it is whole */
#define FOLDER_LOCK      "lock"
#define FOLDER_NAME_SIZE 256

/*
 * Opens the folder and makes it (mode 0700) if it is not there; owner: who may own it besides our
 * own user. Takes its lock, *lock, which is ours until it is closed: one writer at a time. Returns
 * the folder's descriptor or negative errno; -EWOULDBLOCK: another one writes, *err says who.
 */
int folder_open(const char *path, uid_t owner, int *lock, struct err *err);

/* Whether somebody else has a lock on an open file: a segment that is written. */
bool folder_is_written(int fd);

/* Whether a file of this name is a segment, compressed or not. */
bool folder_is_segment(const char *name);

/*
 * The names of the folder's files that end with this, sorted, malloc'ed, ended by NULL; NULL when
 * out of memory or not readable (errno). One folder_free_names() for all.
 */
char **folder_names(int folder, const char *end);
void folder_free_names(char **names);

/* Whether a name ends with this. */
bool folder_ends_with(const char *name, const char *end);

#endif
