// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <string.h>

#include "base/object.h"
#include "log/counters.h"
#include "log/format.h"
#include "model/advice.h"
#include "output/common.h"
#include "report/report.h"

/* A place in source; NULL is null. */
static void put_place(struct object *object, const char *key, const struct event_frame *frame)
{
	struct object place;

	if (!frame) {
		object_put(object, key, json_null());
		return;
	}
	place = object_new();
	object_string(&place, "file", frame->file);
	object_string(&place, "function", frame->function);
	object_put(&place, "line", frame->line ? json_integer(frame->line) : json_null());
	object_add(object, key, &place);
}

/* As in a log's records. */
static void put_cgroup(struct object *object, const struct event_cgroup *cgroup)
{
	struct object container;

	object_string(object, log_fields[FIELD_CGROUP], cgroup->path);
	object_string(object, log_fields[FIELD_UNIT], cgroup->unit);
	if (!cgroup->container || !*cgroup->container) {
		object_put(object, log_fields[FIELD_CONTAINER], json_null());
		return;
	}
	container = object_new();
	object_string(&container, log_fields[FIELD_ID], cgroup->container);
	object_string(&container, log_fields[FIELD_RUNTIME], cgroup->runtime);
	object_string(&container, log_fields[FIELD_POD_UID], cgroup->pod);
	object_add(object, log_fields[FIELD_CONTAINER], &container);
}

static json_t *make_finding(const struct report *report, const struct summary_finding *finding,
			    bool *failed)
{
	const struct event *event = finding->event;
	struct object object = object_new();

	object_string(&object, "fingerprint", finding->fingerprint);
	object_string(&object, "severity", output_severity(event->finding.severity));
	object_string(&object, "category", output_category(event->finding.category));
	object_string(&object, "kind", kind_name(event->finding.kind));
	object_string(&object, "change", report_change_word(report, finding));
	object_number(&object, "count", finding->count);
	object_number(&object, "processes", finding->processes);
	object_number(&object, "runs", finding->runs);
	object_number(&object, "restored", finding->restored[RESTORED_YES]);
	object_number(&object, "not_restored", finding->restored[RESTORED_NO]);
	object_number(&object, "restored_unknown", finding->restored[RESTORED_UNKNOWN]);
	object_string(&object, "first", finding->first);
	object_string(&object, "last", finding->last);
	put_place(&object, "place", event_place(event));
	put_place(&object, "user", event_user_frame(&event->stack));
	object_string(&object, "host", finding->host);
	object_number(&object, "pid", event->process.pid);
	object_string(&object, "comm", event->process.comm);
	object_string(&object, "exe", event->process.exe);
	put_cgroup(&object, &event->process.cgroup);
	object_string(&object, "torch", event->torch.version);
	object_string(&object, "advice",
		      advice_key(event->finding.advice) ? advice_key(event->finding.advice) : "");
	object_string(&object, "suppressed_by",
		      event->finding.suppression ? event->finding.suppression : "");
	*failed |= object.failed;
	return object.json;
}

static void put_findings(struct object *report_object, const char *key, const struct report *report)
{
	json_t *list = json_array();

	for (size_t i = 0; i < summary_findings(report->summary); i++)
		report_object->failed |=
			json_array_append_new(
				list, make_finding(report, summary_finding(report->summary, i),
						   &report_object->failed)) != 0;
	object_put(report_object, key, list);
}

static void put_gone(struct object *report_object, const struct report *report)
{
	json_t *list = json_array();

	for (size_t i = 0; report->baseline && i < summary_findings(report->baseline); i++) {
		const struct summary_finding *before = summary_finding(report->baseline, i);

		if (!summary_find(report->summary, before->fingerprint))
			report_object->failed |=
				json_array_append_new(list, json_string(before->fingerprint)) != 0;
	}
	object_put(report_object, "gone", list);
}

static void put_totals(struct object *report_object, const struct event_totals *totals)
{
	struct object object = object_new(), ledger = object_new(), counters = object_new();

	object_number(&object, "processes", totals->processes);
	object_number(&object, "traces", totals->traces);
	object_number(&object, "violations", totals->violations);
	object_number(&object, "infos", totals->infos);
	object_number(&object, "findings", totals->findings);
	object_number(&object, "notes", totals->notes);
	object_number(&object, "suppressed", totals->suppressed);
	object_number(&object, "lost", totals->lost);
	object_number(&object, "lost_output", totals->lost_output);
	for (unsigned int i = 0; i < GW_COUNTER_MAX; i++)
		object_number(i <= GW_THROTTLED ? &ledger : &counters, log_counters[i],
			      totals->counter[i]);
	object_add(&object, "ledger", &ledger);
	object_add(&object, "counters", &counters);
	object_add(report_object, "totals", &object);
}

static void put_read(struct object *report_object, const struct report *report)
{
	const struct logs_state *state = logs_state(report->logs);
	const struct summary_facts *facts = summary_facts(report->summary);
	struct object object = object_new();

	object_number(&object, "files", state->files);
	object_number(&object, "records", state->records);
	object_number(&object, "damages", report->damages);
	object_number(&object, "unknown", state->unknown);
	object_number(&object, "newer", state->newer);
	object_number(&object, "duplicates", state->duplicates);
	object_number(&object, "runs", logs_runs(report->logs));
	object_number(&object, "runs_without_end", facts->runs_without_end);
	object_number(&object, "skipped", facts->skipped);
	object_number(&object, "too_late", facts->too_late);
	object_string(&object, "first", facts->first);
	object_string(&object, "last", facts->last);
	object_add(report_object, "read", &object);
}

static json_t *make_differences(const struct replay_result *result, bool *failed)
{
	json_t *list = json_array();

	for (size_t i = 0; i < result->shown_count; i++) {
		const struct replay_difference *one = &result->shown[i];
		struct object object = object_new();

		object_number(&object, "seq", one->seq);
		object_string(&object, "logged", one->logged);
		object_string(&object, "replayed", one->made);
		*failed |= object.failed;
		*failed |= json_array_append_new(list, object.json) != 0;
	}
	return list;
}

static void put_replays(struct object *report_object, const struct report *report)
{
	json_t *list = json_array();

	for (size_t i = 0; i < logs_runs(report->logs); i++) {
		const struct replay_result *result = replay_result(report->replay, i);
		struct object object;

		if (!result)
			continue;
		object = object_new();
		object_string(&object, "run_id", logs_run_at(report->logs, i)->id);
		object_number(&object, "inputs", result->inputs);
		object_number(&object, "compared", result->compared);
		object_number(&object, "different", result->differences);
		object_string(&object, "not_comparable", result->why);
		object_put(&object, "differences", make_differences(result, &object.failed));
		report_object->failed |= object.failed;
		report_object->failed |= json_array_append_new(list, object.json) != 0;
	}
	object_put(report_object, "replay", list);
}

int report_json(FILE *stream, const struct report *report)
{
	struct object object = object_new();
	size_t length;
	char *text;

	object_number(&object, "v", LOG_SCHEMA);
	object_string(&object, "type", "report");
	put_findings(&object, "findings", report);
	put_gone(&object, report);
	put_totals(&object, &summary_facts(report->summary)->totals);
	put_read(&object, report);
	if (report->replay)
		put_replays(&object, report);
	object_string(&object, "unknown", report->unknown);
	object_string(&object, "unknown_baseline",
		      report->unknown_baseline ? report->unknown_baseline : "");
	text = object_text(&object, &length);
	if (!text)
		return -ENOMEM;
	fputs(text, stream);
	free(text);
	return 0;
}
