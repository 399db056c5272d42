/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One segment of a log: a file that records are appended to, each by one write(2). What could not
 * be written whole is taken back, so a disk that is full leaves no torn line. The file is locked
 * while it is open: a reader can tell a segment that grows from one that was cut off.
 */
#ifndef GRADWATCH_LOG_SEGMENT_H
#define GRADWATCH_LOG_SEGMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "log/format.h"

struct segment {
	int fd;
	uint64_t size;    /* bytes of whole records */
	uint64_t records; /* header and closing record included */
	uint64_t first_seq;
	uint64_t types[LOG_TYPE_MAX + 1]; /* how many of each, the last: of others */
	bool torn;                        /* a part of a line could not be taken back */
	bool dirty;                       /* not yet on the disk */
};

/* Makes the file, mode 0600, in the folder; -EEXIST, ... */
int segment_create(struct segment *segment, int folder, const char *name, uint64_t first_seq);

/*
 * Appends the record whose text is line[0..length), "{...}" and a newline or not, with its number
 * and checksum. Negative errno: nothing was written.
 */
int segment_put(struct segment *segment, const char *line, size_t length, uint64_t seq);

/* The type of a line that begins as the format says; LOG_TYPE_MAX: none that is known. */
enum log_type segment_type(const char *line, size_t length);

/* Waits until what was written is on the disk. Negative errno. */
int segment_sync(struct segment *segment);

void segment_close(struct segment *segment);

#endif
