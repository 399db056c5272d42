// SPDX-License-Identifier: GPL-2.0-or-later
#include "report/run_facts.h"

#include <string.h>

#include "report/decode.h"

void run_facts_take(struct run_facts *facts, const struct record *record)
{
	uint64_t time = decode_number(record, FIELD_MONO_NS);

	if (time < facts->told_at)
		return;
	facts->told_at = time;
	facts->ended = record->type == LOG_TYPE_END;
	decode_totals(record, &facts->told);
}

static uint64_t larger(uint64_t one, uint64_t other)
{
	return one > other ? one : other;
}

static void add_totals(struct event_totals *sum, const struct event_totals *totals)
{
	sum->processes += totals->processes;
	sum->traces += totals->traces;
	sum->violations += totals->violations;
	sum->infos += totals->infos;
	sum->findings += totals->findings;
	sum->drifts += totals->drifts;
	sum->notes += totals->notes;
	sum->suppressed += totals->suppressed;
	sum->findings_forgotten += totals->findings_forgotten;
	sum->lost += totals->lost;
	sum->lost_output += totals->lost_output;
	for (int i = 0; i < ACTION_OUTCOME_MAX; i++)
		sum->actions[i] += totals->actions[i];
	for (int i = 0; i < GW_COUNTER_MAX; i++)
		sum->counter[i] += totals->counter[i];
	sum->coverage.probed += totals->coverage.probed;
	sum->coverage.missed += totals->coverage.missed;
	sum->coverage.mappings_lost += totals->coverage.mappings_lost;
	sum->coverage.refused += totals->coverage.refused;
	sum->coverage.files_refused += totals->coverage.files_refused;
	sum->coverage.unarmed += totals->coverage.unarmed;
	sum->coverage.bad_records += totals->coverage.bad_records;
}

/* Whether a whole run with all its changes says the same in both ways. */
static bool contradicts(const struct run *run, const struct run_facts *facts)
{
	const struct event_totals *told = &facts->told, *counted = &facts->counted;
	struct numbers missing = {0};
	bool whole = facts->ended && !strcmp(run->level, "changes") && !run->gaps.count &&
		     !told->lost_output && !run_missing(run, &missing) && !missing.count;

	numbers_free(&missing);
	return whole && (told->findings != counted->findings || told->notes != counted->notes ||
			 told->traces != counted->traces ||
			 told->violations + told->infos != counted->violations + counted->infos +
								   told->counter[GW_THROTTLED]);
}

void run_facts_sum(const struct run_facts *facts, const struct run *run, enum run_facts_how how,
		   struct summary_facts *sum)
{
	struct event_totals totals = facts->told;
	const struct event_totals *counted = &facts->counted;

	sum->skipped += facts->skipped;
	sum->too_late += facts->too_late;
	if (how != RUN_FACTS_WHOLE) {
		struct event_totals only = *counted;

		if (how == RUN_FACTS_SUPPRESSED) {
			totals.findings = counted->findings;
			totals.notes = counted->notes;
			totals.suppressed = counted->suppressed;
			only = totals;
		}
		only.drifts = counted->drifts;
		memcpy(only.counter, facts->told.counter, sizeof(only.counter));
		only.coverage = facts->told.coverage;
		add_totals(&sum->totals, &only);
		sum->runs_without_end += !facts->ended;
		return;
	}
	if (contradicts(run, facts))
		sum->contradictions++;
	if (!facts->ended) {
		sum->runs_without_end++;
		totals.processes = larger(totals.processes, counted->processes);
		totals.traces = larger(totals.traces, counted->traces);
		totals.violations = larger(totals.violations, counted->violations);
		totals.infos = larger(totals.infos, counted->infos);
		totals.findings = larger(totals.findings, counted->findings);
		totals.notes = larger(totals.notes, counted->notes);
		totals.suppressed = larger(totals.suppressed, counted->suppressed);
		totals.lost = larger(totals.lost, counted->lost);
		totals.lost_output = larger(totals.lost_output, counted->lost_output);
		for (int i = 0; i < ACTION_OUTCOME_MAX; i++)
			totals.actions[i] = larger(totals.actions[i], counted->actions[i]);
	}
	totals.drifts = counted->drifts;
	add_totals(&sum->totals, &totals);
}
