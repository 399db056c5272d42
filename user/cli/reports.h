/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reports for other commands than `report`. */
#ifndef GRADWATCH_CLI_REPORTS_H
#define GRADWATCH_CLI_REPORTS_H

#include <stdbool.h>

/*
 * Reads the log of a folder, and puts into this one its report in all forms: report.txt,
 * report.json, page.html, trace.perfetto.json. replay: of its inputs. Negative errno: what could
 * not be done is logged.
 */
int reports_write(int folder, const char *path, bool replay);

#endif
