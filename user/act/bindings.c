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

#define MAX_FILES  64
#define NO_LIBRARY 0xffffffffu

/* To place and to remove the probes takes some milliseconds: not for each of many traces in a row.
 */
#define IDLE_NS 5000000000ull

struct file {
	struct inspect_binding binding; /* the first: what callers have */
	struct stat stat;
	char path[4096];
	int fd;
	int code; /* of the inspection */
	char reason[256];
	uint32_t library;
};

struct bindings {
	struct programs *programs;
	struct libraries *libraries;
	bool keep;
	struct file *file[MAX_FILES];
	size_t count;
	uint64_t armed[GW_MAX_FILES]; /* by library: when last asked for, 0: not in place */
};

struct bindings *bindings_new(struct programs *programs, struct libraries *libraries, bool keep)
{
	struct bindings *bindings = calloc(1, sizeof(*bindings));

	if (bindings) {
		bindings->programs = programs;
		bindings->libraries = libraries;
		bindings->keep = keep;
	}
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
	file->library = NO_LIBRARY;
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

void bindings_belong(struct bindings *bindings, const struct inspect_binding *binding,
		     uint32_t library)
{
	struct file *file = (struct file *)(uintptr_t)binding;

	if (file->library == library || library >= GW_MAX_FILES)
		return;
	file->library = library;
	if (!bindings->armed[library])
		return;
	/* One more for a library that is armed: all are placed again. */
	libraries_unbind(bindings->libraries, library);
	bindings->armed[library] = 0;
}

void bindings_arm(struct bindings *bindings, uint32_t library, uint64_t now)
{
	bool armed = library < GW_MAX_FILES && bindings->armed[library];
	struct err err;

	if (library >= GW_MAX_FILES)
		return;
	bindings->armed[library] = now;
	for (size_t i = 0; i < bindings->count && !armed; i++) {
		struct file *file = bindings->file[i];

		if (file->library == library && !file->code &&
		    libraries_bind(bindings->libraries, library, file->fd,
				   file->binding.file_offset, &err))
			log_warn("calls cannot be made to raise by way of %s: %s", file->path,
				 err.text);
	}
	/* Also when it failed: a process need not be stopped for it at each of its traces. */
	programs_set_bound(bindings->programs, library, true);
}

/*
 * In this order: a trace that begins after the flag is taken back asks, and one that began before
 * it has its session in the map.
 */
static void disarm(struct bindings *bindings, uint32_t library, uint64_t now)
{
	uint64_t session;

	programs_set_bound(bindings->programs, library, false);
	if (programs_next_session(bindings->programs, 0, &session)) {
		programs_set_bound(bindings->programs, library, true);
		bindings->armed[library] = now;
		return;
	}
	libraries_unbind(bindings->libraries, library);
	bindings->armed[library] = 0;
}

void bindings_tick(struct bindings *bindings, uint64_t now)
{
	for (uint32_t i = 0; i < GW_MAX_FILES && !bindings->keep; i++)
		if (bindings->armed[i] && now > bindings->armed[i] &&
		    now - bindings->armed[i] > IDLE_NS)
			disarm(bindings, i, now);
}
