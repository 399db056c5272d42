/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The rights of gradwatch while it watches: of what root may do, those that this run can need. The
 * others are dropped before anything of a target is read, for good: from the bounding set too, and
 * with no_new_privs. The command is forked before that, and so has all that gradwatch was given.
 */
#ifndef GRADWATCH_WATCH_RIGHTS_H
#define GRADWATCH_WATCH_RIGHTS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

/* What a run does besides looking at processes and reporting. */
struct rights_needs {
	bool perf_uprobes; /* probes are perf events: see plans_attach_type() */
	bool acts;         /* --on-violation */
	bool signals;      /* a command, that signals are passed on to */
	bool overrides;    /* makes files where only another user may: the folder of a log */
};

/* The names of the capabilities that rights_drop() would keep. */
void rights_names(const struct rights_needs *needs, char *out, size_t size);

/*
 * Drops what is not needed. There is one thread only. What was not there is not missed here. 0, or
 * negative errno with the cause.
 */
int rights_drop(const struct rights_needs *needs, struct err *err);

#endif
