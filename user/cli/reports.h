/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reports for other commands than `report`. */
#ifndef GRADWATCH_CLI_REPORTS_H
#define GRADWATCH_CLI_REPORTS_H

/*
 * Reads the log of a folder, and puts into this one its report in all forms: report.txt,
 * report.json, page.html, trace.perfetto.json. Negative errno: what could not be done is logged.
 */
int reports_write(int folder, const char *path);

#endif
