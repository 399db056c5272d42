// SPDX-License-Identifier: GPL-2.0-or-later
#include "target/procfs.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/str.h"

/* Processes map many small files; a hostile one may map millions of them. */
#define MAX_MAPS_LINES 1000000
#define MAX_SPLITS     16      /* of one mapping while it is looked at */
#define NEWLINE        "\\012" /* as the kernel writes it in a path */
#define DELETED        " (deleted)"

static void map_file_name(const struct procfs_mapping *mapping, char *name, size_t size)
{
	str_format(name, size, "map_files/%" PRIx64 "-%" PRIx64, mapping->start, mapping->end);
}

/* As readlink(2) has it, without doubt what stands for itself; false where it is not allowed. */
static bool read_link(pid_t tid, struct procfs_mapping *mapping)
{
	char name[64], link[96];
	char path[sizeof(mapping->path)];
	ssize_t got;

	map_file_name(mapping, name, sizeof(name));
	str_format(link, sizeof(link), "/proc/%d/%s", tid, name);
	got = readlink(link, path, sizeof(path) - 1);
	if (got <= 0)
		return false;
	path[got] = '\0';
	memcpy(mapping->path, path, (size_t)got + 1);
	return true;
}

static void unescape(char *path)
{
	char *at = path;

	while ((at = strstr(at, NEWLINE))) {
		*at++ = '\n';
		memmove(at, at + strlen(NEWLINE) - 1, strlen(at + strlen(NEWLINE) - 1) + 1);
	}
}

/*
 * The path itself: a newline is escaped in it, a backslash is not, and " (deleted)" follows the
 * path of a file that has been removed from where it was.
 */
static void clean_path(pid_t tid, struct procfs_mapping *mapping)
{
	size_t length;
	int fd;

	if (strstr(mapping->path, NEWLINE) && !read_link(tid, mapping))
		unescape(mapping->path);
	length = strlen(mapping->path);
	if (length <= strlen(DELETED) || strcmp(mapping->path + length - strlen(DELETED), DELETED))
		return;
	fd = procfs_open_in_root(tid, mapping->path); /* there may be a file of this very name */
	if (fd < 0)
		mapping->path[length - strlen(DELETED)] = '\0';
	else
		close(fd);
}

/* start-end perms offset dev inode path; returns the path ("" where there is none), NULL: no line.
 */
static const char *parse_numbers(const char *line, struct procfs_mapping *mapping,
				 char permissions[5])
{
	int path_at = 0;

	if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %4s %" SCNx64 " %x:%x %" SCNu64 " %n",
		   &mapping->start, &mapping->end, permissions, &mapping->offset, &mapping->major,
		   &mapping->minor, &mapping->inode, &path_at) != 7 ||
	    !path_at)
		return NULL;
	return line + path_at;
}

/*
 * Whether it is a line of an executable file. The start of a path that does not fit is cut off: the
 * file's name is at the end.
 */
static bool parse_maps_line(char *line, struct procfs_mapping *mapping)
{
	char permissions[5];
	const char *path;

	line[strcspn(line, "\n")] = '\0';
	path = parse_numbers(line, mapping, permissions);
	if (!path || permissions[2] != 'x' || *path != '/')
		return false;
	if (strlen(path) >= sizeof(mapping->path))
		path += strlen(path) + 1 - sizeof(mapping->path);
	return !str_format(mapping->path, sizeof(mapping->path), "%s", path);
}

typedef int (*visit_function)(void *context, const struct procfs_mapping *mapping);

/* only: NULL, or whether a path is of interest. */
static int read_maps(pid_t tid, FILE *maps, bool (*only)(const char *path), visit_function visit,
		     void *context)
{
	struct procfs_mapping mapping;
	char *line = NULL;
	size_t room = 0;
	int lines = 0, result = 0;

	errno = 0;
	while (!result && lines++ < MAX_MAPS_LINES && getline(&line, &room, maps) > 0) {
		if (!parse_maps_line(line, &mapping))
			continue;
		if (only && !only(mapping.path))
			continue;
		clean_path(tid, &mapping);
		result = visit(context, &mapping);
		errno = 0;
	}
	if (!result && ferror(maps))
		result = errno ? -errno : -EIO;
	free(line);
	return result;
}

