// SPDX-License-Identifier: GPL-2.0-or-later
#include "log/counters.h"

const char *const log_counters[GW_COUNTER_MAX] = {
	[GW_HITS] = "hits",
	[GW_REPORTED] = "reported",
	[GW_REDUNDANT] = "redundant",
	[GW_OUTSIDE] = "outside_trace",
	[GW_FILTERED] = "filtered",
	[GW_LOST] = "lost",
	[GW_THROTTLED] = "throttled",
	[GW_DRIFTS] = "drifts",
	[GW_UNREADABLE] = "unreadable",
	[GW_THREADS_FULL] = "threads_full",
	[GW_TRACES_FULL] = "traces_full",
	[GW_NESTING_FULL] = "nesting_full",
	[GW_PROCESSES_FULL] = "processes_full",
	[GW_CODES_LOST] = "codes_lost",
	[GW_TRACES_LOST] = "traces_lost",
	[GW_DRIFTS_LOST] = "drifts_lost",
	[GW_NAMES_LOST] = "names_lost",
	[GW_ASKS_LOST] = "asks_lost",
	[GW_INTERPRETERS_FULL] = "interpreters_full",
	[GW_ENFORCED_FULL] = "enforced_full",
	[GW_DECISIONS_FULL] = "decisions_full",
	[GW_FORKS_LOST] = "forks_lost",
};
