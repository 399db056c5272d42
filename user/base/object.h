/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An object of JSON that is being made (Jansson), which remembers that something could not be put
 * into it: so memory need not be checked at each key, but once at the end.
 */
#ifndef GRADWATCH_BASE_OBJECT_H
#define GRADWATCH_BASE_OBJECT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define OBJECT_STRING_MAX 4096 /* bytes of a string that are put; the rest is left out */

struct object {
	json_t *json;
	bool failed;
};

struct object object_new(void);

/* Takes the value over; NULL, which is what Jansson's constructors give without memory, fails. */
void object_put(struct object *object, const char *key, json_t *value);

/* Jansson's integers are signed: larger numbers, to which nothing here counts, become 2^63 - 1. */
void object_number(struct object *object, const char *key, uint64_t number);
void object_bool(struct object *object, const char *key, bool value);

/* Bytes that are no UTF-8 become U+FFFD. NULL and "" are null. */
void object_string(struct object *object, const char *key, const char *string);

/* Takes an object that is complete over, and its failure. */
void object_add(struct object *object, const char *key, struct object *inner);

/* The text with a final newline, malloc'ed, *length without the NUL; the object is freed. NULL:
 * something failed. */
char *object_text(struct object *object, size_t *length);

#endif