/* By way of a living thread: a first thread that has ended has no mappings to show. */
static int visit_maps(pid_t pid, bool (*only)(const char *path), visit_function visit,
		      void *context)
{
	pid_t tid = procfs_living_thread(pid);
	int fd = procfs_open(tid, "maps", O_RDONLY);
	int result;
	FILE *maps;

	if (fd < 0)
		return fd;
	maps = fdopen(fd, "r");
	if (!maps) {
		close(fd);
		return -ENOMEM;
	}
	result = read_maps(tid, maps, only, visit, context);
	fclose(maps);
	return result;
}

bool procfs_mapped_at(const struct procfs_mapping *mapping, uint64_t file_offset, uint64_t *address)
{
	uint64_t into = file_offset - mapping->offset;

	if (file_offset < mapping->offset || into >= mapping->end - mapping->start)
		return false;
	*address = mapping->start + into;
	return true;
}

int procfs_executables(pid_t pid, visit_function visit, void *context)
{
	return visit_maps(pid, NULL, visit, context);
}

int procfs_candidates(pid_t pid, visit_function visit, void *context)
{
	return visit_maps(pid, procfs_is_candidate, visit, context);
}

struct wanted {
	uint64_t address;
	struct procfs_mapping *mapping;
};

static int visit_wanted(void *context, const struct procfs_mapping *mapping)
{
	const struct wanted *wanted = context;

	if (wanted->address < mapping->start || wanted->address >= mapping->end)
		return 0;
	*wanted->mapping = *mapping;
	return 1;
}

/* What /proc shows of our own mapping at an address. */
static int find_own(uint64_t address, struct procfs_mapping *own)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	char permissions[5];
	char *line = NULL;
	size_t room = 0;
	int code = -ENOENT;

	if (!maps)
		return -errno;
	while (code && getline(&line, &room, maps) > 0)
		if (parse_numbers(line, own, permissions) && own->start == address)
			code = 0;
	free(line);
	fclose(maps);
	return code;
}

/*
 * Whether a file is the one that is mapped. stat(2) may show another device or inode than a mapping
 * does (btrfs, overlays), so we map it as well, and compare what /proc shows of both.
 */
static bool is_mapped_file(int fd, const struct procfs_mapping *mapping)
{
	struct procfs_mapping own = {0};
	void *at = mmap(NULL, 1, PROT_READ, MAP_PRIVATE, fd, 0);
	bool same;

	if (at == MAP_FAILED)
		return false;
	same = !find_own((uint64_t)(uintptr_t)at, &own) && own.inode == mapping->inode &&
	       own.major == mapping->major && own.minor == mapping->minor;
	munmap(at, 1);
	return same;
}

/* There may be another file at that path by now. */
static int open_by_path(pid_t pid, const struct procfs_mapping *mapping)
{
	int fd = procfs_open_in_root(pid, mapping->path);

	if (fd < 0 || is_mapped_file(fd, mapping))
		return fd;
	close(fd);
	return -ESTALE;
}

int procfs_open_mapping(pid_t pid, const struct procfs_mapping *mapping)
{
	struct procfs_mapping now = *mapping;
	struct wanted wanted = {mapping->start, &now};
	pid_t tid = procfs_living_thread(pid);
	char name[64];
	int fd, code;

	for (int tries = 0; tries < MAX_SPLITS; tries++) {
		map_file_name(&now, name, sizeof(name));
		/* Its owner may have a lease on it, for which open(2) would wait 45 s. */
		fd = procfs_open(tid, name, O_RDONLY | O_NONBLOCK);
		if (fd >= 0)
			return fd;
		if (fd == -EAGAIN)
			return -EBUSY;
		if (fd != -ESRCH)
			return open_by_path(pid, mapping);
		/* Another range by now: a loader maps a file whole and then splits it. */
		code = procfs_executables(pid, visit_wanted, &wanted);
		if (code <= 0)
			return code ? code : -ENOENT;
	}
	return -EAGAIN;
}
