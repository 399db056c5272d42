/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which processes of the host are watched, where a filter says so: BPF's map of them follows it. */
#ifndef GRADWATCH_WATCH_CHOOSE_H
#define GRADWATCH_WATCH_CHOOSE_H

#include <stdbool.h>
#include <stdint.h>

#include "probe/programs.h"
#include "watch/filter.h"

/*
 * What is watched stays so until its memory is gone, as BPF's threads are known to be of a watched
 * process: call this for a process that is not known (exec makes it so).
 *
 * Looks at who a process that has a libtorch is now, as exec may have changed that, and puts it
 * into the map of watched ones, or takes it out. Its children are watched as it is. 0, or negative
 * errno: it is to be watched, and the map is full.
 */
int choose_process(const struct filter *filter, struct programs *programs, uint32_t pid,
		   bool *chosen);

#endif
