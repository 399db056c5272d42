/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef GRADWATCH_OUTPUT_TEXT_ACTION_H
#define GRADWATCH_OUTPUT_TEXT_ACTION_H

#include <stdio.h>

#include "model/event.h"

/* "RAISED", "HELD", "too late", ...: the first word of it. */
const char *text_action_title(const struct event_action *action);

/* The lines below its head, each after a newline: what was done, where, what one can do now. */
void text_action_body(FILE *stream, const struct event *event);

#endif
