/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * HTTP for Prometheus: GET /metrics. libmicrohttpd does the protocol, with an epoll descriptor of
 * its own that the loop waits for; a peer that stops in the middle is cut off after a few seconds.
 */
#ifndef GRADWATCH_SERVE_HTTP_H
#define GRADWATCH_SERVE_HTTP_H

#include <stddef.h>

#include "base/err.h"
#include "base/loop.h"

struct http;

/* The metrics, malloc'ed; NULL: out of memory. */
typedef char *(*http_answer)(void *context, size_t *length);

/*
 * Listens at "ADDRESS:PORT": a numeric address, IPv6 in brackets; without one it is 127.0.0.1.
 */
int http_open(struct http **out, const char *where, struct loop *loop, int order,
	      http_answer answer, void *context, struct err *err);

/* NULL-safe. */
void http_close(struct http *http);

#endif
