// SPDX-License-Identifier: GPL-2.0-or-later
#include "report/summary.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "base/table.h"
#include "model/findings.h"
#include "output/common.h"
#include "report/decode.h"
#include "report/keep.h"
#include "report/run_facts.h"

#define SKIPPED_MAX 1000 /* different ones; the others are only counted */

/* All findings of one fingerprint. */
struct group {
	struct table_item item;
	struct summary_finding shown;
	struct kept *kept; /* what shown.event is in */
};

/* A finding of a run, by its number there. */
struct occurrence {
	struct table_item item;
	struct {
		uint64_t run, number;
	} key;
	struct group *group; /* NULL: its record was not seen */
	enum restored restored;
	bool unwanted;         /* its record was seen, and is not asked for */
	uint64_t before, last; /* its count before what is asked for, and at the end of that */
	char time[RUN_TIME_SIZE];
};

/* That something was seen: a process of a run, or of a finding. */
struct mark {
	struct table_item item;
	struct {
		const void *of;
		uint64_t run, pid, start;
	} key;
};

struct process_of_run {
	uint64_t run, pid, start;
};

struct summary {
	struct summary_filter filter;
	bool filtered;
	struct table groups, occurrences, marks; /* by fingerprint; by key */
	struct process_of_run last_process;      /* that was marked: mostly the next one, too */
	bool has_last_process;
	struct group **sorted;
	size_t count;
	struct run_facts *run;
	size_t runs;
	struct summary_skipped *skipped;
	size_t skipped_count;
	struct summary_facts facts;
	struct decoded decoded;
};

struct summary *summary_new(const struct summary_filter *filter)
{
	struct summary *summary = calloc(1, sizeof(*summary));

	if (!summary)
		return NULL;
	summary->filter = *filter;
	/* As many as there are: findings, processes and runs are what memory is for. */
	summary->groups.capacity = summary->occurrences.capacity = SIZE_MAX;
	summary->marks.capacity = SIZE_MAX;
	if (!summary->filter.kinds)
		summary->filter.kinds = KINDS_ALL;
	summary->filtered = filter->since || filter->until || filter->host || filter->pid ||
			    summary->filter.kinds != KINDS_ALL;
	return summary;
}

void summary_free(struct summary *summary)
{
	struct table_item *item;

	if (!summary)
		return;
	while ((item = table_pop(&summary->groups))) {
		free(((struct group *)item)->kept);
		free(item);
	}
	while ((item = table_pop(&summary->occurrences)))
		free(item);
	while ((item = table_pop(&summary->marks)))
		free(item);
	free(summary->sorted);
	free(summary->run);
	free(summary->skipped);
	free(summary);
}

static const char *text_of(const struct record *record, enum log_field field)
{
	return record->field[field].kind == VALUE_STRING ? record->field[field].text : "";
}

/* Times of this form are in order of their bytes; a part of one is before all that it begins. */
static bool is_before(const struct summary_filter *filter, const struct record *record)
{
	return filter->since && strcmp(text_of(record, FIELD_TIME), filter->since) < 0;
}

bool summary_wants(const struct summary_filter *filter, const struct record *record)
{
	const char *time = text_of(record, FIELD_TIME);

	if (is_before(filter, record) || (filter->until && strcmp(time, filter->until) >= 0))
		return false;
	if (filter->host && strcmp(filter->host, text_of(record, FIELD_HOST)) != 0)
		return false;
	return !filter->pid || record->field[FIELD_PID].kind != VALUE_NUMBER ||
	       record->field[FIELD_PID].number == filter->pid;
}

static struct run_facts *facts_of(struct summary *summary, size_t index)
{
	while (index >= summary->runs) {
		size_t runs = 2 * summary->runs + 8;
		struct run_facts *more = realloc(summary->run, runs * sizeof(*more));

		if (!more)
			return NULL;
		memset(more + summary->runs, 0, (runs - summary->runs) * sizeof(*more));
		summary->run = more;
		summary->runs = runs;
	}
	return &summary->run[index];
}

/* 1: it is new; 0: it was there; -ENOMEM. */
static int put_mark(struct summary *summary, const void *of, const struct run *run,
		    const struct event *event)
{
	struct mark wanted = {.key = {.of = of,
				      .run = run->index,
				      .pid = event->process.pid,
				      .start = event->process.start_time}};
	struct mark *mark;

	if (table_find(&summary->marks, &wanted.key, sizeof(wanted.key)))
		return 0;
	mark = calloc(1, sizeof(*mark));
	if (!mark)
		return -ENOMEM;
	mark->key = wanted.key;
	if (!table_add(&summary->marks, &mark->item, &mark->key, sizeof(mark->key)))
		return 1;
	free(mark);
	return -ENOMEM;
}

