// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <jansson.h>
#include <string.h>

#include "base/str.h"
#include "log/counters.h"
#include "log/format.h"
#include "model/advice.h"
#include "output/common.h"
#include "report/report.h"

#define STRING_MAX 4096

/* To put NULL, which is what Jansson gives without memory, fails. */
struct object {
	json_t *json;
	bool failed;
};

static void put(struct object *object, const char *key, json_t *value)
{
	object->failed |= json_object_set_new(object->json, key, value) != 0;
}

static void put_number(struct object *object, const char *key, uint64_t number)
{
	put(object, key, json_integer((json_int_t)(number & INT64_MAX)));
}

/* "" is null. */
static void put_string(struct object *object, const char *key, const char *string)
{
	char utf8[3 * STRING_MAX + 1];
	size_t length = str_to_utf8(utf8, sizeof(utf8), string, strnlen(string, STRING_MAX));

	put(object, key, length ? json_stringn(utf8, length) : json_null());
}

static void put_place(struct object *object, const char *key, const struct event_frame *frame)
{
	struct object place = {.json = json_object()};

	if (!frame) {
		json_decref(place.json);
		put(object, key, json_null());
		return;
	}
	put_string(&place, "file", frame->file);
	put_string(&place, "function", frame->function);
	put(&place, "line", frame->line ? json_integer(frame->line) : json_null());
	object->failed |= place.failed;
	put(object, key, place.json);
}

static void put_known(struct object *object, const char *key, const char *text)
{
	if (text && *text)
		put_string(object, key, text);
	else
		put(object, key, json_null());
}

/* As in a log's records. */
static void put_cgroup(struct object *object, const struct event_cgroup *cgroup)
{
	struct object container = {.json = NULL};

	put_known(object, log_fields[FIELD_CGROUP], cgroup->path);
	put_known(object, log_fields[FIELD_UNIT], cgroup->unit);
	if (!cgroup->container || !*cgroup->container) {
		put(object, log_fields[FIELD_CONTAINER], json_null());
		return;
	}
	container.json = json_object();
	put_known(&container, log_fields[FIELD_ID], cgroup->container);
	put_known(&container, log_fields[FIELD_RUNTIME], cgroup->runtime);
	put_known(&container, log_fields[FIELD_POD_UID], cgroup->pod);
	put(object, log_fields[FIELD_CONTAINER], container.json);
	object->failed |= container.failed;
}

static json_t *make_finding(const struct report *report, const struct summary_finding *finding,
			    bool *failed)
{
	const struct event *event = finding->event;
	struct object object = {.json = json_object()};

	put_string(&object, "fingerprint", finding->fingerprint);
	put_string(&object, "severity", output_severity(event->finding.severity));
	put_string(&object, "category", output_category(event->finding.category));
	put_string(&object, "kind", kind_name(event->finding.kind));
	put_string(&object, "change", report_change_word(report, finding));
	put_number(&object, "count", finding->count);
	put_number(&object, "processes", finding->processes);
	put_number(&object, "runs", finding->runs);
	put_number(&object, "restored", finding->restored[RESTORED_YES]);
	put_number(&object, "not_restored", finding->restored[RESTORED_NO]);
	put_number(&object, "restored_unknown", finding->restored[RESTORED_UNKNOWN]);
	put_string(&object, "first", finding->first);
	put_string(&object, "last", finding->last);
	put_place(&object, "place", event_place(event));
	put_place(&object, "user", event_user_frame(&event->stack));
	put_string(&object, "host", finding->host);
	put_number(&object, "pid", event->process.pid);
	put_string(&object, "comm", event->process.comm);
	put_string(&object, "exe", event->process.exe);
	put_cgroup(&object, &event->process.cgroup);
	put_string(&object, "torch", event->torch.version);
	put_string(&object, "advice",
		   advice_key(event->finding.advice) ? advice_key(event->finding.advice) : "");
	put_string(&object, "suppressed_by",
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
	put(report_object, key, list);
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
	put(report_object, "gone", list);
}

static void put_totals(struct object *report_object, const struct event_totals *totals)
{
	struct object object = {.json = json_object()}, ledger = {.json = json_object()},
		      counters = {.json = json_object()};

	put_number(&object, "processes", totals->processes);
	put_number(&object, "traces", totals->traces);
	put_number(&object, "violations", totals->violations);
	put_number(&object, "infos", totals->infos);
	put_number(&object, "findings", totals->findings);
	put_number(&object, "notes", totals->notes);
	put_number(&object, "suppressed", totals->suppressed);
	put_number(&object, "lost", totals->lost);
	put_number(&object, "lost_output", totals->lost_output);
	for (unsigned int i = 0; i < GW_COUNTER_MAX; i++)
		put_number(i <= GW_THROTTLED ? &ledger : &counters, log_counters[i],
			   totals->counter[i]);
	put(&object, "ledger", ledger.json);
	put(&object, "counters", counters.json);
	report_object->failed |= object.failed || ledger.failed || counters.failed;
	put(report_object, "totals", object.json);
}

static void put_read(struct object *report_object, const struct report *report)
{
	const struct logs_state *state = logs_state(report->logs);
	const struct summary_facts *facts = summary_facts(report->summary);
	struct object object = {.json = json_object()};

	put_number(&object, "files", state->files);
	put_number(&object, "records", state->records);
	put_number(&object, "damages", report->damages);
	put_number(&object, "unknown", state->unknown);
	put_number(&object, "newer", state->newer);
	put_number(&object, "duplicates", state->duplicates);
	put_number(&object, "runs", logs_runs(report->logs));
	put_number(&object, "runs_without_end", facts->runs_without_end);
	put_number(&object, "skipped", facts->skipped);
	put_number(&object, "too_late", facts->too_late);
	put_string(&object, "first", facts->first);
	put_string(&object, "last", facts->last);
	report_object->failed |= object.failed;
	put(report_object, "read", object.json);
}

static json_t *make_differences(const struct replay_result *result, bool *failed)
{
	json_t *list = json_array();

	for (size_t i = 0; i < result->shown_count; i++) {
		const struct replay_difference *one = &result->shown[i];
		struct object object = {.json = json_object()};

		put_number(&object, "seq", one->seq);
		put_string(&object, "logged", one->logged);
		put_string(&object, "replayed", one->made);
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
		object = (struct object){.json = json_object()};
		put_string(&object, "run_id", logs_run_at(report->logs, i)->id);
		put_number(&object, "inputs", result->inputs);
		put_number(&object, "compared", result->compared);
		put_number(&object, "different", result->differences);
		put_string(&object, "not_comparable", result->why);
		put(&object, "differences", make_differences(result, &object.failed));
		report_object->failed |= object.failed;
		report_object->failed |= json_array_append_new(list, object.json) != 0;
	}
	put(report_object, "replay", list);
}

int report_json(FILE *stream, const struct report *report)
{
	struct object object = {.json = json_object()};
	char *text;

	put_number(&object, "v", LOG_SCHEMA);
	put_string(&object, "type", "report");
	put_findings(&object, "findings", report);
	put_gone(&object, report);
	put_totals(&object, &summary_facts(report->summary)->totals);
	put_read(&object, report);
	if (report->replay)
		put_replays(&object, report);
	put_string(&object, "unknown", report->unknown);
	put_string(&object, "unknown_baseline",
		   report->unknown_baseline ? report->unknown_baseline : "");
	text = object.failed ? NULL : json_dumps(object.json, JSON_COMPACT);
	json_decref(object.json);
	if (!text)
		return -ENOMEM;
	fputs(text, stream);
	fputc('\n', stream);
	free(text);
	return 0;
}
