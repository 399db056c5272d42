/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Findings: which scopes are the same one again. A finding is the process, the kind of trace, what
 * changed, and the place; the first is told, the others are counted, and the count is told when it
 * reaches 10, 100, ... and at the end. Pure and bounded: the oldest is forgotten, and new again.
 */
#ifndef GRADWATCH_MODEL_FINDINGS_H
#define GRADWATCH_MODEL_FINDINGS_H

#include "model/event.h"

#define FINDINGS_MAX 4096

struct findings;

/* NULL when out of memory; free is NULL-safe. */
struct findings *findings_new(event_handler handler, void *context);
void findings_free(struct findings *findings);

/*
 * Takes an EVENT_FINDING, whose number and count are filled in, and tells it or EVENT_REPEATED.
 * Returns whether it is new. When out of memory it is told as new.
 */
bool findings_take(struct findings *findings, struct event *event);

/* Tells of repeats that are not told yet. */
void findings_finish(struct findings *findings, uint64_t time);

#endif
