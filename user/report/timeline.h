/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One trace as a time line: what happened in it, in order, with the stack of each. */
#ifndef GRADWATCH_REPORT_TIMELINE_H
#define GRADWATCH_REPORT_TIMELINE_H

#include <stdio.h>

#include "log/logs.h"

#define TIMELINE_MAX 100000 /* entries that are kept */

struct timeline;

/* Of the traces of this number, of all runs. NULL when out of memory; free is NULL-safe. */
struct timeline *timeline_new(uint64_t trace);
void timeline_free(struct timeline *timeline);

/* -ENOMEM: the line lacks it. */
int timeline_add(struct timeline *timeline, const struct run *run, const struct record *record);

/* How many entries there are. */
size_t timeline_count(const struct timeline *timeline);

void timeline_text(FILE *stream, struct timeline *timeline);

#endif
