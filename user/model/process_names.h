/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The names that the resolver gives to a process, as one string: for inputs (inputs.h). */
#ifndef GRADWATCH_MODEL_PROCESS_NAMES_H
#define GRADWATCH_MODEL_PROCESS_NAMES_H

#include "model/event.h"

#define PROCESS_NAMES_MAX 8192

/* Those of the cgroup, each ended by a newline, which none of them has; then the program's path. */
void process_names_join(char out[PROCESS_NAMES_MAX], const struct event_process *process);

/*
 * Takes a string apart, in place: the cgroup's names point into it. One that is not made by
 * process_names_join() gives no names.
 */
void process_names_split(char *names, struct event_process *process);

#endif
