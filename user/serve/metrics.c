// SPDX-License-Identifier: GPL-2.0-or-later
#include "serve/metrics.h"

#include <inttypes.h>

#include "gradwatch/version.h"
#include "log/counters.h"
#include "log/format.h"
#include "model/kinds.h"
#include "output/common.h"

#define NS_PER_SEC 1e9

/* What of a metric's family comes before its values. */
static void begin(FILE *stream, const char *name, const char *type, const char *help)
{
	fprintf(stream, "# HELP gradwatch_%s %s\n# TYPE gradwatch_%s %s\n", name, help, name, type);
}

static void value(FILE *stream, const char *name, uint64_t number)
{
	fprintf(stream, "gradwatch_%s %" PRIu64 "\n", name, number);
}

/* A family with one value. */
static void put(FILE *stream, const char *name, const char *type, const char *help, uint64_t number)
{
	begin(stream, name, type, help);
	value(stream, name, number);
}

/* A value with one label, whose values are gradwatch's own words: none needs escaping. */
static void labelled(FILE *stream, const char *name, const char *label, const char *word,
		     uint64_t number)
{
	fprintf(stream, "gradwatch_%s{%s=\"%s\"} %" PRIu64 "\n", name, label, word, number);
}

static void put_self(FILE *stream, const struct snapshot *snapshot)
{
	const struct snapshot_cost *cost = &snapshot->cost;

	begin(stream, "build_info", "gauge", "1, with the version of gradwatch.");
	fprintf(stream, "gradwatch_build_info{version=\"%s\",schema=\"%d\"} 1\n", GRADWATCH_VERSION,
		LOG_SCHEMA);
	put(stream, "ready", "gauge",
	    "1 when what was mapped at the start is probed, 0 before that.", snapshot->load.armed);
	/* Names that Prometheus' own client libraries have. */
	fprintf(stream,
		"# HELP process_cpu_seconds_total Processor time of gradwatch in seconds.\n"
		"# TYPE process_cpu_seconds_total counter\n"
		"process_cpu_seconds_total %.6f\n"
		"# HELP process_resident_memory_bytes Resident memory of gradwatch.\n"
		"# TYPE process_resident_memory_bytes gauge\n"
		"process_resident_memory_bytes %" PRIu64 "\n"
		"# HELP process_open_fds Open file descriptors of gradwatch.\n"
		"# TYPE process_open_fds gauge\n"
		"process_open_fds %" PRIu64 "\n"
		"# HELP process_max_fds How many it may have.\n"
		"# TYPE process_max_fds gauge\n"
		"process_max_fds %" PRIu64 "\n"
		"# HELP process_start_time_seconds When gradwatch was started, since 1970.\n"
		"# TYPE process_start_time_seconds gauge\n"
		"process_start_time_seconds %.3f\n",
		(double)cost->cpu_ns / NS_PER_SEC, cost->rss_bytes, cost->descriptors,
		cost->max_descriptors, (double)cost->start_ns / NS_PER_SEC);
}

static void put_coverage(FILE *stream, const struct snapshot *snapshot)
{
	const struct event_coverage *coverage = &snapshot->totals.coverage;

	begin(stream, "processes", "gauge",
	      "Living processes that have PyTorch, by what can be seen of them.");
	for (unsigned int i = 0; i < COVERAGE_MAX; i++)
		labelled(stream, "processes", "coverage", coverage_name(i), snapshot->covered[i]);
	put(stream, "processes_seen_total", "counter", "Processes that had PyTorch.",
	    snapshot->totals.processes);
	put(stream, "files", "gauge", "Files that these processes map and gradwatch knows.",
	    snapshot->load.files);
	put(stream, "probed_files", "gauge", "Of these, libtorch files with probes.",
	    snapshot->load.probed);
	begin(stream, "not_covered_total", "counter", "What was not looked at, by cause.");
	labelled(stream, "not_covered_total", "cause", "ended_first", coverage->missed);
	labelled(stream, "not_covered_total", "cause", "mapping_lost", coverage->mappings_lost);
	labelled(stream, "not_covered_total", "cause", "process_refused", coverage->refused);
	labelled(stream, "not_covered_total", "cause", "file_refused", coverage->files_refused);
}

static void put_findings(FILE *stream, const struct snapshot *snapshot)
{
	put(stream, "traces_total", "counter", "Traces that have begun.", snapshot->totals.traces);
	put(stream, "violations_total", "counter",
	    "Changes of the grad mode inside traces of the chosen kinds.",
	    snapshot->totals.violations);
	begin(stream, "findings_total", "counter",
	      "Occurrences of findings, by kind of trace and severity.");
	for (unsigned int kind = 0; kind < TRACE_KIND_MAX; kind++)
		for (unsigned int severity = 0; severity < SEVERITY_MAX; severity++)
			fprintf(stream,
				"gradwatch_findings_total{kind=\"%s\",severity=\"%s\"} %" PRIu64
				"\n",
				kind_name(kind), output_severity(severity),
				snapshot->findings->count[kind][severity]);
	begin(stream, "actions_total", "counter", "What was done about violations, by outcome.");
	for (unsigned int i = 0; i < ACTION_OUTCOME_MAX; i++)
		labelled(stream, "actions_total", "outcome", output_outcome(i),
			 snapshot->totals.actions[i]);
}

/* Every call of the setter has one outcome, so their sum is the number of hits. */
static void put_ledger(FILE *stream, const struct snapshot *snapshot)
{
	const uint64_t *counter = snapshot->totals.counter;

	begin(stream, "setter_calls_total", "counter",
	      "Calls of the grad-mode setter, by outcome; the sum is all calls.");
	for (unsigned int i = GW_REPORTED; i <= GW_THROTTLED; i++)
		labelled(stream, "setter_calls_total", "outcome", log_counters[i], counter[i]);
	begin(stream, "lost_total", "counter",
	      "What was dropped, by stage: it is missing in events and logs.");
	labelled(stream, "lost_total", "stage", "change", counter[GW_LOST]);
	labelled(stream, "lost_total", "stage", "throttled", counter[GW_THROTTLED]);
	labelled(stream, "lost_total", "stage", "output", snapshot->totals.lost_output);
	labelled(stream, "lost_total", "stage", "bad_record",
		 snapshot->totals.coverage.bad_records);
	for (unsigned int i = GW_UNREADABLE; i < GW_COUNTER_MAX; i++)
		labelled(stream, "lost_total", "stage", log_counters[i], counter[i]);
}

void metrics_write(FILE *stream, const struct snapshot *snapshot)
{
	put_self(stream, snapshot);
	put_coverage(stream, snapshot);
	put_findings(stream, snapshot);
	put_ledger(stream, snapshot);
}
