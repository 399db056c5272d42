/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Messages for the person at the terminal, on stderr. Only edges (cli/, watch/loop) call these. */
#ifndef GRADWATCH_BASE_LOG_H
#define GRADWATCH_BASE_LOG_H

#include <stddef.h>

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

/* Messages above this level are dropped. Default: LOG_INFO. */
void log_set_level(enum log_level level);

/* One line "gradwatch: [error|warning: ]text" on stderr, control characters escaped. */
void log_message(enum log_level level, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/*
 * Lines go to write from now on, instead of directly to stderr, where the caller may have to wait
 * for a reader. NULL: directly.
 */
void log_set_writer(void (*write)(void *context, const char *line, size_t length), void *context);

#define log_error(...) log_message(LOG_ERROR, __VA_ARGS__)
#define log_warn(...)  log_message(LOG_WARN, __VA_ARGS__)
#define log_info(...)  log_message(LOG_INFO, __VA_ARGS__)
#define log_debug(...) log_message(LOG_DEBUG, __VA_ARGS__)

#endif
