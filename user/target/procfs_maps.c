// SPDX-License-Identifier: GPL-2.0-or-later
#include "target/procfs.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/str.h"

/* Processes map many small files; a hostile one may map millions of them. */
#define MAX_MAPS_LINES 1000000
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

typedef bool (*wanted_function)(const void *context, const char *path);
typedef int (*visit_function)(void *context, const struct procfs_mapping *mapping);

static int read_maps(pid_t tid, FILE *maps, wanted_function wanted, visit_function visit,
		     void *context)
{
	struct procfs_mapping mapping;
	char *line = NULL;
	size_t space = 0;
	int lines = 0, result = 0;

	errno = 0;
	while (!result && lines++ < MAX_MAPS_LINES && getline(&line, &space, maps) > 0) {
		if (!parse_maps_line(line, &mapping) || !wanted(context, mapping.path))
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

static FILE *open_maps(pid_t tid, int *code)
{
	int fd = procfs_open(tid, "maps", O_RDONLY);
	FILE *maps = fd < 0 ? NULL : fdopen(fd, "r");

	*code = fd < 0 ? fd : -ENOMEM;
	if (!maps && fd >= 0)
		close(fd);
	return maps;
}

/* By way of a living thread: a first thread that has ended has no mappings to show. */
int procfs_executables(pid_t pid, wanted_function wanted, visit_function visit, void *context)
{
	pid_t tid = procfs_living_thread(pid);
	int result;
	FILE *maps = open_maps(tid, &result);

	if (!maps)
		return result;
	result = read_maps(tid, maps, wanted, visit, context);
	fclose(maps);
	return result;
}

static bool is_candidate(const void *context, const char *path)
{
	(void)context;
	return procfs_is_candidate(path);
}

int procfs_candidates(pid_t pid, visit_function visit, void *context)
{
	return procfs_executables(pid, is_candidate, visit, context);
}

bool procfs_mapped_at(const struct procfs_mapping *mapping, uint64_t file_offset, uint64_t *address)
{
	uint64_t into = file_offset - mapping->offset;

	if (file_offset < mapping->offset || into >= mapping->end - mapping->start)
		return false;
	*address = mapping->start + into;
	return true;
}

/* The mapping that has an address now, without its path. 0, -ENOENT or another negative errno. */
static int find_mapping(pid_t tid, uint64_t address, struct procfs_mapping *found)
{
	char permissions[5];
	char *line = NULL;
	size_t space = 0;
	int lines = 0, code;
	FILE *maps = open_maps(tid, &code);

	if (!maps)
		return code;
	code = -ENOENT;
	while (code && lines++ < MAX_MAPS_LINES && getline(&line, &space, maps) > 0)
		if (parse_numbers(line, found, permissions) && found->start <= address &&
		    address < found->end)
			code = 0;
	free(line);
	fclose(maps);
	return code;
}

int procfs_map_start(int fd, struct procfs_start *start)
{
	struct statfs system;

	start->size = (size_t)sysconf(_SC_PAGESIZE);
	if (!fstatfs(fd, &system) && system.f_type == HUGETLBFS_MAGIC)
		start->size = (size_t)system.f_bsize;
	/* Without a reservation, of which there may be none left. */
	start->address = mmap(NULL, start->size, PROT_READ, MAP_PRIVATE | MAP_NORESERVE, fd, 0);
	return start->address == MAP_FAILED ? -errno : 0;
}

void procfs_unmap_start(const struct procfs_start *start)
{
	munmap(start->address, start->size);
}

/*
 * Whether a file is the one that is mapped. stat(2) may show another device or inode than a mapping
 * does (btrfs, overlays), so we map it as well, and compare what /proc shows of both.
 */
static bool is_mapped_file(int fd, const struct procfs_mapping *mapping)
{
	struct procfs_mapping own = {0};
	struct procfs_start start;
	bool same;

	if (procfs_map_start(fd, &start))
		return false;
	same = !find_mapping(getpid(), (uint64_t)(uintptr_t)start.address, &own) &&
	       own.inode == mapping->inode && own.major == mapping->major &&
	       own.minor == mapping->minor;
	procfs_unmap_start(&start);
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

/* Its owner may have a lease on it, for which open(2) would wait 45 s. */
static int open_map_file(pid_t tid, const struct procfs_mapping *mapping)
{
	char name[64];

	map_file_name(mapping, name, sizeof(name));
	return procfs_open(tid, name, O_RDONLY | O_NONBLOCK);
}

/* Whether a mapping was made of another one, and not by mapping another file. */
static bool is_part_of(const struct procfs_mapping *now, const struct procfs_mapping *mapping)
{
	return now->inode == mapping->inode && now->major == mapping->major &&
	       now->minor == mapping->minor;
}

/* One that is not there may have another range by now: a loader maps a file whole and splits it. */
int procfs_open_mapping(pid_t pid, const struct procfs_mapping *mapping)
{
	pid_t tid = procfs_living_thread(pid);
	int fd = open_map_file(tid, mapping), code;
	struct procfs_mapping now;

	if (fd == -ESRCH) {
		code = find_mapping(tid, mapping->start, &now);
		if (code)
			return code;
		if (!is_part_of(&now, mapping))
			return -ENOENT;
		fd = open_map_file(tid, &now);
		if (fd == -ESRCH)
			return -EAGAIN;
	}
	if (fd == -EAGAIN)
		return -EBUSY;
	return fd >= 0 ? fd : open_by_path(pid, mapping);
}
