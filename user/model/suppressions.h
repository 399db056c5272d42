/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Known findings that somebody has accepted, read from a text file (README, "Accepting known
 * findings"). One suppression per line, four fields between blanks:
 *
 *	NAME  KIND[,KIND...]  FILE-PATTERN  QUALIFIED-NAME-PATTERN
 *
 * KIND is a name of model/kinds.h, "all" or "*". Patterns are globs (* ? [...]) for the whole
 * string; "*" also matches "/", and no character escapes another: to match "*" itself it is
 * written "[*]". A field in double quotes may hold blanks, \", \\ and \xNN. "#" at the start of a
 * field begins a comment.
 *
 * Pure, but for suppressions_load. Globs go by bytes as long as nobody calls setlocale(3).
 */
#ifndef GRADWATCH_MODEL_SUPPRESSIONS_H
#define GRADWATCH_MODEL_SUPPRESSIONS_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/err.h"
#include "model/kinds.h"

#define SUPPRESSIONS_MAX_SIZE        (1u << 20) /* bytes in a file */
#define SUPPRESSIONS_MAX_LINES       4096       /* in a file, comments included */
#define SUPPRESSIONS_MAX_LINE_LENGTH 4096       /* bytes, without the line feed */

struct suppressions;

/*
 * The suppressions of text[0..size), which may be none. NULL on error: -EINVAL for a line that is
 * wrong, with its number, column and field in the error's text; -EFBIG; -ENOMEM.
 */
struct suppressions *suppressions_parse(const char *text, size_t size, struct err *err);
/* The same of a file or pipe, whose name comes first in the error's text; or its -errno. */
struct suppressions *suppressions_load(const char *path, struct err *err);
/* The text that they were made of. */
const char *suppressions_text(const struct suppressions *suppressions, size_t *size);
/* NULL-safe. */
void suppressions_free(struct suppressions *suppressions);

/*
 * The first suppression that accepts a finding, as an index for the functions below; -1 when none
 * does. What is not known about a finding is "": "*" and "" match that.
 */
int suppressions_match(const struct suppressions *suppressions, enum trace_kind kind,
		       const char *file, const char *qualname);

/* n more findings were accepted by this one; nothing happens for -1. */
void suppressions_count(struct suppressions *suppressions, int index, uint64_t n);

/* Its name and its line, for messages. The name is raw bytes, ended by NUL, never "". */
const char *suppressions_name_of(const struct suppressions *suppressions, int index);
unsigned int suppressions_line_of(const struct suppressions *suppressions, int index);

/* The different names, in the order of the file; lines with the same name count together. */
size_t suppressions_names(const struct suppressions *suppressions);
const char *suppressions_name(const struct suppressions *suppressions, size_t i, uint64_t *count);

/* The number of the next line after `line` that has accepted nothing; begin with 0, ends with 0. */
unsigned int suppressions_next_unused(const struct suppressions *suppressions, unsigned int line);

/*
 * Writes the line that accepts this finding and no finding with another kind, file or qualified
 * name, whatever bytes these are made of. Nothing is written on error: -EINVAL for an empty name or
 * no kind, -EMSGSIZE when the line would be too long to be read; or what the stream says.
 */
int suppressions_write_line(FILE *stream, const char *name, enum trace_kind kind, const char *file,
			    const char *qualname);

#endif
