/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Inputs of the model as a record (private to output/). */
#ifndef GRADWATCH_OUTPUT_INPUT_LINE_H
#define GRADWATCH_OUTPUT_INPUT_LINE_H

#include "output/sink.h"

struct input_line {
	const uint8_t *bytes; /* of inputs (model/input_code.h) */
	size_t size;
	uint64_t first, count; /* the number of the first one in the run, and how many */
	bool lost;             /* not all of them, or of those before, can be written */
};

/* The line, with a final newline, malloc'ed. NULL when out of memory. */
char *input_line(const struct sink_context *context, const struct input_line *line, uint64_t now,
		 size_t *length);

#endif
