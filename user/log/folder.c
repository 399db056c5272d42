// SPDX-License-Identifier: GPL-2.0-or-later
#include "log/folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define REFUSED "cannot log to '%s': "

static int check_folder(int folder, const char *path, uid_t owner, struct err *err)
{
	struct stat stat;

	if (fstat(folder, &stat))
		return err_set(err, -errno, REFUSED "%s", path, strerror(errno));
	if (stat.st_uid != geteuid() && stat.st_uid != owner)
		return err_set(err, -EPERM,
			       REFUSED "it belongs to user %u, who could change the log; use "
				       "another folder, or chown it to user %u",
			       path, stat.st_uid, geteuid());
	if (stat.st_mode & (S_IWGRP | S_IWOTH))
		return err_set(err, -EPERM,
			       REFUSED "its mode %04o lets others write there; chmod go-w it", path,
			       stat.st_mode & 07777);
	return 0;
}

/*
 * A lock of POSIX: the kernel knows its owner, and a child that is forked does not keep it when we
 * die.
 */
static int take_lock(int folder, const char *path, struct err *err)
{
	struct flock whole = {.l_type = F_WRLCK};
	int lock = openat(folder, FOLDER_LOCK,
			  O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
	int code;

	if (lock < 0)
		return err_set(err, -errno, REFUSED "its file '" FOLDER_LOCK "': %s", path,
			       strerror(errno));
	if (!fcntl(lock, F_SETLK, &whole))
		return lock;
	if (errno != EAGAIN && errno != EACCES)
		code = err_set(err, -errno, REFUSED "no lock: %s", path, strerror(errno));
	else if (!fcntl(lock, F_GETLK, &whole) && whole.l_type != F_UNLCK && whole.l_pid > 0)
		code = err_set(err, -EWOULDBLOCK,
			       REFUSED "process %d writes there already; end it, or use another "
				       "folder",
			       path, whole.l_pid);
	else
		code = err_set(err, -EWOULDBLOCK,
			       REFUSED "another process writes there; use another folder", path);
	close(lock);
	return code;
}

bool folder_is_written(int fd)
{
	struct flock whole = {.l_type = F_WRLCK};

	return !fcntl(fd, F_GETLK, &whole) && whole.l_type != F_UNLCK;
}

int folder_open(const char *path, uid_t owner, int *lock, struct err *err)
{
	int folder, code;

	if (mkdir(path, 0700) && errno != EEXIST)
		return err_set(err, -errno, REFUSED "%s", path, strerror(errno));
	folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (folder < 0)
		return err_set(err, -errno, REFUSED "%s", path,
			       errno == ELOOP     ? "it is a symbolic link"
			       : errno == ENOTDIR ? "it is no folder, or is a symbolic link"
						  : strerror(errno));
	code = check_folder(folder, path, owner, err);
	if (!code) {
		*lock = take_lock(folder, path, err);
		code = *lock < 0 ? *lock : 0;
	}
	if (!code)
		return folder;
	close(folder);
	return code;
}

bool folder_ends_with(const char *name, const char *end)
{
	size_t length = strlen(name), end_length = strlen(end);

	return length > end_length && !strcmp(name + length - end_length, end);
}

bool folder_is_segment(const char *name)
{
	return folder_ends_with(name, FOLDER_PLAIN) || folder_ends_with(name, FOLDER_ZSTD) ||
	       folder_ends_with(name, FOLDER_GZIP);
}

static int compare(const void *one, const void *other)
{
	return strcmp(*(char *const *)one, *(char *const *)other);
}

struct names {
	char **name;
	size_t count, room; /* room without the NULL */
};

/* Takes the string. -ENOMEM. */
static int add(struct names *names, char *name)
{
	if (name && names->count == names->room) {
		size_t room = 2 * names->room + 16;
		char **more = realloc(names->name, (room + 1) * sizeof(*more));

		if (!more) {
			free(name);
			return -ENOMEM;
		}
		names->name = more;
		names->room = room;
	}
	if (!name)
		return -ENOMEM;
	names->name[names->count++] = name;
	names->name[names->count] = NULL;
	return 0;
}

static int read_names(DIR *stream, const char *end, struct names *names)
{
	const struct dirent *entry;
	int code = 0;

	while (!code && (errno = 0, entry = readdir(stream)))
		if (folder_ends_with(entry->d_name, end))
			code = add(names, strdup(entry->d_name));
	return code ? code : -errno;
}

char **folder_names(int folder, const char *end)
{
	struct names names = {.name = calloc(1, sizeof(char *))};
	int copy = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *stream = copy < 0 ? NULL : fdopendir(copy);
	int code = stream && names.name ? read_names(stream, end, &names)
					: -(errno ? errno : ENOMEM);

	if (stream)
		closedir(stream);
	else if (copy >= 0)
		close(copy);
	if (code || !names.name) {
		folder_free_names(names.name);
		errno = -code;
		return NULL;
	}
	qsort(names.name, names.count, sizeof(*names.name), compare);
	return names.name;
}

void folder_free_names(char **names)
{
	for (size_t i = 0; names && names[i]; i++)
		free(names[i]);
	free(names);
}
