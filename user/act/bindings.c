// SPDX-License-Identifier: GPL-2.0-or-later
#include "act/bindings.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/str.h"
#include "watch/procfs.h"

#define MAX_FILES 64

struct file {
	struct inspect_binding binding; /* the first: what callers have */
	struct stat stat;
	char path[4096];
	int fd;
	int code; /* of the inspection */
	char reason[256];
	bool bound[GW_MAX_FILES]; /* by library */
};

struct bindings {
	struct libraries *libraries;
	struct file *file[MAX_FILES];
	size_t count;
};

struct bindings *bindings_new(struct libraries *libraries)
{
	struct bindings *bindings = calloc(1, sizeof(*bindings));

	if (bindings)
		bindings->libraries = libraries;
	return bindings;
}

void bindings_free(struct bindings *bindings)
{
	for (size_t i = 0; bindings && i < bindings->count; i++) {
		close(bindings->file[i]->fd);
		free(bindings->file[i]);
	}
	free(bindings);
}

static struct file *find(struct bindings *bindings, const struct stat *stat)
{
	for (size_t i = 0; i < bindings->count; i++)
		if (procfs_same_file(&bindings->file[i]->stat, stat))
			return bindings->file[i];
	return NULL;
}

static struct file *add(struct bindings *bindings, int fd, const char *path,
			const struct stat *stat)
{
	struct file *file;

	if (bindings->count == MAX_FILES)
		return NULL;
	file = calloc(1, sizeof(*file));
	if (!file)
		return NULL;
	file->stat = *stat;
	file->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	str_format(file->path, sizeof(file->path), "%s", path);
	file->code = inspect_binding_fd(fd, &file->binding, file->reason, sizeof(file->reason));
	if (file->code)
		log_warn("calls cannot be made to raise by way of %s: %s", path, file->reason);
	bindings->file[bindings->count++] = file;
	return file;
}

const struct inspect_binding *bindings_learn(struct bindings *bindings, int fd, const char *path,
					     char *reason, size_t reason_size)
{
	struct file *file = NULL;
	struct stat stat;

	if (!fstat(fd, &stat)) {
		file = find(bindings, &stat);
		if (!file)
			file = add(bindings, fd, path, &stat);
	}
	if (!file || file->code) {
		str_format(reason, reason_size, "%s", file ? file->reason : "too many files");
		return NULL;
	}
	return &file->binding;
}

void bindings_arm(struct bindings *bindings, const struct inspect_binding *binding,
		  uint32_t library)
{
	struct file *file = (struct file *)(uintptr_t)binding;
	struct err err;

	if (library >= GW_MAX_FILES || file->bound[library])
		return;
	file->bound[library] = true; /* also when it fails: once is enough to say so */
	if (libraries_bind(bindings->libraries, library, file->fd, file->binding.file_offset, &err))
		log_warn("calls cannot be made to raise by way of %s: %s", file->path, err.text);
}
