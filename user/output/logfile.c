// SPDX-License-Identifier: GPL-2.0-or-later
#include "output/sink.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "output/common.h"

struct log_sink {
	struct sink sink;
	const struct sink_context *context;
	char *path;
};

/*
 * gradwatch runs as root and the path may be in a directory that others can write to: a symbolic
 * link there is not followed (-ELOOP), and what is not a regular file (-EINVAL) is not written to.
 * O_NONBLOCK keeps a FIFO without a reader from stopping us before we can tell.
 *
 * Returns the descriptor or negative errno.
 */
static int open_log(const char *path)
{
	int flags = O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY;
	int fd = open(path, flags, 0600);
	struct stat status;
	int error = 0;

	if (fd < 0)
		return errno == ENXIO ? -EINVAL : -errno; /* ENXIO: FIFO without reader, socket */
	if (fstat(fd, &status))
		error = -errno;
	else if (!S_ISREG(status.st_mode))
		error = -EINVAL;
	if (error) {
		close(fd);
		return error;
	}
	return fd;
}

static int log_format(struct sink *sink, const struct event *event, char **text, size_t *length)
{
	struct log_sink *log = (struct log_sink *)sink;

	*text = event_to_json(log->context, event, length);
	return *text ? 0 : -ENOMEM;
}

/* The new file first: if it cannot be opened, the old one goes on. */
static int log_reopen(struct sink *sink)
{
	struct log_sink *log = (struct log_sink *)sink;
	int fd = open_log(log->path);

	if (fd < 0)
		return fd;
	writer_switch(sink->writer, fd);
	return 0;
}

static void log_free(struct sink *sink)
{
	struct log_sink *log = (struct log_sink *)sink;

	writer_free(sink->writer);
	free(log->path);
	free(log);
}

struct sink *sink_log(const struct sink_context *context, const char *path, int *error)
{
	static const struct sink_ops ops = {
		.format = log_format,
		.reopen = log_reopen,
		.free = log_free,
	};
	struct log_sink *log = calloc(1, sizeof(*log));
	int fd = open_log(path);

	*error = fd < 0 ? fd : -ENOMEM;
	if (log && fd >= 0) {
		log->sink.ops = &ops;
		log->context = context;
		log->path = strdup(path);
		log->sink.writer = log->path ? writer_new(fd, true, WRITER_LIMIT) : NULL;
		if (log->sink.writer) {
			*error = 0;
			return &log->sink;
		}
		free(log->path);
	}
	if (fd >= 0)
		close(fd);
	free(log);
	return NULL;
}
