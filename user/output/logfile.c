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
	uid_t owner;
};

#define REFUSED "cannot append to log file '%s': "

/* Whether the file is one that gradwatch may append to; its descriptor is open. */
static int check_file(int fd, const char *path, uid_t owner, struct err *err)
{
	struct stat file;

	if (fstat(fd, &file))
		return err_set(err, -errno, REFUSED "%s", path, strerror(errno));
	if (!S_ISREG(file.st_mode))
		return err_set(err, -EINVAL, REFUSED "it is no regular file", path);
	if (file.st_nlink > 1)
		return err_set(err, -EMLINK,
			       REFUSED "it has %lu names (hard links), so it may be another's "
				       "file; remove this name",
			       path, (unsigned long)file.st_nlink);
	if (file.st_uid != geteuid() && file.st_uid != owner)
		return err_set(err, -EPERM,
			       REFUSED "it belongs to user %u, who could read and change it; "
				       "remove it, or chown it to user %u",
			       path, file.st_uid, geteuid());
	if (file.st_mode & (S_IWGRP | S_IWOTH))
		return err_set(err, -EPERM,
			       REFUSED "its mode %04o lets others change it; chmod go-w it", path,
			       file.st_mode & 07777);
	return 0;
}

/*
 * gradwatch runs as root and the path may be in a directory that others can write to: a symbolic
 * link there is not followed, and a file of somebody else is not written to. O_NONBLOCK keeps
 * open() from waiting for the reader of a FIFO.
 */
int sink_log_open(const char *path, uid_t owner, struct err *err)
{
	int flags = O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY;
	int fd = open(path, flags, 0600);
	int code;

	if (fd < 0 && errno == ENXIO) /* FIFO without reader, socket */
		return err_set(err, -EINVAL, REFUSED "it is no regular file", path);
	if (fd < 0)
		return err_set(err, -errno, REFUSED "%s", path,
			       errno == ELOOP ? "it is a symbolic link" : strerror(errno));
	code = check_file(fd, path, owner, err);
	if (!code)
		return fd;
	close(fd);
	return code;
}

static int log_format(struct sink *sink, const struct event *event, char **text, size_t *length)
{
	struct log_sink *log = (struct log_sink *)sink;

	*text = event_to_json(log->context, event, length);
	return *text ? 0 : -ENOMEM;
}

/* The new file first: if it cannot be opened, the old one goes on. */
static int log_reopen(struct sink *sink, struct err *err)
{
	struct log_sink *log = (struct log_sink *)sink;
	int fd = sink_log_open(log->path, log->owner, err);

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

struct sink *sink_log(const struct sink_context *context, int fd, const char *path, uid_t owner)
{
	static const struct sink_ops ops = {
		.format = log_format,
		.reopen = log_reopen,
		.free = log_free,
	};
	struct log_sink *log = calloc(1, sizeof(*log));

	if (!log)
		return NULL;
	log->sink.ops = &ops;
	log->context = context;
	log->owner = owner;
	log->path = strdup(path);
	log->sink.writer = log->path ? writer_new(fd, true, WRITER_LIMIT) : NULL;
	if (log->sink.writer)
		return &log->sink;
	free(log->path);
	free(log);
	return NULL;
}
