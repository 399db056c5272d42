/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What kind of trace a finding was in, by the names that people give and read. */
#ifndef GRADWATCH_MODEL_KINDS_H
#define GRADWATCH_MODEL_KINDS_H

#include <stddef.h>

enum trace_kind {
	TRACE_KIND_UNKNOWN,
	TRACE_KIND_EXPORT,
	TRACE_KIND_DECOMPOSE,
	TRACE_KIND_MAKE_FX,
	TRACE_KIND_COMPILE,
	TRACE_KIND_PRE_DISPATCH,
	TRACE_KIND_OTHER,
	TRACE_KIND_MAX,
};

/* A set of kinds: bit 1 << kind. */
#define KINDS_ALL       ((1u << TRACE_KIND_MAX) - 1)
#define KINDS_TEXT_SIZE 128 /* fits the names of all kinds */

/* "make_fx"; NULL for a number that is no kind. */
const char *kind_name(enum trace_kind kind);

/* The kind of that name; -ENOENT for none. */
int kind_from_name(const char *name);

/*
 * Parses names joined by commas ("export,make_fx"), of which "all" stands for every kind, into a
 * set that is never empty. -EINVAL when a word is no kind: it is copied to word[0..size), cut where
 * that is too short, as the raw bytes of list. It is "" for an empty word.
 */
int kinds_parse(const char *list, unsigned int *set, char *word, size_t size);

/* Writes the names of all kinds, for messages and help: "export, make_fx, ..., unknown". */
void kinds_text(char out[KINDS_TEXT_SIZE]);

#endif
