// SPDX-License-Identifier: GPL-2.0-or-later
#include "target/torch_version.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/str.h"
#include "target/procfs.h"

/* The value of `__version__ = '...'`; the file is the target's, so it may say anything. */
static int parse_version_py(const char *text, char *version, size_t size)
{
	const char *at = strstr(text, "\n__version__ ");
	size_t length;

	at = at ? strpbrk(at + 1, "'\"\n") : NULL;
	if (!at || *at == '\n')
		return -1;
	length = strcspn(at + 1, "'\"\n");
	if (!length || length >= size)
		return -1;
	return str_format(version, size, "%.*s", (int)length, at + 1);
}

/*
 * The kernel shows the paths of mappings from the reader's root, so those of a process in a chroot
 * begin with its root. What remains is the path as the process sees it.
 */
static const char *inside_root(pid_t pid, const char *path)
{
	char link[64], root[4096];
	ssize_t length;

	snprintf(link, sizeof(link), "/proc/%d/root", pid);
	length = readlink(link, root, sizeof(root));
	if (length <= 1 || length == sizeof(root) || strncmp(path, root, (size_t)length) ||
	    path[length] != '/')
		return path;
	return path + length;
}

static int from_version_py(pid_t pid, const char *path, char *version, size_t size)
{
	char file[4096], text[4096];
	const char *end, *next;
	ssize_t got;
	int fd;

	path = inside_root(pid, path);
	end = strstr(path, "/lib/lib");
	while (end && (next = strstr(end + 1, "/lib/lib")))
		end = next;
	if (!end || str_format(file, sizeof(file), "%.*s/version.py", (int)(end - path), path))
		return -1;
	fd = procfs_open_in_root(pid, file);
	if (fd < 0)
		return -1;
	text[0] = '\n'; /* so that every line has one before it */
	got = read(fd, text + 1, sizeof(text) - 2);
	close(fd);
	if (got <= 0)
		return -1;
	text[got + 1] = '\0';
	return parse_version_py(text, version, size);
}

static void from_file_name(const char *path, char *version, size_t size)
{
	const char *at = strstr(path, ".so.");

	if (at)
		str_format(version, size, "%.*s", (int)strspn(at + 4, "0123456789."), at + 4);
}

void torch_version(pid_t pid, const char *path, char *version, size_t size)
{
	version[0] = '\0';
	if (from_version_py(pid, path, version, size))
		from_file_name(path, version, size);
}
