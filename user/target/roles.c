// SPDX-License-Identifier: GPL-2.0-or-later
#include "target/roles.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"

static void forget(void *context, struct file *file)
{
	(void)context;
	free(file->content);
}

void roles_register(struct files *files)
{
	const struct files_handler handler = {.forget = forget};

	files_set_handler(files, FILE_BINDING, &handler);
	files_set_handler(files, FILE_PYTHON, &handler);
}

const struct inspection *roles_found(const struct file *file)
{
	return file->content;
}

/* Inspects a new file. Without memory nothing is known of it: the next look tries again. */
static int fill(const struct role_search *search, struct file *file, int fd)
{
	struct inspection *found = calloc(1, sizeof(*found));

	if (!found)
		return -ENOMEM;
	if (inspections_get(search->inspections, search->role, fd, file->path, found) == -ENOMEM) {
		free(found);
		return -ENOMEM;
	}
	file->content = found;
	return 0;
}

static struct file *learn_behind(const struct role_search *search,
				 const struct procfs_mapping *mapping, int fd, int *code)
{
	uint32_t uid = search->process ? search->process->uid : 0;
	struct file *file = files_learn(search->files, search->role, fd, mapping->path, uid,
					clock_monotonic(), code);

	if (!file || file->content)
		return file;
	*code = fill(search, file, fd);
	if (!*code)
		return file;
	files_drop(search->files, file);
	return NULL;
}

struct file *roles_learn(const struct role_search *search, const struct procfs_mapping *mapping,
			 int *code)
{
	struct process_file *known = NULL;
	struct file *file = NULL;
	int fd;

	if (search->process)
		known = process_file_at(search->process, search->role, mapping->start,
					mapping->inode);
	if (known)
		file = files_get(search->files, known->id);
	if (file)
		return file;
	fd = procfs_open_mapping(search->pid, mapping);
	if (fd < 0) {
		*code = fd;
		return NULL;
	}
	file = learn_behind(search, mapping, fd, code);
	close(fd);
	if (file && search->process)
		process_add_file(search->process, file, mapping->start, mapping->inode);
	return file;
}