static struct occurrence *occurrence_of(struct summary *summary, const struct run *run,
					uint64_t number)
{
	struct occurrence wanted = {.key = {.run = run->index, .number = number}};
	struct occurrence *occurrence = (struct occurrence *)table_find(
		&summary->occurrences, &wanted.key, sizeof(wanted.key));

	if (occurrence)
		return occurrence;
	occurrence = calloc(1, sizeof(*occurrence));
	if (!occurrence)
		return NULL;
	occurrence->key = wanted.key;
	if (!table_add(&summary->occurrences, &occurrence->item, &occurrence->key,
		       sizeof(occurrence->key)))
		return occurrence;
	free(occurrence);
	return NULL;
}

/* Earliest and latest; "" is none. */
static void widen(char *first, char *last, const char *time)
{
	if (!*time)
		return;
	if (!*first || strcmp(time, first) < 0)
		str_copy(first, RUN_TIME_SIZE, time);
	if (strcmp(time, last) > 0)
		str_copy(last, RUN_TIME_SIZE, time);
}

/* How often a finding has occurred by now. */
static int add_count(struct summary *summary, const struct run *run, const struct record *record)
{
	struct occurrence *occurrence = occurrence_of(summary, run,
						      decode_number(record, FIELD_FINDING));
	uint64_t count = decode_number(record, FIELD_COUNT);

	if (!occurrence)
		return -ENOMEM;
	if (is_before(&summary->filter, record) && count > occurrence->before)
		occurrence->before = count;
	if (summary_wants(&summary->filter, record) && count > occurrence->last) {
		occurrence->last = count;
		str_copy(occurrence->time, sizeof(occurrence->time), text_of(record, FIELD_TIME));
	}
	return 0;
}

/* What is accepted now, whatever was accepted then. */
static void suppress(const struct summary *summary, const struct record *record,
		     struct decoded *decoded)
{
	if (!summary->filter.suppressions)
		return;
	decode_stack(record, decoded);
	if (findings_suppress(summary->filter.suppressions, &decoded->event))
		decoded->event.finding.severity = SEVERITY_SUPPRESSED;
}

/* Worse: of a severity that comes first; put back is better than not. */
static bool is_worse(const struct event_finding *one, const struct event_finding *other)
{
	if (one->severity != other->severity)
		return one->severity < other->severity;
	return one->restored != RESTORED_YES && other->restored == RESTORED_YES;
}

static struct group *find_group(const struct summary *summary, const char *fingerprint)
{
	return (struct group *)table_find(&summary->groups, fingerprint, strlen(fingerprint));
}

static struct group *group_of(struct summary *summary, const char *fingerprint)
{
	struct group *group = find_group(summary, fingerprint);

	if (group)
		return group;
	group = calloc(1, sizeof(*group));
	if (!group)
		return NULL;
	str_copy(group->shown.fingerprint, sizeof(group->shown.fingerprint), fingerprint);
	if (!table_add(&summary->groups, &group->item, group->shown.fingerprint,
		       strlen(group->shown.fingerprint)))
		return group;
	free(group);
	return NULL;
}

/* Whether a group shows this one rather than what it has. */
static bool is_shown(const struct group *group, const struct event_finding *finding)
{
	return !group || !group->kept || is_worse(finding, &group->kept->event.finding);
}

bool summary_needs_stack(const struct summary *summary, const struct record *record)
{
	const struct event_finding finding = {.severity = decode_severity(record),
					      .restored = decode_restored(record)};

	return record->type == LOG_TYPE_FINDING &&
	       (summary->filter.suppressions ||
		is_shown(find_group(summary, text_of(record, FIELD_FINGERPRINT)), &finding));
}

static int show(struct group *group, const struct record *record, struct decoded *decoded)
{
	struct kept *kept;

	if (!is_shown(group, &decoded->event.finding))
		return 0;
	decode_stack(record, decoded);
	kept = keep(decoded, text_of(record, FIELD_HOST));
	if (!kept)
		return -ENOMEM;
	free(group->kept);
	group->kept = kept;
	group->shown.event = &kept->event;
	group->shown.host = kept->host;
	return 0;
}

static int add_finding(struct summary *summary, const struct run *run, const struct record *record,
		       struct event_totals *totals)
{
	struct decoded *decoded = &summary->decoded;
	struct event_finding *finding = &decoded->event.finding;
	struct occurrence *occurrence;
	struct group *group;
	int code = add_count(summary, run, record);

