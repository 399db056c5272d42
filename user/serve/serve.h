/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which of the ways to show a running gradwatch there are: a struct watch_service. */
#ifndef GRADWATCH_SERVE_SERVE_H
#define GRADWATCH_SERVE_SERVE_H

#include "output/sink.h"
#include "watch/service.h"

struct serve_options {
	const char *socket;   /* of status; NULL: none */
	const char *metrics;  /* ADDRESS:PORT; NULL: none */
	const char *textfile; /* NULL: none */
};

struct serve;

/* Whether there is anything to serve, or systemd is to be notified. */
bool serve_is_wanted(const struct serve_options *options);

/* Options and context stay the caller's, as long as it is there. NULL: out of memory. */
struct serve *serve_new(const struct serve_options *options, const struct sink_context *context);
void serve_free(struct serve *serve);

/* Says to systemd that the configuration is being read again, and that it was. */
void serve_reloading(struct serve *serve, bool begins);

/* Fills in what watch_run() calls. */
void serve_service(struct serve *serve, struct watch_service *service);

#endif
