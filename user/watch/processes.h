/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The processes that have libtorch mapped: what BPF cannot tell of them is read from /proc while
 * they live, as a finding may be shown when they are gone. Bounded; the oldest make room.
 */
#ifndef GRADWATCH_WATCH_PROCESSES_H
#define GRADWATCH_WATCH_PROCESSES_H

#include <stdbool.h>

#include "model/event.h"

#define PROCESSES_MAX 16384

struct processes;

struct processes *processes_new(void);
void processes_free(struct processes *processes);

/*
 * The process that has this pid now; read from /proc and added when it was not known (*is_new).
 * NULL when it is gone or memory is short. It stays the table's.
 */
const struct event_process *processes_note(struct processes *processes, uint32_t pid, bool *is_new);

/* A child was forked: it has what its parent has, so it is known at once if the parent is. */
const struct event_process *processes_fork(struct processes *processes, uint32_t parent,
					   uint32_t child);

/* What is known of a process, by pid and start time; NULL when nothing. */
const struct event_process *processes_find(struct processes *processes, uint32_t pid,
					   uint64_t start_time);

#endif
