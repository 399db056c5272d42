/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the forms share (private to output/). */
#ifndef GRADWATCH_OUTPUT_COMMON_H
#define GRADWATCH_OUTPUT_COMMON_H

#include <stddef.h>
#include <stdint.h>

#include "output/sink.h"

/* "gone", "replaced", ...; part of the JSON schema. */
const char *output_end_reason(enum gw_end_reason reason);

/* "1 trace", "2 traces": the word for a count. */
const char *output_plural(uint64_t count, const char *one, const char *many);

/* A monotonic time as ns since 1970 in UTC. */
uint64_t output_utc(const struct sink_context *context, uint64_t monotonic);

/*
 * Writes all of data: one write(2) unless the descriptor takes only a part. Waits for a descriptor
 * that does not block. 0 or negative errno; *written says how far it came, in either case.
 */
int output_write(int fd, const char *data, size_t length, size_t *written);

#endif
