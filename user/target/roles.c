// SPDX-License-Identifier: GPL-2.0-or-later
#include "target/roles.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"

/* Of a file of these roles. */
struct content {
	bool is_known; /* false: it is being inspected */
	struct inspection found;
};

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
	return &((const struct content *)file->content)->found;
}

/* Inspects a new file, or begins to. Where that fails, the next look tries again. */
static int fill(const struct role_search *search, struct file *file, int fd)
{
	struct content *content = calloc(1, sizeof(*content));
	int code;

	if (!content)
		return -ENOMEM;
	code = inspections_begin(search->inspections, file, fd, &content->found);
	if (code && code != -EINPROGRESS) {
		free(content);
		return code;
	}
	content->is_known = !code;
	file->content = content;
	return 0;
}

void roles_settle(struct files *files, uint32_t file_id, const struct inspection *inspection)
{
	struct file *file = files_get(files, file_id);
	struct content *content = file ? file->content : NULL;

	if (!content)
		return;
	content->found = *inspection;
	content->is_known = true;
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
	if (!file) {
		fd = procfs_open_mapping(search->pid, mapping);
		if (fd < 0) {
			*code = fd;
			return NULL;
		}
		file = learn_behind(search, mapping, fd, code);
		close(fd);
		if (file && search->process)
			process_add_file(search->process, file, mapping->start, mapping->inode);
	}
	if (!file || ((const struct content *)file->content)->is_known)
		return file;
	*code = -EINPROGRESS;
	return NULL;
}
