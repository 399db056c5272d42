// SPDX-License-Identifier: GPL-2.0-or-later
#include "watch/interpreters.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/str.h"
#include "inspect/python.h"
#include "watch/procfs.h"

struct entry {
	struct stat file;
	struct inspect_python python;
	int code; /* of the inspection */
	char reason[256];
};

struct interpreters {
	struct entry entry[INTERPRETERS_MAX];
	unsigned int count, next; /* next: to be filled, in turn */
};

struct interpreters *interpreters_new(void)
{
	return calloc(1, sizeof(struct interpreters));
}

void interpreters_free(struct interpreters *interpreters)
{
	free(interpreters);
}

static const struct entry *learn_file(struct interpreters *interpreters, int fd, const char *path)
{
	struct entry *entry;
	struct stat file;

	if (fstat(fd, &file))
		return NULL;
	for (unsigned int i = 0; i < interpreters->count; i++)
		if (procfs_same_file(&interpreters->entry[i].file, &file))
			return &interpreters->entry[i];
	entry = &interpreters->entry[interpreters->next];
	interpreters->next = (interpreters->next + 1) % INTERPRETERS_MAX;
	if (interpreters->count < INTERPRETERS_MAX)
		interpreters->count++;
	entry->file = file;
	entry->code = inspect_python_fd(fd, str_base_name(path), &entry->python, entry->reason,
					sizeof(entry->reason));
	return entry;
}

struct visit {
	struct interpreters *interpreters;
	struct interpreter_found *found;
	pid_t pid;
	char exe[4096];
	int code;
};

static uint64_t moved(const struct inspect_python *python, uint64_t address, uint64_t bias)
{
	return address ? address + (python->fixed ? 0 : bias) : 0;
}

/* The mapping of the text tells the load address. Another part of the file is passed over. */
static int tell(struct visit *visit, const struct entry *entry,
		const struct procfs_mapping *mapping)
{
	struct interpreter_found *found = visit->found;
	uint64_t address, bias;

	if (!procfs_mapped_at(mapping, entry->python.text_offset, &address))
		return 0;
	bias = address - entry->python.text;
	found->interpreter.python = entry->python.python;
	found->interpreter.runtime = moved(&entry->python, entry->python.runtime, bias);
	found->interpreter.true_object = moved(&entry->python, entry->python.true_object, bias);
	found->interpreter.false_object = moved(&entry->python, entry->python.false_object, bias);
	found->err_format = moved(&entry->python, entry->python.err_format, bias);
	found->runtime_error = moved(&entry->python, entry->python.runtime_error, bias);
	str_format(found->path, sizeof(found->path), "%s", mapping->path);
	str_format(found->reason, sizeof(found->reason), "%s", entry->code ? entry->reason : "");
	visit->code = 0;
	return 1;
}

/*
 * Only the program, and what is called python3.x or libpython3.x, is read: a process maps hundreds
 * of files, and each of Python's extension modules has "cpython" in its name.
 */
static bool is_candidate(const struct visit *visit, const char *path)
{
	const char *name = str_base_name(path);

	return !strcmp(path, visit->exe) || !strncmp(name, "libpython", 9) ||
	       !strncmp(name, "python", 6);
}

static int visit_mapping(void *context, const struct procfs_mapping *mapping)
{
	struct visit *visit = context;
	const struct entry *entry;
	int fd;

	if (!is_candidate(visit, mapping->path))
		return 0;
	fd = procfs_open_mapping(visit->pid, mapping);
	if (fd < 0)
		return 0;
	entry = learn_file(visit->interpreters, fd, mapping->path);
	close(fd);
	if (!entry || (entry->code && entry->code != -ENOTSUP))
		return 0;
	return tell(visit, entry, mapping);
}

int interpreters_find(struct interpreters *interpreters, uint32_t pid,
		      struct interpreter_found *found)
{
	struct visit visit = {.interpreters = interpreters, .pid = (pid_t)pid, .code = -ENOENT};
	int code;

	memset(found, 0, sizeof(*found));
	visit.found = found;
	if (procfs_exe(visit.pid, visit.exe, sizeof(visit.exe)))
		visit.exe[0] = '\0';
	code = procfs_executables(visit.pid, visit_mapping, &visit);
	return code < 0 ? code : visit.code;
}
