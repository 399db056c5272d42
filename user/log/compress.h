/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Closed segments are compressed by a thread of low priority: NAME becomes NAME.zst, which is made
 * beside it under a temporary name. At each moment one of the two is whole. A zstd frame holds
 * whole lines and has a checksum, so of a file that is cut all frames before the cut are readable.
 */
#ifndef GRADWATCH_LOG_COMPRESS_H
#define GRADWATCH_LOG_COMPRESS_H

#include <stddef.h>

#define COMPRESS_FRAME (512u << 10) /* bytes of lines in a frame, if no line is longer */

struct compress;

/* The folder stays the caller's. NULL: out of memory, or no thread can be made. */
struct compress *compress_new(int folder);

/* Queues a segment. -ENOMEM: it stays as it is. */
int compress_put(struct compress *compress, const char *name);

/* Waits until all are done. NULL-safe. The error of the last one that stays plain, or 0. */
int compress_free(struct compress *compress);

/* Compresses a file of the folder, now. Negative errno: it stays as it is. */
int compress_file(int folder, const char *name);

#endif
