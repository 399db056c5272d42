/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the forms share (private to output/). */
#ifndef GRADWATCH_OUTPUT_COMMON_H
#define GRADWATCH_OUTPUT_COMMON_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "output/sink.h"

#define OUTPUT_NAME_BYTES 4096 /* of a name of the target that are shown */

/* "gone", "replaced", ...; part of the JSON schema. */
const char *output_end_reason(enum gw_end_reason reason);

/* "whole", "cut", or why there is no stack; part of the JSON schema. */
const char *output_stack_status(enum gw_stack_status status);

/* "scope", "drift", "unbalanced"; part of the JSON schema. */
const char *output_category(enum finding_category category);

/* "violation", "low", "note", "info", "suppressed"; part of the JSON schema. */
const char *output_severity(enum severity severity);

/* "user", "autograd", "cpp"; part of the JSON schema. */
const char *output_owner(enum owner owner);

/* "performed", "too_late", "refused", "dry_run", "let_go"; part of the JSON schema. */
const char *output_outcome(enum action_outcome outcome);

/*
 * "a trace" and "the trace"; of torch.compile, whose users know of no trace, "compiled code" and
 * "the compiled code".
 */
const char *output_a_trace(enum trace_kind kind);
const char *output_the_trace(enum trace_kind kind);

/*
 * "models/llama/model.py:42 in Net.forward": the last three components of the path, which
 * distinguish two files of one name.
 */
#define OUTPUT_PATH_PARTS 3
void output_place(FILE *stream, const struct event_frame *frame);

/* "docker 0123456789ab": the runtime, if it is known, and what its own tools show of an id. */
void output_container(FILE *stream, const struct event_cgroup *cgroup);

/* "1 trace", "2 traces": the word for a count. */
const char *output_plural(uint64_t count, const char *one, const char *many);

/* Prints a string of the target, of at most size bytes, with control characters escaped. */
void output_escaped(FILE *stream, const char *string, size_t size);

/* "3.2 us", "14.0 ms", "2.5 s" */
void output_duration(FILE *stream, uint64_t ns);

/* A monotonic time as ns since 1970 in UTC. */
uint64_t output_utc(const struct sink_context *context, uint64_t monotonic);

#endif
