/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Metrics as a file for node_exporter's textfile collector: written beside it and then renamed, so
 * that a reader has a whole one. By a thread of its own, as a disk may not answer.
 */
#ifndef GRADWATCH_SERVE_TEXTFILE_H
#define GRADWATCH_SERVE_TEXTFILE_H

#include <stddef.h>

#include "base/err.h"

struct textfile;

/* -EINVAL: the collector reads only names that end with ".prom". path stays the caller's. */
int textfile_open(struct textfile **out, const char *path, struct err *err);

/* Takes the text, malloc'ed, over. What comes while the one before is being written is dropped. */
void textfile_put(struct textfile *textfile, char *text, size_t length);

/* The last error of writing since the last call, negative errno; 0: none. */
int textfile_error(struct textfile *textfile);

/* Removes the file: what it says is not true any more. NULL-safe. */
void textfile_close(struct textfile *textfile);

#endif
