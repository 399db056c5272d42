/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The totals of one run: what it has reported, and what its records say (private to report/). */
#ifndef GRADWATCH_REPORT_RUN_FACTS_H
#define GRADWATCH_REPORT_RUN_FACTS_H

#include "report/summary.h"

struct run_facts {
	struct event_totals told, counted;
	uint64_t told_at; /* ns, 0: nothing was reported */
	bool ended;
	uint64_t skipped, too_late;
};

enum run_facts_how {
	RUN_FACTS_WHOLE,
	RUN_FACTS_SUPPRESSED, /* findings are accepted that were not then */
	RUN_FACTS_COUNTED,    /* not all records count: only what these say, but for the ledger */
};

/* Takes a "totals" or "end" record. */
void run_facts_take(struct run_facts *facts, const struct record *record);

/*
 * Adds a run's totals to those of all. A run that came to its end has reported them. Of one that
 * did not, the last reported are older than its last records: what is counted from these is more.
 */
void run_facts_sum(const struct run_facts *facts, const struct run *run, enum run_facts_how how,
		   struct summary_facts *sum);

#endif
