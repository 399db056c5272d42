// SPDX-License-Identifier: GPL-2.0-or-later
#include "target/mapped.h"

#include <string.h>

#include "base/str.h"
#include "inspect/libc.h"

#define LIBC_UNKNOWN "its file is not known"

struct visit {
	struct mapped *mapped;
	char exe[4096];
	bool is_glibc;
};

static bool begins(const char *name, const char *with)
{
	return !strncmp(name, with, strlen(with));
}

/* The kernel adds to the program's path when the file was removed from there. */
static bool is_program(const struct visit *visit, const char *path)
{
	return begins(visit->exe, path) &&
	       (!visit->exe[strlen(path)] || !strcmp(visit->exe + strlen(path), " (deleted)"));
}

/*
 * Only the program, and what is called python3.x or libpython3.x: a process maps hundreds of files,
 * and each of Python's extension modules has "cpython" in its name.
 */
static bool is_python(const struct visit *visit, const char *path)
{
	const char *name = str_base_name(path);

	return is_program(visit, path) || begins(name, "libpython") || begins(name, "python");
}

/*
 * Whether a file may matter, by its name as the kernel writes it: what that adds comes after the
 * name, and a newline is written in another way.
 */
static bool may_matter(const void *context, const char *path)
{
	const struct visit *visit = context;
	const char *name = str_base_name(path), *program = str_base_name(visit->exe);

	return procfs_is_candidate(path) || procfs_is_binding(path) || begins(name, "libpython") ||
	       begins(name, "python") || begins(name, "libc") || begins(name, "ld-") ||
	       !strncmp(name, program, strcspn(program, "\n"));
}

/* FILE_ROLE_MAX: a file that does not matter. */
static enum file_role role_of(const struct visit *visit, const char *path)
{
	if (procfs_is_candidate(path))
		return FILE_SETTER;
	if (procfs_is_binding(path))
		return FILE_BINDING;
	return is_python(visit, path) ? FILE_PYTHON : FILE_ROLE_MAX;
}

static void look_for_libc(struct visit *visit, const char *path)
{
	const char *name = str_base_name(path);

	visit->is_glibc |= libc_is_glibc(name);
	if (libc_is_another(name))
		str_format(visit->mapped->libc, sizeof(visit->mapped->libc), "%s", name);
}

static int visit_mapping(void *context, const struct procfs_mapping *mapping)
{
	struct visit *visit = context;
	struct mapped *mapped = visit->mapped;
	enum file_role role = role_of(visit, mapping->path);

	look_for_libc(visit, mapping->path);
	if (role == FILE_ROLE_MAX)
		return 0;
	if (mapped->count == MAPPED_MAX) {
		mapped->cut = true;
		return 0;
	}
	mapped->mapping[mapped->count] = *mapping;
	mapped->role[mapped->count++] = role;
	return 0;
}

int mapped_read(pid_t pid, struct mapped *mapped)
{
	struct visit visit = {.mapped = mapped};
	int code;

	mapped->count = 0;
	mapped->cut = false;
	str_format(mapped->libc, sizeof(mapped->libc), LIBC_UNKNOWN);
	if (procfs_exe(pid, visit.exe, sizeof(visit.exe)))
		visit.exe[0] = '\0';
	code = procfs_executables(pid, may_matter, visit_mapping, &visit);
	if (visit.is_glibc && !strcmp(mapped->libc, LIBC_UNKNOWN))
		mapped->libc[0] = '\0';
	return code;
}

static bool has(const struct mapped *mapped, const struct process_file *file)
{
	for (unsigned int i = 0; i < mapped->count; i++)
		if (mapped->role[i] == file->role && mapped->mapping[i].start == file->start &&
		    mapped->mapping[i].inode == file->inode)
			return true;
	return false;
}

void mapped_release_others(const struct mapped *mapped, struct files *files,
			   struct process *process, uint64_t now)
{
	for (unsigned int i = process->files; i-- > 0;)
		if (!has(mapped, &process->file[i]))
			process_forget_file(files, process, &process->file[i], now);
}
