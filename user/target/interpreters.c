// SPDX-License-Identifier: GPL-2.0-or-later
#include "target/interpreters.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "target/roles.h"

struct python {
	struct inspect_python inspect;
	int code; /* of the inspection */
	char reason[256];
};

static void forget(void *context, struct file *file)
{
	(void)context;
	free(file->content);
}

void interpreters_register(struct files *files)
{
	const struct files_handler handler = {.forget = forget};

	files_set_handler(files, FILE_PYTHON, &handler);
}

static void *make_content(const struct inspection *inspection)
{
	struct python *python = calloc(1, sizeof(*python));

	if (!python)
		return NULL;
	python->inspect = inspection->python;
	python->code = inspection->code;
	memcpy(python->reason, inspection->reason, sizeof(python->reason));
	return python;
}

static uint64_t moved(const struct inspect_python *python, uint64_t address, uint64_t bias)
{
	return address ? address + (python->fixed ? 0 : bias) : 0;
}

static void tell(const struct file *file, uint64_t bias, struct interpreter_found *found)
{
	const struct python *python = file->content;
	const struct inspect_python *inspect = &python->inspect;

	found->interpreter.has_python = true;
	found->interpreter.python = inspect->python;
	found->interpreter.runtime = moved(inspect, inspect->runtime, bias);
	found->interpreter.true_object = moved(inspect, inspect->true_object, bias);
	found->interpreter.false_object = moved(inspect, inspect->false_object, bias);
	found->err_format = moved(inspect, inspect->err_format, bias);
	found->runtime_error = moved(inspect, inspect->runtime_error, bias);
	found->path = file->path;
	str_format(found->reason, sizeof(found->reason), "%s", python->code ? python->reason : "");
}

/* The mapping of the text tells the load address. Another part of the file is passed over. */
static bool take(const struct file *file, const struct procfs_mapping *mapping,
		 struct interpreter_found *found)
{
	const struct python *python = file->content;
	uint64_t address;

	if ((python->code && python->code != -ENOTSUP) ||
	    !procfs_mapped_at(mapping, python->inspect.text_offset, &address))
		return false;
	tell(file, address - python->inspect.text, found);
	return true;
}

int interpreters_find(struct files *files, struct inspections *inspections, pid_t pid,
		      struct process *process, const struct mapped *mapped,
		      struct interpreter_found *found)
{
	const struct role_search search = {files, inspections, FILE_PYTHON,
					   pid,   process,     make_content};
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
