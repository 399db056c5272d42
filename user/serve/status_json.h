/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A snapshot with its processes as one line of JSON (README, "Status"). */
#ifndef GRADWATCH_SERVE_STATUS_JSON_H
#define GRADWATCH_SERVE_STATUS_JSON_H

#include "serve/snapshot.h"

/* malloc'ed, with a final newline; *length without the NUL. NULL: out of memory. */
char *status_json(const struct snapshot *snapshot, size_t *length);

#endif
