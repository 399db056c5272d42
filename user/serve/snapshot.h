/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * serve: what gradwatch shows of itself while it runs: the status socket, Prometheus metrics, and
 * what systemd is notified of. All of them show the same snapshot.
 *
 * The order of files: snapshot (what there is) -> status_json, metrics (pure: how it is written)
 * -> status_socket, http, textfile, notify (where it goes) -> serve (which of them there are).
 */
#ifndef GRADWATCH_SERVE_SNAPSHOT_H
#define GRADWATCH_SERVE_SNAPSHOT_H

#include "output/sink.h"
#include "watch/service.h"

/* What gradwatch itself takes. */
struct snapshot_cost {
	uint64_t cpu_ns;      /* processor time of all threads since its start */
	uint64_t rss_bytes;   /* resident memory */
	uint64_t descriptors; /* open ones */
	uint64_t max_descriptors;
	uint64_t start_ns; /* of the process, CLOCK_REALTIME */
};

/* How often there was a finding, by kind of trace and severity: each occurrence. */
struct snapshot_findings {
	uint64_t count[TRACE_KIND_MAX][SEVERITY_MAX];
};

struct snapshot {
	const struct sink_context *context; /* host and clock */
	const struct watch *watch;
	const struct snapshot_findings *findings;
	uint64_t now; /* ns, CLOCK_MONOTONIC */
	struct event_totals totals;
	struct watch_load load;
	struct snapshot_cost cost;
	uint64_t covered[COVERAGE_MAX]; /* processes that live, by coverage */
};

/* Reads all of it now. What cannot be read of the cost is 0. */
void snapshot_take(struct snapshot *snapshot, const struct sink_context *context,
		   const struct watch *watch, const struct snapshot_findings *findings);

#endif
