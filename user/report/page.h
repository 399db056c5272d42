/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The report as one page of HTML: it needs no network and no other file. What comes of logs is in
 * one block of base64, and page.js puts it into text nodes only.
 */
#ifndef GRADWATCH_REPORT_PAGE_H
#define GRADWATCH_REPORT_PAGE_H

#include <stdio.h>

#include "report/history.h"
#include "report/report.h"

#define PAGE_BYTES_MAX    2000000 /* of the whole page */
#define PAGE_FINDINGS_MAX 1000    /* that are shown */

/* How much of a history and a report is put on a page. */
struct page_limits {
	size_t findings, traces, changes, marks;
};

/* The data of a page as JSON. The history gets names and stacks of findings, too. -ENOMEM. */
int page_data(FILE *stream, const struct report *report, struct history *history,
	      const struct page_limits *limits);

/* The page. If it would be larger than PAGE_BYTES_MAX, it has less, and says so. -ENOMEM. */
int page_write(FILE *stream, const struct report *report, struct history *history);

#endif
