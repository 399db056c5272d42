/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The code objects that BPF has told of, by id: what turns (code, position) pairs into frames.
 * Bounded; the oldest make room.
 */
#ifndef GRADWATCH_MODEL_CODES_H
#define GRADWATCH_MODEL_CODES_H

#include "model/event.h"

#define CODES_MAX 65536

struct codes;

/* NULL when out of memory; NULL-safe. */
struct codes *codes_new(void);
void codes_free(struct codes *codes);

/* Takes a GW_RECORD_CODE of size bytes. -EBADMSG when it is not one, -ENOMEM. */
int codes_add(struct codes *codes, const void *record, size_t size);

/* Room for the frames of a stack. */
struct codes_frames {
	struct event_frame frame[GW_MAX_FRAMES];
	struct event_origin origin[GW_MAX_FRAMES];
};

/*
 * The stack of an event record of size bytes: its frames, without those that Python itself hides.
 * torch_file: that of the record's process, "" when it is not known. stack->frame is in *frames;
 * its strings are the codes' until the next codes_add().
 */
void codes_stack(const struct codes *codes, const char *torch_file, const void *record, size_t size,
		 struct codes_frames *frames, struct event_stack *stack);

#endif
