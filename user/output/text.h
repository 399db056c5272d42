/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the text form has besides its sink. */
#ifndef GRADWATCH_OUTPUT_TEXT_H
#define GRADWATCH_OUTPUT_TEXT_H

#include <stdio.h>

#include "model/event.h"

/*
 * The totals and the ledger, a line each; a third line only if hits are unaccounted for or a limit
 * was met. The text sink leaves END to this, so that the caller can have it on stderr beside any
 * form of output.
 */
void text_totals(FILE *stream, const struct event_totals *totals);

/* How often each name of a suppression file has accepted a finding, and lines that never did. */
void text_suppressions(FILE *stream, const struct suppressions *suppressions);

#endif
