/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The records of open traces' first pushes, by trace: their stacks show what kind of trace it is,
 * and where it began. Bounded; the oldest is evicted (private to model/).
 */
#ifndef GRADWATCH_MODEL_BEGINS_H
#define GRADWATCH_MODEL_BEGINS_H

#include <stddef.h>
#include <stdint.h>

#include "model/kinds.h"

struct begins;
struct codes;

/* The record of a trace's begin, as codes_stack() takes it. */
struct begin {
	enum trace_kind kind;
	size_t size;
	void *record;
};

/* At most so many. codes stay the caller's. NULL when out of memory; free is NULL-safe. */
struct begins *begins_new(size_t capacity, struct codes *codes);
void begins_free(struct begins *begins);

/* Notes a trace's begin. A trace that finds no memory has none. */
void begins_note(struct begins *begins, uint64_t trace, enum trace_kind kind, const void *record,
		 size_t size);

/* NULL when it is not known; the begins' until the trace is forgotten. */
const struct begin *begins_get(const struct begins *begins, uint64_t trace);
void begins_forget(struct begins *begins, uint64_t trace);

#endif
