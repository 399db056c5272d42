/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is printed of logs that are read: damages, what is missing, how far it is. */
#ifndef GRADWATCH_CLI_DAMAGES_H
#define GRADWATCH_CLI_DAMAGES_H

#include <stdbool.h>
#include <stdio.h>

#include "log/logs.h"

#define DAMAGES_MAX 1000 /* printed of one file, the rest is counted */

/* What was printed of the file that is read. Zeros at first. */
struct damages_printed {
	char file[4096];
	uint64_t count, rest;
};

/* "FILE: byte 17: what is wrong (34 bytes)", a line. */
void damages_print(FILE *stream, const struct logs *logs, struct damages_printed *printed);

/* How many more there were, at the end. */
void damages_print_rest(FILE *stream, struct damages_printed *printed);

/*
 * A line for each run of which records are missing, or which does not come to its end. Returns how
 * many lines that are; stream NULL: none is written.
 */
size_t damages_print_missing(FILE *stream, const struct logs *logs);

/* How much is read, for people who wait: on a terminal only, not in the first second. */
struct progress {
	bool wanted;
	uint64_t next; /* ns */
};

void progress_begin(struct progress *progress);
void progress_step(struct progress *progress, const struct logs *logs);
void progress_end(struct progress *progress);

#endif
