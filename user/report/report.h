/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A report: what a summary is worth, and the forms that people and programs read. What the answer
 * stands on is a part of it: what was not understood is said, and then nothing is called clean.
 */
#ifndef GRADWATCH_REPORT_REPORT_H
#define GRADWATCH_REPORT_REPORT_H

#include <stdio.h>

#include "log/logs.h"
#include "report/replay.h"
#include "report/summary.h"

/* How a fingerprint's count differs from a baseline. */
enum report_change {
	REPORT_NEW,
	REPORT_MORE,
	REPORT_FEWER,
	REPORT_SAME,
};

struct report {
	const struct summary *summary;
	const struct logs *logs;
	const struct summary *baseline; /* NULL: none */
	const struct replay *replay;    /* NULL: nothing was replayed */
	bool filtered;
	uint64_t damages;    /* of the logs, with what is missing */
	const char *unknown; /* why not all is known; "": all is */
	const char *unknown_baseline;
};

enum report_change report_change(const struct report *report,
				 const struct summary_finding *finding);

/* "new", "more", "fewer", "same"; "" without a baseline. */
const char *report_change_word(const struct report *report, const struct summary_finding *finding);

/* Whether a finding is one that --fail is about: with a baseline only what is new. */
bool report_counts(const struct report *report, const struct summary_finding *finding);

void report_text(FILE *stream, const struct report *report);

/* Parts of the text: what was read, and what to think of it. */
void report_basis(FILE *stream, const struct report *report);
void report_verdict(FILE *stream, const struct report *report);
void report_replays(FILE *stream, const struct report *report);

/* One object. -ENOMEM. */
int report_json(FILE *stream, const struct report *report);

#endif
