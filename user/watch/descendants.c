// SPDX-License-Identifier: GPL-2.0-or-later
#include "watch/descendants.h"

#include <errno.h>
#include <string.h>

#include "target/procfs.h"

struct search {
	struct programs *programs;
	void (*found)(void *context, uint32_t pid);
	void *context;
	struct err *err;
	unsigned int added;
	int code;
};

static bool descends(const struct programs *programs, pid_t pid)
{
	pid_t parent;

	return !procfs_parent(pid, &parent) && parent > 0 &&
	       programs_is_watched(programs, (uint32_t)parent);
}

static void visit(void *context, pid_t pid)
{
	struct search *search = context;
	pid_t tgid;

	if (search->code || programs_is_watched(search->programs, (uint32_t)pid) ||
	    !descends(search->programs, pid))
		return;
	search->code = programs_watch(search->programs, (uint32_t)pid, true, search->err);
	if (search->code)
		return;
	search->added++;
	if (procfs_tgid(pid, &tgid)) /* it has ended, perhaps before it was in the map */
		programs_unwatch(search->programs, (uint32_t)pid);
	else
		search->found(search->context, (uint32_t)pid);
}

/*
 * A child that is not found in one pass was forked before its parent was in the map: it is there
 * for all of the next pass. So none is missing when a pass finds none.
 */
int descendants_watch(struct programs *programs, void (*found)(void *context, uint32_t pid),
		      void *context, struct err *err)
{
	struct search search = {programs, found, context, err, 1, 0};

	while (search.added && !search.code) {
		int code;

		search.added = 0;
		code = procfs_each_process(visit, &search);
		if (code)
			return err_set(err, code, "cannot read /proc: %s", strerror(-code));
	}
	return search.code;
}
