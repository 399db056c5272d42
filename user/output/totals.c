// SPDX-License-Identifier: GPL-2.0-or-later
#include "output/text.h"

#include <inttypes.h>

#include "model/model.h"
#include "model/suppressions.h"
#include "output/common.h"

/* The third line: everything that makes the first two less than the whole truth. */
static void print_warnings(FILE *stream, const struct event_totals *totals)
{
	static const struct {
		enum gw_counter counter;
		const char *meaning;
	} cause[] = {
		{GW_UNREADABLE, "thread state unreadable, so judged by tracking"},
		{GW_THREADS_FULL, "thread map full"},
		{GW_TRACES_FULL, "trace map full"},
		{GW_NESTING_FULL, "traces nested too deep"},
		{GW_PROCESSES_FULL, "children not watched, process map full"},
		{GW_CODES_LOST, "names of stack frames lost"},
		{GW_TRACES_LOST, "traces of unknown kind, their first stack was lost"},
		{GW_DRIFTS_LOST, "drifts lost"},
		{GW_NAMES_LOST, "names of decorated functions lost"},
		{GW_ASKS_LOST, "violations not acted on"},
		{GW_INTERPRETERS_FULL, "processes without stacks, interpreter map full"},
		{GW_ENFORCED_FULL, "processes not acted in, map of enforced ones full"},
		{GW_DECISIONS_FULL, "traces asked about at each change, decision map full"},
	};
	const uint64_t *counter = totals->counter;
	const char *separator = "warning: ";

	if (!model_ledger_balances(counter)) {
		fprintf(stream, "%sthe ledger does not balance, so findings may be missing",
			separator);
		separator = "; ";
	}
	if (totals->findings_forgotten) {
		fprintf(stream, "%sfindings forgotten, so counted again: %" PRIu64, separator,
			totals->findings_forgotten);
		separator = "; ";
	}
	for (size_t i = 0; i < sizeof(cause) / sizeof(cause[0]); i++) {
		if (!counter[cause[i].counter])
			continue;
		fprintf(stream, "%s%s: %" PRIu64, separator, cause[i].meaning,
			counter[cause[i].counter]);
		separator = "; ";
	}
	if (totals->lost_output) {
		fprintf(stream, "%slines of output lost: %" PRIu64, separator, totals->lost_output);
		separator = "; ";
	}
	if (separator[0] == ';')
		fputc('\n', stream);
}

static void print_actions(FILE *stream, const uint64_t actions[ACTION_OUTCOME_MAX])
{
	static const char *const word[ACTION_OUTCOME_MAX] = {
		[ACTION_PERFORMED] = "performed",  [ACTION_TOO_LATE] = "too late",
		[ACTION_REFUSED] = "not possible", [ACTION_DRY_RUN] = "by a dry run",
		[ACTION_LET_GO] = "let go",
	};
	const char *separator = "actions: ";

	for (unsigned int i = 0; i < ACTION_OUTCOME_MAX; i++) {
		if (!actions[i])
			continue;
		fprintf(stream, "%s%" PRIu64 " %s", separator, actions[i], word[i]);
		separator = ", ";
	}
	if (separator[0] == ',')
		fputc('\n', stream);
}

void text_totals(FILE *stream, const struct event_totals *totals)
{
	const uint64_t *counter = totals->counter;

	fprintf(stream,
		"%" PRIu64 " %s, %" PRIu64 " %s, %" PRIu64 " %s, %" PRIu64 " lost, %" PRIu64 " %s",
		totals->processes, output_plural(totals->processes, "process", "processes"),
		totals->traces, output_plural(totals->traces, "trace", "traces"),
		totals->violations, output_plural(totals->violations, "violation", "violations"),
		totals->lost, totals->findings,
		output_plural(totals->findings, "finding", "findings"));
	if (totals->notes)
		fprintf(stream, ", %" PRIu64 " %s", totals->notes,
			output_plural(totals->notes, "note", "notes"));
	/* Only where there are any; without them the line's numbers are all changes that were seen.
	 */
	if (totals->infos)
		fprintf(stream, ", %" PRIu64 " %s for information", totals->infos,
			output_plural(totals->infos, "change", "changes"));
	fputc('\n', stream);
	fprintf(stream,
		"ledger: %" PRIu64 " %s = %" PRIu64 " reported + %" PRIu64 " redundant + %" PRIu64
		" outside-trace + %" PRIu64 " filtered + %" PRIu64 " lost + %" PRIu64
		" throttled\n",
		counter[GW_HITS], output_plural(counter[GW_HITS], "hit", "hits"),
		counter[GW_REPORTED], counter[GW_REDUNDANT], counter[GW_OUTSIDE],
		counter[GW_FILTERED], counter[GW_LOST], counter[GW_THROTTLED]);
	print_actions(stream, totals->actions);
	print_warnings(stream, totals);
	fflush(stream);
}

void text_suppressions(FILE *stream, const struct suppressions *suppressions)
{
	unsigned int line = 0;

	for (size_t i = 0; i < suppressions_names(suppressions); i++) {
		uint64_t count;
		const char *name = suppressions_name(suppressions, i, &count);

		fputs("suppressed: ", stream);
		output_escaped(stream, name, SUPPRESSIONS_MAX_LINE_LENGTH);
		fprintf(stream, ": %" PRIu64 " %s\n", count,
			output_plural(count, "finding", "findings"));
	}
	while ((line = suppressions_next_unused(suppressions, line)))
		fprintf(stream, "warning: line %u of the suppressions accepted nothing\n", line);
}
