// SPDX-License-Identifier: GPL-2.0-or-later
#include "target/rewrites.h"

#include <errno.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "base/str.h"

int rewrites_open(void)
{
	int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);

	return fd < 0 ? -errno : fd;
}

int rewrites_add(int fd, int file_fd)
{
	char path[64];
	int number;

	str_format(path, sizeof(path), "/proc/self/fd/%d", file_fd);
	number = inotify_add_watch(fd, path, IN_MODIFY);
	return number < 0 ? -errno : number;
}

void rewrites_remove(int fd, int number)
{
	inotify_rm_watch(fd, number);
}

void rewrites_read(int fd, void (*written)(void *context, int number), void *context)
{
	char buffer[4096];
	struct inotify_event event;
	ssize_t got = read(fd, buffer, sizeof(buffer));

	for (ssize_t at = 0; at + (ssize_t)sizeof(event) <= got;
	     at += (ssize_t)(sizeof(event) + event.len)) {
		memcpy(&event, buffer + at, sizeof(event));
		if (event.mask & (IN_MODIFY | IN_Q_OVERFLOW))
			written(context, event.mask & IN_Q_OVERFLOW ? -1 : event.wd);
	}
}