	if (!decode_finding(record, decoded) || !*finding->fingerprint) {
		summary->facts.undecoded++;
		return code;
	}
	suppress(summary, record, decoded);
	occurrence = occurrence_of(summary, run, finding->number);
	if (code || !occurrence)
		return -ENOMEM;
	occurrence->unwanted = !(summary->filter.kinds >> finding->kind & 1) ||
			       (summary->filter.pid &&
				summary->filter.pid != decoded->event.process.pid);
	if (occurrence->unwanted || occurrence->group)
		return 0;
	group = group_of(summary, finding->fingerprint);
	if (!group)
		return -ENOMEM;
	occurrence->group = group;
	occurrence->restored = finding->restored;
	if (summary_wants(&summary->filter, record)) {
		event_count_finding(totals, finding);
		totals->suppressed += finding->severity == SEVERITY_SUPPRESSED;
		widen(group->shown.first, group->shown.last, text_of(record, FIELD_TIME));
	}
	code = put_mark(summary, group, run, &decoded->event);
	if (code < 0)
		return code;
	group->shown.processes += (uint64_t)code;
	return show(group, record, decoded);
}

static int add_skipped(struct summary *summary, const struct record *record)
{
	const char *reason = text_of(record, FIELD_REASON);
	struct summary_skipped *more;
	struct event event;

	decode_process(record, &event);
	for (size_t i = 0; i < summary->skipped_count; i++)
		if (!strncmp(summary->skipped[i].file, event.torch.file,
			     sizeof(summary->skipped[i].file) - 1) &&
		    !strncmp(summary->skipped[i].reason, reason,
			     sizeof(summary->skipped[i].reason) - 1)) {
			summary->skipped[i].count++;
			return 0;
		}
	if (summary->skipped_count == SKIPPED_MAX)
		return 0;
	more = realloc(summary->skipped, (summary->skipped_count + 1) * sizeof(*more));
	if (!more)
		return -ENOMEM;
	summary->skipped = more;
	more += summary->skipped_count++;
	*more = (struct summary_skipped){.count = 1};
	value_copy(&record->field[FIELD_REASON], more->reason, sizeof(more->reason));
	(void)str_format(more->file, sizeof(more->file), "%s", event.torch.file);
	return 0;
}

static int add_process(struct summary *summary, const struct run *run, const struct record *record,
		       struct event_totals *totals)
{
	const struct process_of_run *last = &summary->last_process;
	struct process_of_run now = {.run = run->index};
	struct event event;
	int code;

	if (record->field[FIELD_PID].kind != VALUE_NUMBER)
		return 0;
	now.pid = decode_number(record, FIELD_PID);
	now.start = decode_number(record, FIELD_START_NS);
	if (summary->has_last_process && last->run == now.run && last->pid == now.pid &&
	    last->start == now.start)
		return 0;
	event.process.pid = (uint32_t)now.pid;
	event.process.start_time = now.start;
	code = put_mark(summary, NULL, run, &event);
	if (code < 0)
		return code;
	totals->processes += code > 0;
	summary->last_process = now;
	summary->has_last_process = true;
	return 0;
}

static void add_change(struct event_totals *totals, const struct record *record)
{
	if (decode_number(record, FIELD_INFO))
		totals->infos++;
	else
		totals->violations++;
}

static void add_trace(struct summary *summary, struct event_totals *totals, bool began,
		      enum trace_kind kind)
{
	if (!began) {
		summary->facts.traces_open--;
		return;
	}
	totals->traces++;
	summary->facts.traces_open++;
	summary->facts.traces_by_kind[kind]++;
}

static void add_action(struct event_totals *totals, const struct record *record)
{
	for (int i = 0; i < ACTION_OUTCOME_MAX; i++)
		totals->actions[i] += !strcmp(text_of(record, FIELD_OUTCOME),
					      output_outcome((enum action_outcome)i));
}

/* A record that counts. */
static int take(struct summary *summary, const struct record *record, struct run_facts *facts)
{
	struct event_totals *totals = &facts->counted;
	enum trace_kind kind = decode_kind(record);
	bool of_kind = summary->filter.kinds >> kind & 1;

	switch (record->type) {
	case LOG_TYPE_ATTACHED:
		summary->facts.attached++;
		facts->too_late += decode_number(record, FIELD_TOO_LATE);
		return 0;
	case LOG_TYPE_SKIPPED:
		facts->skipped++;
		return add_skipped(summary, record);
	case LOG_TYPE_CHANGE:
		if (of_kind)
			add_change(totals, record);
		return 0;
	case LOG_TYPE_TRACE_BEGIN:
	case LOG_TYPE_TRACE_END:
		if (of_kind)
			add_trace(summary, totals, record->type == LOG_TYPE_TRACE_BEGIN, kind);
		return 0;
	case LOG_TYPE_ACTION:
		if (of_kind)
			add_action(totals, record);
		return 0;
	case LOG_TYPE_LOST:
		totals->lost += decode_number(record, FIELD_COUNT);
		return 0;
	case LOG_TYPE_LOST_OUTPUT:
		totals->lost_output += decode_number(record, FIELD_COUNT);
		return 0;
	default:
		return 0;
	}
}

