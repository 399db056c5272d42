// SPDX-License-Identifier: GPL-2.0-or-later
#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"

#define MESSAGE_SIZE 4096

static enum log_level max_level = LOG_INFO;

void log_set_level(enum log_level level)
{
	max_level = level;
}

static void (*writer)(void *context, const char *line, size_t length);
static void *writer_context;

void log_set_writer(void (*write)(void *context, const char *line, size_t length), void *context)
{
	writer = write;
	writer_context = context;
}

static const char *level_prefix(enum log_level level)
{
	switch (level) {
	case LOG_ERROR:
		return "error: ";
	case LOG_WARN:
		return "warning: ";
	case LOG_INFO:
	case LOG_DEBUG:
		break;
	}
	return "";
}

void log_message(enum log_level level, const char *format, ...)
{
	char text[MESSAGE_SIZE];
	char line[4 * MESSAGE_SIZE + 64];
	int saved_errno = errno; /* "%m" works, and so does a caller's errno afterwards */
	size_t length;
	va_list args;

	if (level > max_level)
		return;

	va_start(args, format);
	if (vsnprintf(text, sizeof(text), format, args) < 0)
		text[0] = '\0';
	va_end(args);

	/* One write for the whole line, so that it is not torn by the child's own stderr. */
	length = (size_t)snprintf(line, sizeof(line), "gradwatch: %s", level_prefix(level));
	length += str_escape(line + length, sizeof(line) - length - 1, text, strlen(text));
	line[length++] = '\n';
	if (writer) {
		writer(writer_context, line, length);
	} else {
		fwrite(line, 1, length, stderr);
		fflush(stderr);
	}
	errno = saved_errno;
}
