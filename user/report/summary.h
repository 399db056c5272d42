/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What logs say: findings by fingerprint, totals, what was watched and what was lost. Records in,
 * in any order; memory is that of the different findings, runs and processes.
 *
 * Pure. A finding's fate and severity are the model's, as they were reported live; here they are
 * only brought together.
 */
#ifndef GRADWATCH_REPORT_SUMMARY_H
#define GRADWATCH_REPORT_SUMMARY_H

#include "log/logs.h"
#include "model/event.h"
#include "model/suppressions.h"

/* Which records count; zeros and NULLs: all. */
struct summary_filter {
	const char *since,
		*until; /* RFC 3339 in UTC, or the first part of it; until: not any more */
	const char *host;
	uint32_t pid;
	unsigned int kinds; /* set of model/kinds.h, 0: all */
	struct suppressions *suppressions;
};

/* Findings of one fingerprint. */
struct summary_finding {
	char fingerprint[FINGERPRINT_SIZE];
	const struct event *event; /* the first of the worst ones */
	const char *host;          /* where that was */
	uint64_t count;            /* how often it has occurred */
	uint64_t processes, runs;
	uint64_t restored[RESTORED_UNKNOWN + 1]; /* different ones of the model, by what became */
	char first[RUN_TIME_SIZE], last[RUN_TIME_SIZE];
};

/* A libtorch that could not be watched, and how often that was reported. */
struct summary_skipped {
	char file[512], reason[256];
	uint64_t count;
};

struct summary_facts {
	struct event_totals totals; /* of all runs; of filtered records only what they say */
	uint64_t skipped, too_late; /* as struct unknown_facts */
	uint64_t traces_by_kind[TRACE_KIND_MAX], traces_open;
	uint64_t attached;
	uint64_t runs_without_end; /* whose last totals are older than their end */
	uint64_t orphans;          /* findings whose record is missing */
	uint64_t undecoded;        /* records of a known type that could not be understood */
	uint64_t contradictions;   /* runs whose totals are not what their records say */
	char first[RUN_TIME_SIZE], last[RUN_TIME_SIZE];
};

struct summary;

/* The filter's strings stay the caller's. NULL when out of memory; free is NULL-safe. */
struct summary *summary_new(const struct summary_filter *filter);
void summary_free(struct summary *summary);

/* Whether a record counts, by time, host and process. */
bool summary_wants(const struct summary_filter *filter, const struct record *record);

/* Whether the stack of a record is shown, or looked at: the others can come without (record.head).
 */
bool summary_needs_stack(const struct summary *summary, const struct record *record);

/* -ENOMEM: the summary lacks it. */
int summary_add(struct summary *summary, const struct run *run, const struct record *record);

/* Brings all together: the worst first. -ENOMEM. After that nothing is added. */
int summary_finish(struct summary *summary, const struct logs *logs);

size_t summary_findings(const struct summary *summary);
const struct summary_finding *summary_finding(const struct summary *summary, size_t n);
/* NULL: there is none of this fingerprint. */
const struct summary_finding *summary_find(const struct summary *summary, const char *fingerprint);

size_t summary_skipped(const struct summary *summary);
const struct summary_skipped *summary_skipped_at(const struct summary *summary, size_t n);

const struct summary_facts *summary_facts(const struct summary *summary);

#endif
