/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A line of a log as a record: every byte of it is looked at, and what is known is found by field.
 * The work is simdjson's; this is the border to C. The line is of unknown make: nesting, length and
 * number of keys are bounded.
 */
#ifndef GRADWATCH_LOG_PARSE_H
#define GRADWATCH_LOG_PARSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "log/format.h"

#ifdef __cplusplus
extern "C" {
#endif

#define PARSE_PADDING  64   /* readable bytes behind a line */
#define PARSE_KEYS_MAX 1000 /* of an object */
#define PARSE_DEPTH    32

enum value_kind {
	VALUE_ABSENT,
	VALUE_NULL,
	VALUE_BOOL,     /* number: 0 or 1 */
	VALUE_NUMBER,   /* a whole one, not negative */
	VALUE_NEGATIVE, /* number: as a signed one */
	VALUE_REAL,
	VALUE_STRING, /* text[0..length), UTF-8; NUL behind it, and there may be some in it */
	VALUE_ARRAY,
	VALUE_OBJECT,
};

struct value {
	enum value_kind kind;
	size_t length;
	union {
		uint64_t number;
		const char *text;
	};
	uint64_t inside[2]; /* parse.cc's, of an array or object */
};

#define PARSE_FIELD_WORDS ((FIELD_MAX + 63) / 64)

/* Good until the parser's next line. */
struct record {
	enum log_type type;
	struct value field[FIELD_MAX];
	bool newer; /* of a schema that this version does not know all of */
	bool head;  /* only what is before its stack (log/head.h) */
	uint64_t present[PARSE_FIELD_WORDS]; /* parse.cc's: which fields are not zeros */
};

struct parser;

/* NULL when out of memory. */
struct parser *parser_new(void);
void parser_free(struct parser *parser);

/*
 * The record of line[0..length). NULL, or what is wrong with it: it is no record. A key that is
 * there twice is wrong: readers would differ in which one they take. *record is of the line before,
 * or zeros.
 */
const char *parser_parse(struct parser *parser, const char *line, size_t length,
			 struct record *record);

/* Puts a field into a record that has none. */
void record_set(struct record *record, enum log_field field, const struct value *value);

/* The value of a key in an object; false: it has none, or is no object. */
bool value_get(const struct value *object, const char *key, struct value *value);

/* The first elements of an array, as many as there is room for; how many: 0 if it is no array. */
size_t value_list(const struct value *array, struct value *values, size_t room);

#ifdef __cplusplus
}
#endif

#endif
