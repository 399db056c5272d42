/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Findings: which scopes are the same one again. A finding is everything that makes it another one
 * for a person: the process, the kind of trace, what changed, whose change it was, whether it was
 * put back, its severity, and the places. The first is reported; the others are counted, and the
 * count is reported when it reaches 10, 100, ... and at the end.
 *
 * Pure and bounded: the finding that has not occurred for longest is forgotten, with a last report
 * of its count.
 */
#ifndef GRADWATCH_MODEL_FINDINGS_H
#define GRADWATCH_MODEL_FINDINGS_H

#include "model/event.h"
#include "model/suppressions.h"

#define FINDINGS_MAX 4096

struct findings;

/* NULL when out of memory; free is NULL-safe. */
struct findings *findings_new(bool each, event_handler handler, void *context);
void findings_free(struct findings *findings);

/*
 * Takes an EVENT_FINDING, whose number and count are filled in, and reports it or EVENT_REPEATED.
 * Returns whether it is new. When out of memory it is reported as new.
 */
bool findings_take(struct findings *findings, struct event *event);

/*
 * Looks whether an EVENT_FINDING is accepted, by the place that a suppression names: the decorated
 * function, or the user's frame. Then it has the suppression's name and is counted there. NULL:
 * nothing is accepted.
 */
bool findings_suppress(struct suppressions *suppressions, struct event *event);

/* A trace has ended, count of whose changes were not sent: its findings say so at the end. */
void findings_note_throttled(struct findings *findings, uint64_t trace, uint64_t count);

/* Reports the counts that are not reported yet. */
void findings_finish(struct findings *findings, uint64_t time);

/* How many findings were evicted: each counts as new if it occurs again. */
uint64_t findings_forgotten(const struct findings *findings);

#endif
