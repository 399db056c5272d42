/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The text form of a finding (private to output/). */
#ifndef GRADWATCH_OUTPUT_TEXT_FINDING_H
#define GRADWATCH_OUTPUT_TEXT_FINDING_H

#include <stdio.h>

#include "model/event.h"

/* "VIOLATION", "DRIFT", ...: the first word of it. */
const char *text_finding_title(const struct event_finding *finding);

/* The lines below its head, each after a newline: what, where, what to do; with_stack: the stack.
 */
void text_finding_body(FILE *stream, const struct event *event, bool with_stack);

#endif
