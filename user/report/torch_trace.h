/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Findings as records of PyTorch's structured log (TORCH_TRACE), for tlparse. */
#ifndef GRADWATCH_REPORT_TORCH_TRACE_H
#define GRADWATCH_REPORT_TORCH_TRACE_H

#include <stdio.h>

#include "report/history.h"

/* The process that a log is of, as its first line says; in its own pid namespace. 0: not known. */
uint32_t torch_trace_pid(const char *line);

/*
 * Writes the findings of a process (its pid in its own namespace) as artifacts: each once, with its
 * stack. *count: how many. -ENOMEM.
 */
int torch_trace_write(FILE *stream, const struct history *history, const struct summary *summary,
		      uint32_t ns_pid, size_t *count);

#endif
