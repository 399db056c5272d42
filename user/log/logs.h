/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reads logs: files and folders of segments, of one or many runs and machines, in order. A record
 * that is there twice (a segment and its copy, a plain one and its compressed form) is given once.
 */
#ifndef GRADWATCH_LOG_LOGS_H
#define GRADWATCH_LOG_LOGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "log/numbers.h"
#include "log/parse.h"
#include "log/reader.h"

#define RUN_TIME_SIZE 40

/* One run of gradwatch, or a file of --json. */
struct run {
	size_t index;  /* of the run: 0, 1, ... */
	char key[300]; /* what its records are known by (private) */
	char id[17];   /* "": not known */
	char host[256], boot_id[64], kernel[128], gradwatch[64], level[16];
	char first[RUN_TIME_SIZE], last[RUN_TIME_SIZE]; /* times of records; "": none */
	struct numbers seen;                            /* numbers of records */
	struct numbers gaps;                            /* of those that could not be written */
	uint64_t gap_records;                           /* how many these are */
	uint64_t removed;                               /* segments, by --log-rotate keep */
	bool ended;                                     /* its last segment is closed */
	bool live;                                      /* it goes on */
	bool cut;     /* its last file ends without a closing record: a damage of it */
	bool checked; /* its records have numbers and checksums */
};

enum logs_item {
	LOGS_RECORD, /* logs_record(), of logs_run() */
	LOGS_DAMAGE, /* logs_damage(), in logs_file() */
	LOGS_FILE,   /* a file is done: logs_state(), of logs_file() */
	LOGS_END,
};

struct logs_state {
	uint64_t files, bytes, records, damages, newer, unknown, duplicates;
	uint64_t files_bytes; /* of all files, 0: not known (a pipe) */
	uint64_t read_bytes;  /* of these, done */
	bool no_memory;       /* which records there are was not noted for all */
};

struct logs;

/* NULL when out of memory. free is NULL-safe. */
struct logs *logs_new(void);
void logs_free(struct logs *logs);

/*
 * Adds a file, all segments of a folder and of those in it, or "-": standard input. -ENOENT: there
 * is none in the folder; or -errno.
 */
int logs_add(struct logs *logs, const char *path);

/* As reader_set_fast(), of all files. */
void logs_set_fast(struct logs *logs);

enum logs_item logs_next(struct logs *logs);

/* As reader_complete(). False: the record is one no more, but logs_damage(). */
bool logs_complete(struct logs *logs);

const struct record *logs_record(const struct logs *logs);
const char *logs_line(const struct logs *logs, size_t *length); /* of the record */
const struct reader_damage *logs_damage(const struct logs *logs);
const char *logs_file(const struct logs *logs);
struct run *logs_run(const struct logs *logs);
const struct logs_state *logs_state(const struct logs *logs);

size_t logs_runs(const struct logs *logs);
const struct run *logs_run_at(const struct logs *logs, size_t index);

/*
 * The numbers of records that are missing of a run, and are not in a gap record, into a
 * set of zeros; a run that does not begin with 0 lacks what is before. -ENOMEM.
 */
int run_missing(const struct run *run, struct numbers *missing);

/* The text of a string value in a buffer, cut where it does not fit; "" for others. */
void value_copy(const struct value *value, char *out, size_t size);

#endif
