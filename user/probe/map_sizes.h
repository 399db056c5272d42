/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How much kernel memory the maps take: only what this kernel and these options need. */
#ifndef GRADWATCH_PROBE_MAP_SIZES_H
#define GRADWATCH_PROBE_MAP_SIZES_H

#include "probe/programs.h"

struct process_bpf;

/* Sizes the maps of an object that is open and not loaded yet. Returns 0 or a negative errno. */
int map_sizes_set(struct process_bpf *process, const struct programs_options *options);

#endif
