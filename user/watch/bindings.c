// SPDX-License-Identifier: GPL-2.0-or-later
#include "watch/bindings.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/str.h"
#include "watch/procfs.h"

struct file {
	struct inspect_binding binding;
	struct stat stat;
	char path[4096];
	int fd;
	int code; /* of the inspection */
	char reason[256];
};

struct bindings {
	struct file *file[BINDINGS_MAX];
	unsigned int count;
};

struct bindings *bindings_new(void)
{
	return calloc(1, sizeof(struct bindings));
}

void bindings_free(struct bindings *bindings)
{
	for (unsigned int i = 0; bindings && i < bindings->count; i++) {
		close(bindings->file[i]->fd);
		free(bindings->file[i]);
	}
	free(bindings);
}

/* The number of a file, count: it is new. */
static unsigned int number_of(const struct bindings *bindings, const struct stat *stat)
{
	unsigned int i = 0;

	while (i < bindings->count && !procfs_same_file(&bindings->file[i]->stat, stat))
		i++;
	return i;
}

static int add(struct bindings *bindings, int fd, const char *path, const struct stat *stat)
{
	struct file *file;

	if (bindings->count == BINDINGS_MAX)
		return -ENOSPC;
	file = calloc(1, sizeof(*file));
	if (!file)
		return -ENOMEM;
	file->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (file->fd < 0) {
		int code = -errno;

		free(file);
		return code;
	}
	file->stat = *stat;
	str_format(file->path, sizeof(file->path), "%s", path);
	file->code = inspect_binding_fd(fd, &file->binding, file->reason, sizeof(file->reason));
	if (file->code == -ENOMEM) { /* says nothing about the file */
		close(file->fd);
		free(file);
		return -ENOMEM;
	}
	bindings->file[bindings->count++] = file;
	return 0;
}

/* The number of the file behind a descriptor, which is inspected when it is new; or an errno. */
static int learn(struct bindings *bindings, int fd, const char *path)
{
	unsigned int number;
	struct stat stat;
	int code;

	if (fstat(fd, &stat))
		return -errno;
	number = number_of(bindings, &stat);
	if (number == bindings->count) {
		code = add(bindings, fd, path, &stat);
		if (code)
			return code;
	}
	return (int)number;
}

struct search {
	struct bindings *bindings;
	pid_t pid;
	struct binding_found *found;
	int code;
	char *reason;
	size_t reason_size;
};

/* Of several executable mappings of the file the one that holds the binding. */
static int take(struct search *search, unsigned int number, const struct procfs_mapping *mapping)
{
	const struct inspect_binding *binding = &search->bindings->file[number]->binding;
	uint64_t address;

	if (!procfs_mapped_at(mapping, binding->file_offset, &address))
		return 0;
	search->found->inspect = *binding;
	search->found->bias = address - binding->address;
	search->found->file = number;
	search->code = 0;
	return 1;
}

static int visit_mapping(void *context, const struct procfs_mapping *mapping)
{
	struct search *search = context;
	const struct file *file;
	int fd, number;

	if (!procfs_is_binding(mapping->path))
		return 0;
	fd = procfs_open_mapping(search->pid, mapping);
	if (fd < 0)
		return 0;
	number = learn(search->bindings, fd, mapping->path);
	close(fd);
	if (number < 0) {
		str_format(search->reason, search->reason_size, "%s",
			   number == -ENOSPC ? "too many files" : strerror(-number));
		return 0;
	}
	file = search->bindings->file[number];
	if (!file->code)
		return take(search, (unsigned int)number, mapping);
	search->code = -ENOTSUP;
	str_format(search->reason, search->reason_size, "%s: %s", file->path, file->reason);
	return 0;
}

int bindings_find(struct bindings *bindings, uint32_t pid, struct binding_found *found,
		  char *reason, size_t reason_size)
{
	struct search search = {bindings, (pid_t)pid, found, -ENOENT, reason, reason_size};

	str_format(reason, reason_size, "it maps no libtorch_python");
	procfs_executables((pid_t)pid, visit_mapping, &search);
	return search.code;
}

int bindings_fd(const struct bindings *bindings, unsigned int file)
{
	return bindings->file[file]->fd;
}

const char *bindings_path(const struct bindings *bindings, unsigned int file)
{
	return bindings->file[file]->path;
}
