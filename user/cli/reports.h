/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reports for other commands than `report`. */
#ifndef GRADWATCH_CLI_REPORTS_H
#define GRADWATCH_CLI_REPORTS_H

#include <stdbool.h>
#include <stdio.h>

/* The report of a log, whole. Negative errno; -ENOENT: there is no segment in the folder. */
int reports_write(FILE *stream, const char *path, bool json);

#endif
