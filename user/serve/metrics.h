/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Prometheus' text format, version 0.0.4
 * (https://prometheus.io/docs/instrumenting/exposition_formats/). Labels have few values each, all
 * from tables of gradwatch's own: no pid, path, line or container, which would be a time series
 * each.
 */
#ifndef GRADWATCH_SERVE_METRICS_H
#define GRADWATCH_SERVE_METRICS_H

#include <stdio.h>

#include "serve/snapshot.h"

#define METRICS_CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"

/* Writes all metrics of a snapshot. */
void metrics_write(FILE *stream, const struct snapshot *snapshot);

#endif
