// SPDX-License-Identifier: GPL-2.0-or-later
#include "target/bindings.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "target/roles.h"

/* Of several executable mappings of the file the one that holds the binding. */
static bool take(const struct file *file, const struct procfs_mapping *mapping,
		 struct binding_found *found)
{
	const struct inspect_binding *binding = &roles_found(file)->binding;
	uint64_t address;

	if (!procfs_mapped_at(mapping, binding->file_offset, &address))
		return false;
	found->inspect = *binding;
	found->bias = address - binding->address;
	found->file_id = file->id;
	found->mapping = mapping;
	return true;
}

int bindings_find(struct files *files, struct inspections *inspections, pid_t pid,
		  struct process *process, const struct mapped *mapped, struct binding_found *found,
		  char *reason, size_t reason_size)
{
	const struct role_search search = {files, inspections, FILE_BINDING, pid, process};
	int code = -ENOENT, learnt;

	str_format(reason, reason_size, "it maps no libtorch_python");
	for (unsigned int i = 0; i < mapped->count; i++) {
		const struct inspection *content;
		struct file *file;

		if (mapped->role[i] != FILE_BINDING)
			continue;
		file = roles_learn(&search, &mapped->mapping[i], &learnt);
		if (!file) {
			str_format(reason, reason_size, "%s",
				   learnt == -ENOSPC ? "too many files" : strerror(-learnt));
			code = learnt;
			continue;
		}
		content = roles_found(file);
		if (!content->code && take(file, &mapped->mapping[i], found))
			return 0;
		if (content->code) {
			code = -ENOTSUP;
			str_format(reason, reason_size, "%s: %s", file->path, content->reason);
		}
	}
	return code;
}
