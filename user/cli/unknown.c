// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/unknown.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "model/model.h"

struct reasons {
	char *text;
	size_t size, length;
};

static void add(struct reasons *reasons, const char *cause, uint64_t count)
{
	const char *separator = reasons->length ? "; " : "";
	char *at = reasons->text + reasons->length;
	size_t left = reasons->size - reasons->length;

	if (!count)
		return;
	if (str_format(at, left, "%s%s: %" PRIu64, separator, cause, count))
		reasons->length = reasons->size - 1;
	else
		reasons->length += (size_t)snprintf(NULL, 0, "%s%s: %" PRIu64, separator, cause,
						    count);
}

static void add_text(struct reasons *reasons, const char *cause)
{
	char *at = reasons->text + reasons->length;
	size_t left = reasons->size - reasons->length;

	if (str_format(at, left, "%s%s", reasons->length ? "; " : "", cause))
		reasons->length = reasons->size - 1;
	else
		reasons->length += strlen(at);
}

static void add_counters(struct reasons *reasons, const uint64_t *counter)
{
	/*
	 * Not GW_NAMES_LOST: a name that is missing accepts no finding. Nor GW_DECISIONS_FULL and
	 * GW_FORKS_LOST: it only takes longer, to act and to find the children.
	 */
	static const struct {
		enum gw_counter counter;
		const char *cause;
	} causes[] = {
		{GW_THROTTLED, "changes over --rate, counted only"},
		{GW_UNREADABLE, "changes judged without the thread's own state"},
		{GW_THREADS_FULL, "threads that did not fit into their map"},
		{GW_TRACES_FULL, "traces that did not fit into their map"},
		{GW_NESTING_FULL, "traces nested too deep"},
		{GW_PROCESSES_FULL, "children not watched"},
		{GW_CODES_LOST, "names of stack frames lost"},
		{GW_TRACES_LOST, "traces of unknown kind"},
		{GW_DRIFTS_LOST, "drifts lost"},
		{GW_ASKS_LOST, "violations not acted on"},
		{GW_INTERPRETERS_FULL, "processes whose stacks were not read"},
		{GW_ENFORCED_FULL, "processes not acted in"},
	};

	for (size_t i = 0; i < sizeof(causes) / sizeof(causes[0]); i++)
		add(reasons, causes[i].cause, counter[causes[i].counter]);
}

bool unknown_reason(const struct unknown_facts *facts, char *reason, size_t size)
{
	const struct event_totals *totals = facts->totals;
	const struct event_coverage *coverage = &totals->coverage;
	struct reasons reasons = {.text = reason, .size = size};

	reason[0] = '\0';
	if (!coverage->probed)
		add_text(&reasons, "no libtorch was watched");
	if (coverage->unarmed)
		add_text(&reasons, "it ended before all that was mapped at the start was probed");
	if (!model_ledger_balances(totals->counter))
		add(&reasons, "the ledger does not balance; hits", totals->counter[GW_HITS]);
	add(&reasons, "libtorch files skipped", facts->skipped);
	add(&reasons, "processes that had ended before the probes were in place", facts->too_late);
	add(&reasons, "processes that had ended before they could be looked at", coverage->missed);
	add(&reasons, "records of new mappings lost", coverage->mappings_lost);
	add(&reasons, "times that a process did not fit into the registry", coverage->refused);
	add(&reasons, "times that a file did not fit into the registry", coverage->files_refused);
	add(&reasons, "changes lost", totals->lost);
	add(&reasons, "records of another format", coverage->bad_records);
	add(&reasons, "lines of output lost", facts->lost_output);
	add_counters(&reasons, totals->counter);
	return reasons.length > 0;
}
