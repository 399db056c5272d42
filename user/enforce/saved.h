/* SPDX-License-Identifier: GPL-2.0-or-later */
/* An event that is kept for later, with the frames of its stack, which are its sender's. */
#ifndef GRADWATCH_ENFORCE_SAVED_H
#define GRADWATCH_ENFORCE_SAVED_H

#include "model/event.h"

/*
 * Copies an event. *frames is what the copy's stack is in, for the caller to free(); NULL with an
 * empty stack when there is none, or no memory for it.
 */
void saved_copy(struct event *copy, void **frames, const struct event *event);

#endif
