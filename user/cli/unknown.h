/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Whether a run may have missed something, so that its silence proves nothing. Pure. */
#ifndef GRADWATCH_CLI_UNKNOWN_H
#define GRADWATCH_CLI_UNKNOWN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/event.h"

struct unknown_facts {
	const struct event_totals *totals;
	uint64_t skipped;     /* libtorch files that cannot be watched */
	uint64_t too_late;    /* processes that had ended when their probes were in place */
	uint64_t lost_output; /* lines */
};

/*
 * Whether something was not seen, not judged by the thread's own state, or not written. All causes
 * are in reason, joined by "; "; it is cut where it does not fit.
 */
bool unknown_reason(const struct unknown_facts *facts, char *reason, size_t size);

#endif
