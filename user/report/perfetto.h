/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A history in the trace event format of Chrome, for ui.perfetto.dev: traces and times with grad
 * off as slices, findings as instants. A finding has its whole stack the first time, and later the
 * user's line only, as slices have: stacks of all would be most of the file.
 *
 * Times are relative, as torch.profiler has them: us since baseTimeNanoseconds (of 1970 in UTC),
 * which is the begin of the quarter of a year (Kineto counts quarters of 7,889,238 s from 1970 on).
 * So the events of both files are on one clock. Processes and threads have numbers of their own,
 * which no process of Linux has: the tracks of both do not mix.
 */
#ifndef GRADWATCH_REPORT_PERFETTO_H
#define GRADWATCH_REPORT_PERFETTO_H

#include <stdio.h>

#include "report/history.h"

#define PERFETTO_QUARTER_S 7889238u
#define PERFETTO_FIRST_ID  1073741824u /* of a process; beyond PID_MAX_LIMIT */

/* -ENOMEM. */
int perfetto_write(FILE *stream, const struct history *history);

#endif
