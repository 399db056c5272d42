/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The code objects that BPF has sent, by id: they turn (code, position) pairs into frames.
 *
 * A code object is removed when its process has ended, or evicted when the table is full: the one
 * that was sent longest ago goes first. BPF sends a code object again when it is used after
 * GW_CODES_AGAIN others, so none is evicted that a record may still refer to: CODES_MAX exceeds
 * that by as many as can be sent between two programs on two CPUs. Those of kept records
 * (codes_keep()) are evicted last.
 */
#ifndef GRADWATCH_MODEL_CODES_H
#define GRADWATCH_MODEL_CODES_H

#include "model/event.h"

#define CODES_MAX 65536
_Static_assert(CODES_MAX >= 2 * GW_CODES_AGAIN, "holds all that BPF does not send again");

struct codes;

/* NULL when out of memory; NULL-safe. */
struct codes *codes_new(void);
void codes_free(struct codes *codes);

/* Takes a GW_RECORD_CODE of size bytes. -EBADMSG when it is not one, -ENOMEM. */
int codes_add(struct codes *codes, const void *record, size_t size);

/* Forgets those of a process that has ended, but for those of kept records. */
void codes_forget_process(struct codes *codes, uint32_t pid, uint64_t start_time);

/*
 * A copy of an event record of size bytes, whose code objects are not evicted until codes_drop().
 * NULL when out of memory. codes may be NULL, a kept record too.
 */
void *codes_keep(struct codes *codes, const void *record, size_t size);
void codes_drop(struct codes *codes, void *kept, size_t size);

size_t codes_count(const struct codes *codes);

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
