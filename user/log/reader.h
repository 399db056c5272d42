/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reads one file of records: a segment of a log, or what --json has written. Each whole record is
 * given, and each damage with its place. Nothing is skipped silently.
 *
 * In a segment each record has a checksum, and a line without one is damaged. A file that does not
 * begin with a header record has none; there only what is no record is damage.
 */
#ifndef GRADWATCH_LOG_READER_H
#define GRADWATCH_LOG_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "log/parse.h"

enum reader_item {
	READER_RECORD, /* reader_record() */
	READER_DAMAGE, /* reader_damage() */
	READER_END,    /* reader_state() is final */
};

struct reader_damage {
	const char *what;
	uint64_t offset;
	uint64_t length; /* of what is damaged, 0: not known */
	bool in_text;    /* offset is that of the uncompressed text, not of the file */
};

struct reader_state {
	uint64_t bytes;   /* of text */
	uint64_t records; /* that are whole */
	uint64_t damages;
	uint64_t newer;   /* records of a newer schema */
	uint64_t unknown; /* records of a type that is not known */
	bool checked;     /* the records have checksums */
	bool live;        /* it was being written when its end was read */
	bool closed;      /* its last record is a closing one */
};

struct reader;

/* NULL when out of memory; free is NULL-safe, and closes the file. */
struct reader *reader_new(void);
void reader_free(struct reader *reader);

/*
 * Begins to read an open descriptor, which stays the caller's, as the name. name: its end says how
 * it is compressed, or else its first bytes do. -ENOMEM. A reader reads one file after the other:
 * what is in its caches stays there.
 */
int reader_open(struct reader *reader, int fd, const char *name);
void reader_close(struct reader *reader);

/*
 * From now on records that have a stack come without it (record.head), and of the stack only the
 * checksum is looked at. That is of use only in a segment: where there are no checksums all is
 * parsed.
 */
void reader_set_fast(struct reader *reader);

enum reader_item reader_next(struct reader *reader);

/*
 * The last item's record with its stack, where it came without. False: it is no record, though its
 * checksum is right, and counts as reader_damage() now.
 */
bool reader_complete(struct reader *reader);

/* The last item's; good until the next call of reader_next(). */
const struct record *reader_record(const struct reader *reader);
const char *reader_line(const struct reader *reader, size_t *length); /* of the record */
const struct reader_damage *reader_damage(const struct reader *reader);

const struct reader_state *reader_state(const struct reader *reader);

#endif
