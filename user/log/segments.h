/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A log: a folder of segments, of which one is written (format: log/format.h).
 *
 * A run of gradwatch numbers its records. A segment begins with a "header" record, which says where
 * and when, and ends with a "close" record, which says how many records of which type it has. What
 * could not be written (a full disk) is counted; as soon as something can be written again, a "gap"
 * record says what is missing. A closed segment is compressed. Without its closing record a segment
 * was cut off: gradwatch was killed, or the end of the file is lost.
 *
 * One thread at a time may use it.
 */
#ifndef GRADWATCH_LOG_SEGMENTS_H
#define GRADWATCH_LOG_SEGMENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "log/identity.h"

/* When what was written has to be on the disk. */
enum segments_sync {
	SEGMENTS_SYNC_INTERVAL, /* a second later */
	SEGMENTS_SYNC_NONE,     /* when the kernel likes */
	SEGMENTS_SYNC_EACH,     /* before the next record */
};

struct segments_config {
	const char *path;                    /* of the folder */
	uid_t owner;                         /* who may own it besides our own user */
	const struct log_identity *identity; /* is copied */
	const char *level;                   /* for the header: what is logged */
	enum segments_sync sync;
	uint64_t max_bytes, max_records, max_age_ns; /* of a segment, 0: no limit */
	uint64_t keep;                               /* closed segments in the folder, 0: all */
	bool plain;                                  /* closed segments are not compressed */
};

struct segments;

/*
 * Opens the folder and takes its lock. All that is done later goes by the folder's descriptor. The
 * path must live until the log is started; other strings are copied. NULL with *err.
 */
struct segments *segments_open(const struct segments_config *config, struct err *err);

/*
 * Whether to make files in the folder later takes CAP_DAC_OVERRIDE: it belongs to another user, or
 * its owner may not write there.
 */
bool segments_need_override(const struct segments *segments);

/*
 * Makes the first segment, and a thread that compresses. What an earlier run has left is finished:
 * its segments are compressed, and half-made files removed. Negative errno with *err.
 */
int segments_start(struct segments *segments, struct err *err);

/* Appends a record: an object of JSON, with or without a newline. Negative errno: it is lost. */
int segments_put(struct segments *segments, const char *line, size_t length);

/* Does what time asks for; to be called once a second when there is nothing to write. */
void segments_idle(struct segments *segments);

/* Begins a new segment, if there is anything in this one. */
void segments_rotate(struct segments *segments);

/*
 * Closes the last segment, if it was started, and waits for compression. NULL-safe. Negative errno:
 * something could not be written or compressed, *what says which.
 */
int segments_close(struct segments *segments, const char **what);

#endif
