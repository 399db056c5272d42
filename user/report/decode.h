/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Records of a log as events again: what the model has reported is shown in the same words. */
#ifndef GRADWATCH_REPORT_DECODE_H
#define GRADWATCH_REPORT_DECODE_H

#include "log/parse.h"
#include "model/event.h"

#define DECODE_FRAMES_MAX 64 /* of a stack that are kept, innermost first */

/* An event with the memory that it points to. */
struct decoded {
	struct event event;
	struct event_frame decorated, caller;
	struct event_frame frame[DECODE_FRAMES_MAX];
	struct event_origin origin[DECODE_FRAMES_MAX];
};

/*
 * A finding, without its stack. Its strings are the record's: good until the parser's next line.
 * What is missing or of another kind than it should be is unknown. False: it is not one that can be
 * shown, as it has no number, or a category or severity that is not known.
 */
bool decode_finding(const struct record *record, struct decoded *decoded);

/* The stack of a finding that is decoded. */
void decode_stack(const struct record *record, struct decoded *decoded);

/* What any event can have: time, process, torch, stack. Its strings are the record's, too. */
void decode_event(const struct record *record, struct decoded *decoded);

/* Of a finding: what becomes worse than what. A word that is not known is SEVERITY_MAX. */
enum severity decode_severity(const struct record *record);
enum restored decode_restored(const struct record *record);

/* The process and torch of any event. */
void decode_process(const struct record *record, struct event *event);

/* The version of Python as the paths of a process show it, as gw_python.version; 0: not known. */
uint32_t decode_python(const struct event *event);

/* Totals, of a "totals" or "end" record. */
void decode_totals(const struct record *record, struct event_totals *totals);

/* The number of a field, 0 if it has none. */
uint64_t decode_number(const struct record *record, enum log_field field);

/* The kind of trace; unknown if there is none. */
enum trace_kind decode_kind(const struct record *record);

#endif
