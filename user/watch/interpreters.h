/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which Python a process runs, and where: told to BPF when the process maps libtorch, so that
 * stacks can be walked from the first event on. Files are inspected once, whoever runs them.
 */
#ifndef GRADWATCH_WATCH_INTERPRETERS_H
#define GRADWATCH_WATCH_INTERPRETERS_H

#include <stdint.h>

#include "gradwatch/abi.h"

#define INTERPRETERS_MAX 64 /* different files that are remembered */

struct interpreters;

/* NULL when out of memory; NULL-safe. */
struct interpreters *interpreters_new(void);
void interpreters_free(struct interpreters *interpreters);

/* The Python of a process. */
struct interpreter_found {
	struct gw_interpreter interpreter; /* what BPF is told */
	uint64_t err_format;               /* addresses as in inspect/python.h, 0: not there */
	uint64_t runtime_error;
	char path[4096];  /* as the process's root sees it */
	char reason[256]; /* why its stacks are not known, "" when they are */
};

/*
 * Looks for the Python of a process, in its program or in a libpython. 0, also for one whose stacks
 * are not known; -ENOENT: it has none; or why it could not be looked at.
 */
int interpreters_find(struct interpreters *interpreters, uint32_t pid,
		      struct interpreter_found *found);

#endif
