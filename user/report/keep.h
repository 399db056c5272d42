/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A decoded finding that outlives its record (private to report/). */
#ifndef GRADWATCH_REPORT_KEEP_H
#define GRADWATCH_REPORT_KEEP_H

#include "report/decode.h"

struct kept {
	struct event event;
	const char *host;
	struct event_frame decorated, caller;
	struct event_frame frame[DECODE_FRAMES_MAX];
	struct event_origin origin[DECODE_FRAMES_MAX];
	char strings[];
};

/* Copies it with all that it points to; one free(3) for all. NULL when out of memory. */
struct kept *keep(const struct decoded *decoded, const char *host);

#endif