int summary_add(struct summary *summary, const struct run *run, const struct record *record)
{
	struct run_facts *facts = facts_of(summary, run->index);
	int code = 0;

	if (!facts)
		return -ENOMEM;
	if (record->type == LOG_TYPE_FINDING)
		code = add_finding(summary, run, record, &facts->counted);
	else if (record->type == LOG_TYPE_TOTALS || record->type == LOG_TYPE_END)
		run_facts_take(facts, record); /* of the run, whenever that is */
	else if (record->type == LOG_TYPE_AGAIN || record->type == LOG_TYPE_REPEATED)
		code = add_count(summary, run, record);
	if (code || !summary_wants(&summary->filter, record))
		return code;
	widen(summary->facts.first, summary->facts.last, text_of(record, FIELD_TIME));
	code = add_process(summary, run, record, &facts->counted);
	return code ? code : take(summary, record, facts);
}

/* How often each group has occurred, and in how many runs. */
static int count_groups(struct summary *summary)
{
	for (struct table_item *item = summary->occurrences.oldest; item; item = item->next) {
		const struct occurrence *occurrence = (struct occurrence *)item;
		struct event of_run = {0};
		struct group *group = occurrence->group;
		const struct run run = {.index = occurrence->key.run};
		int code;

		if (occurrence->unwanted || occurrence->last <= occurrence->before)
			continue;
		if (!group) {
			summary->facts.orphans++;
			continue;
		}
		group->shown.count += occurrence->last - occurrence->before;
		group->shown.restored[occurrence->restored]++;
		widen(group->shown.first, group->shown.last, occurrence->time);
		of_run.process.start_time = UINT64_MAX; /* of no process */
		code = put_mark(summary, group, &run, &of_run);
		if (code < 0)
			return code;
		group->shown.runs += (uint64_t)code;
	}
	return 0;
}

static int compare(const void *one, const void *other)
{
	const struct summary_finding *a = &(*(struct group *const *)one)->shown;
	const struct summary_finding *b = &(*(struct group *const *)other)->shown;

	if (is_worse(&a->event->finding, &b->event->finding))
		return -1;
	if (is_worse(&b->event->finding, &a->event->finding))
		return 1;
	if (a->count != b->count)
		return a->count > b->count ? -1 : 1;
	return strcmp(a->fingerprint, b->fingerprint);
}

static int sort(struct summary *summary)
{
	summary->sorted = calloc(table_count(&summary->groups) + 1, sizeof(struct group *));
	if (!summary->sorted)
		return -ENOMEM;
	for (struct table_item *item = summary->groups.oldest; item; item = item->next) {
		struct group *group = (struct group *)item;

		if (group->shown.count && group->kept)
			summary->sorted[summary->count++] = group;
	}
	qsort(summary->sorted, summary->count, sizeof(struct group *), compare);
	return 0;
}

int summary_finish(struct summary *summary, const struct logs *logs)
{
	const enum run_facts_how how = summary->filtered              ? RUN_FACTS_COUNTED
				       : summary->filter.suppressions ? RUN_FACTS_SUPPRESSED
								      : RUN_FACTS_WHOLE;
	int code = count_groups(summary);

	for (size_t i = 0; i < logs_runs(logs) && !code; i++) {
		const struct run_facts *facts = facts_of(summary, i);

		if (!facts)
			return -ENOMEM;
		if (summary->filter.host &&
		    strcmp(summary->filter.host, logs_run_at(logs, i)->host) != 0)
			continue;
		run_facts_sum(facts, logs_run_at(logs, i), how, &summary->facts);
	}
	return code ? code : sort(summary);
}

size_t summary_findings(const struct summary *summary)
{
	return summary->count;
}

const struct summary_finding *summary_finding(const struct summary *summary, size_t n)
{
	return &summary->sorted[n]->shown;
}

const struct summary_finding *summary_find(const struct summary *summary, const char *fingerprint)
{
	const struct group *group = find_group(summary, fingerprint);

	return group && group->shown.count && group->kept ? &group->shown : NULL;
}

size_t summary_skipped(const struct summary *summary)
{
	return summary->skipped_count;
}

const struct summary_skipped *summary_skipped_at(const struct summary *summary, size_t n)
{
	return &summary->skipped[n];
}

const struct summary_facts *summary_facts(const struct summary *summary)
{
	return &summary->facts;
}
