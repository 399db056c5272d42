/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The options about the log: --log-level, --log-sync, --log-rotate. */
#ifndef GRADWATCH_CLI_LOG_OPTIONS_H
#define GRADWATCH_CLI_LOG_OPTIONS_H

#include "base/err.h"
#include "output/sink.h"

struct log_options {
	enum log_detail level;
	struct segments_config segments; /* path NULL: no log */
};

void log_options_defaults(struct log_options *options);

/* Each takes an option's value. -EINVAL with a line that says what is known. */
int log_options_level(struct log_options *options, const char *text, struct err *err);
int log_options_sync(struct log_options *options, const char *text, struct err *err);
int log_options_rotate(struct log_options *options, const char *text, struct err *err);

#endif
