// SPDX-License-Identifier: GPL-2.0-or-later
#include "target/interpreters.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "target/roles.h"

static uint64_t address_in_process(const struct inspect_python *python, uint64_t address,
				   uint64_t bias)
{
	return address ? address + (python->fixed ? 0 : bias) : 0;
}

static void fill_found(const struct file *file, uint64_t bias, struct interpreter_found *found)
{
	const struct inspection *inspection = roles_found(file);
	const struct inspect_python *inspect = &inspection->python;

	found->interpreter.has_python = true;
	found->interpreter.python = inspect->python;
	found->interpreter.runtime = address_in_process(inspect, inspect->runtime, bias);
	found->interpreter.true_object = address_in_process(inspect, inspect->true_object, bias);
	found->interpreter.false_object = address_in_process(inspect, inspect->false_object, bias);
	found->err_format = address_in_process(inspect, inspect->err_format, bias);
	found->runtime_error = address_in_process(inspect, inspect->runtime_error, bias);
	found->path = file->path;
	str_format(found->reason, sizeof(found->reason), "%s",
		   inspection->code ? inspection->reason : "");
}

/* The mapping of the text gives the load address. Another part of the file is passed over. */
static bool take(const struct file *file, const struct procfs_mapping *mapping,
		 struct interpreter_found *found)
{
	const struct inspection *inspection = roles_found(file);
	uint64_t address;

	if ((inspection->code && inspection->code != -ENOTSUP) ||
	    !procfs_mapped_at(mapping, inspection->python.text_offset, &address))
		return false;
	fill_found(file, address - inspection->python.text, found);
	return true;
}

int interpreters_find(struct files *files, struct inspections *inspections, pid_t pid,
		      struct process *process, const struct mapped *mapped,
		      struct interpreter_found *found)
{
	const struct role_search search = {files, inspections, FILE_PYTHON, pid, process};
	struct file *file;
	int code = -ENOENT, learnt;

	memset(found, 0, sizeof(*found));
	for (unsigned int i = 0; i < mapped->count; i++) {
		if (mapped->role[i] != FILE_PYTHON)
			continue;
		file = roles_learn(&search, &mapped->mapping[i], &learnt);
		if (file && take(file, &mapped->mapping[i], found))
			return 0;
		if (!file)
			code = learnt;
	}
	return code;
}
