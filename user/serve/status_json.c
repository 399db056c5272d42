// SPDX-License-Identifier: GPL-2.0-or-later
#include "serve/status_json.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/object.h"
#include "gradwatch/version.h"
#include "log/format.h"
#include "model/kinds.h"
#include "output/common.h"

#define KEY(name) log_fields[FIELD_##name]

static void put_time(struct object *object, const char *key, const struct sink_context *context,
		     uint64_t monotonic)
{
	char text[CLOCK_RFC3339_SIZE];

	if (!monotonic) {
		object_put(object, key, json_null());
		return;
	}
	clock_rfc3339(text, output_utc(context, monotonic));
	object_string(object, key, text);
}

/* "3.11"; null when unknown. */
static void put_python(struct object *object, uint16_t python)
{
	char text[16];

	snprintf(text, sizeof(text), "%d.%d", python >> 8, python & 0xff);
	object_string(object, "python", python ? text : NULL);
}

static void put_container(struct object *object, const struct cgroup_names *names)
{
	struct object container;

	object_string(object, KEY(CGROUP), names ? names->path : NULL);
	object_string(object, KEY(UNIT), names ? names->unit : NULL);
	if (!names || !names->container[0]) {
		object_put(object, KEY(CONTAINER), json_null());
		return;
	}
	container = object_new();
	object_string(&container, KEY(ID), names->container);
	object_string(&container, KEY(RUNTIME), names->runtime);
	object_string(&container, KEY(POD_UID), names->pod);
	object_add(object, KEY(CONTAINER), &container);
}

static void put_who(struct object *object, const struct process *process)
{
	object_number(object, KEY(PID), process->pid);
	object_number(object, KEY(NS_PID), process->ns_pid);
	object_number(object, KEY(START_NS), process->start_time);
	object_string(object, KEY(COMM), process->comm);
	object_number(object, KEY(UID), process->uid);
	object_string(object, KEY(EXE), process->exe);
	put_container(object, process->cgroup);
}

struct listing {
	const struct snapshot *snapshot;
	json_t *list;
	bool failed;
};

static void add_process(void *context, const struct coverage_process *process)
{
	struct listing *listing = context;
	struct object object = object_new(), torch = object_new();

	put_who(&object, process->process);
	object_string(&object, "coverage", coverage_name(process->coverage));
	object_string(&object, KEY(REASON), process->reason);
	object_string(&torch, KEY(FILE), process->torch.file);
	object_string(&torch, KEY(VERSION), process->torch.version);
	object_add(&object, KEY(TORCH), &torch);
	put_python(&object, process->python);
	object_number(&object, KEY(TRACES), process->process->traces);
	object_number(&object, KEY(CHANGES), process->process->changes);
	object_number(&object, KEY(FINDINGS), process->process->findings);
	put_time(&object, "last_event", listing->snapshot->context, process->process->last_event);
	listing->failed |= object.failed || json_array_append_new(listing->list, object.json);
}

static void put_processes(struct object *object, const struct snapshot *snapshot)
{
	struct listing listing = {snapshot, json_array(), false};
	struct object covered = object_new();

	for (unsigned int i = 0; i < COVERAGE_MAX; i++)
		object_number(&covered, coverage_name(i), snapshot->covered[i]);
	object_add(object, "covered", &covered);
	watch_processes(snapshot->watch, add_process, &listing);
	object->failed |= listing.failed;
	object_put(object, "table", listing.list);
}

static void put_findings(struct object *object, const struct snapshot_findings *findings)
{
	struct object kinds = object_new();

	for (unsigned int kind = 0; kind < TRACE_KIND_MAX; kind++) {
		struct object severities = object_new();

		for (unsigned int i = 0; i < SEVERITY_MAX; i++)
			object_number(&severities, output_severity(i), findings->count[kind][i]);
		object_add(&kinds, kind_name(kind), &severities);
	}
	object_add(object, "occurrences", &kinds);
}

static void put_cost(struct object *object, const struct snapshot *snapshot)
{
	const struct snapshot_cost *cost = &snapshot->cost;
	struct object own = object_new();

	object_number(&own, "cpu_ns", cost->cpu_ns);
	object_number(&own, "rss_bytes", cost->rss_bytes);
	object_number(&own, "descriptors", cost->descriptors);
	object_number(&own, "max_descriptors", cost->max_descriptors);
	object_number(&own, "processes", snapshot->load.processes);
	object_number(&own, "files", snapshot->load.files);
	object_number(&own, "probed_files", snapshot->load.probed);
	object_add(object, "cost", &own);
}

/* The record that a log has of the same numbers. */
static void put_totals(struct object *object, const struct snapshot *snapshot)
{
	const struct event event = {
		.type = EVENT_TOTALS, .time = snapshot->now, .totals = snapshot->totals};
	size_t length = 0;
	char *text = event_to_json(snapshot->context, &event, &length);

	object_put(object, KEY(TOTALS), text ? json_loads(text, 0, NULL) : NULL);
	free(text);
}

char *status_json(const struct snapshot *snapshot, size_t *length)
{
	struct object object = object_new();

	object_number(&object, KEY(V), LOG_SCHEMA);
	object_string(&object, KEY(TYPE), "status");
	put_time(&object, KEY(TIME), snapshot->context, snapshot->now);
	object_string(&object, KEY(HOST), snapshot->context->identity.host);
	object_string(&object, KEY(BOOT_ID), snapshot->context->identity.boot_id);
	object_string(&object, KEY(RUN_ID), snapshot->context->identity.run_id);
	object_number(&object, KEY(PID), (uint64_t)getpid());
	object_string(&object, KEY(GRADWATCH), GRADWATCH_VERSION);
	object_bool(&object, "ready", snapshot->load.armed);
	object_number(&object, "uptime_ns", clock_between(snapshot->load.started, snapshot->now));
	put_cost(&object, snapshot);
	put_totals(&object, snapshot);
	put_findings(&object, snapshot->findings);
	put_processes(&object, snapshot);
	return object_text(&object, length);
}
