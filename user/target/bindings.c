// SPDX-License-Identifier: GPL-2.0-or-later
#include "target/bindings.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "target/roles.h"

struct content {
	struct inspect_binding inspect;
	int code; /* of the inspection */
	char reason[256];
};

static void forget(void *context, struct file *file)
{
	(void)context;
	free(file->content);
}

void bindings_register(struct files *files)
{
	const struct files_handler handler = {.forget = forget};

	files_set_handler(files, FILE_BINDING, &handler);
}

static void *make_content(const struct inspection *inspection)
{
	struct content *content = calloc(1, sizeof(*content));

	if (!content)
		return NULL;
	content->inspect = inspection->binding;
	content->code = inspection->code;
	memcpy(content->reason, inspection->reason, sizeof(content->reason));
	return content;
}

/* Of several executable mappings of the file the one that holds the binding. */
static bool take(const struct file *file, const struct procfs_mapping *mapping,
		 struct binding_found *found)
{
	const struct content *content = file->content;
	uint64_t address;

	if (!procfs_mapped_at(mapping, content->inspect.file_offset, &address))
		return false;
	found->inspect = content->inspect;
	found->bias = address - content->inspect.address;
	found->file_id = file->id;
	found->mapping = mapping;
	return true;
}

int bindings_find(struct files *files, struct inspections *inspections, pid_t pid,
		  struct process *process, const struct mapped *mapped, struct binding_found *found,
		  char *reason, size_t reason_size)
{
	const struct role_search search = {files, inspections, FILE_BINDING,
					   pid,   process,     make_content};
	int code = -ENOENT, learnt;

	str_format(reason, reason_size, "it maps no libtorch_python");
	for (unsigned int i = 0; i < mapped->count; i++) {
		const struct content *content;
		struct file *file;

		if (mapped->role[i] != FILE_BINDING)
			continue;
		file = roles_learn(&search, &mapped->mapping[i], &learnt);
		if (!file) {
			str_format(reason, reason_size, "%s",
				   learnt == -ENOSPC ? "too many files" : strerror(-learnt));
			continue;
		}
		content = file->content;
		if (!content->code && take(file, &mapped->mapping[i], found))
			return 0;
		if (content->code) {
			code = -ENOTSUP;
			str_format(reason, reason_size, "%s: %s", file->path, content->reason);
		}
	}
	return code;
}
