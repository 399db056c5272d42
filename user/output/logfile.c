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
	struct sink_context context;
	char *path;
	int fd;
	bool torn; /* the file ends in a part of a line */
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

/* A line that could not be written whole (no space left) must not spoil the next one. */
static int end_torn_line(struct log_sink *log)
{
	size_t written;
	int error;

	if (!log->torn)
		return 0;
	error = output_write(log->fd, "\n", 1, &written);
	if (!error)
		log->torn = false;
	return error;
}

static int log_event(struct sink *sink, const struct event *event)
{
	struct log_sink *log = (struct log_sink *)sink;
	size_t length = 0, written = 0;
	char *text = event_to_json(&log->context, event, &length);
	int error;

	if (!text)
		return -ENOMEM;
	error = end_torn_line(log);
	if (!error) {
		error = output_write(log->fd, text, length, &written);
		log->torn = error && written;
	}
	free(text);
	return error;
}

/* The new file first: if it cannot be opened, the old one goes on. */
static int log_reopen(struct sink *sink)
{
	struct log_sink *log = (struct log_sink *)sink;
	int fd = open_log(log->path);

	if (fd < 0)
		return fd;
	/* Whether the path still leads to the same file is not asked: an empty line in a new file
	 * would be worse than a torn one in the old, so end that where it is. */
	end_torn_line(log);
	close(log->fd);
	log->fd = fd;
	log->torn = false;
	return 0;
}

static void log_free(struct sink *sink)
{
	struct log_sink *log = (struct log_sink *)sink;

	if (log->fd >= 0)
		close(log->fd);
	free(log->path);
	free(log);
}

struct sink *sink_log(const struct sink_context *context, const char *path, int *error)
{
	static const struct sink_ops ops = {
		.event = log_event,
		.reopen = log_reopen,
		.free = log_free,
	};
	struct log_sink *log = calloc(1, sizeof(*log));

	*error = -ENOMEM;
	if (!log)
		return NULL;
	log->sink.ops = &ops;
	log->context = *context;
	log->path = strdup(path);
	log->fd = log->path ? open_log(path) : -1;
	if (log->fd >= 0) {
		*error = 0;
		return &log->sink;
	}
	if (log->path)
		*error = log->fd;
	log_free(&log->sink);
	return NULL;
}
