/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The options of gradwatch report. */
#ifndef GRADWATCH_CLI_REPORT_OPTIONS_H
#define GRADWATCH_CLI_REPORT_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct report_options {
	char *since, *until;         /* RFC 3339 in UTC, or the first part of it; NULL: not given */
	const char *host;            /* NULL: all */
	uint64_t trace;              /* 0: none */
	char *baseline;              /* NULL: none */
	const char *html, *perfetto; /* files that are written; NULL: none */
	const char *torch_trace;     /* folder of PyTorch's logs; NULL: none */
	bool replay;                 /* the model is given its inputs again */
	bool fast; /* of records with a right checksum only what is asked is parsed */
};

/*
 * Checks a time, and brings it into the form that times of records begin with (in place). option:
 * its name, for the error. -EINVAL.
 */
int report_options_time(const char *option, char *text, struct err *err);

int report_options_trace(struct report_options *options, const char *text, struct err *err);

#endif
