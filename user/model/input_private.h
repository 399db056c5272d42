/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the writer and the reader of inputs share (private to model/). */
#ifndef GRADWATCH_MODEL_INPUT_PRIVATE_H
#define GRADWATCH_MODEL_INPUT_PRIVATE_H

#include <string.h>

#include "gradwatch/abi.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "numbers are copied as they are");

/* Flags of a RECORD. */
#define INPUT_DECIDES   1
#define INPUT_TRACE     2 /* it has a trace: the same as last time, */
#define INPUT_NEW_TRACE 4 /* or the one that follows */
#define INPUT_EVENT     8 /* a struct gw_event_record with its frames, and no more */
#define INPUT_NEW_STACK 16

/* Stacks that are known by their place. */
#define INPUT_STACKS 1024

#define INPUT_WORDS  (sizeof(struct gw_event_record) / 8)
_Static_assert(sizeof(struct gw_event_record) % 8 == 0 && INPUT_WORDS <= 32, "a bit for each word");

/* What a reader knows of the inputs before. */
struct input_memory {
	uint64_t word[INPUT_WORDS]; /* of the last event record, without its frames */
	struct gw_trace trace;      /* of the last record that had one */
	struct {
		uint32_t count;
		struct gw_frame *frame; /* owned, GW_MAX_FRAMES of them; NULL: none yet */
	} stack[INPUT_STACKS];
};

/* -ENOMEM. */
int input_memory_put_stack(struct input_memory *memory, uint32_t place, const void *frames,
			   uint32_t count);
void input_memory_close(struct input_memory *memory);

#endif
