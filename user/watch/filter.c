// SPDX-License-Identifier: GPL-2.0-or-later
#include "watch/filter.h"

#include <fnmatch.h>
#include <stddef.h>

static bool has_uid(const struct filter_conditions *conditions, uint32_t uid)
{
	for (unsigned int i = 0; i < conditions->uids; i++)
		if (conditions->uid[i] == uid)
			return true;
	return false;
}

static bool fits(const char *const *pattern, unsigned int count, const char *text)
{
	for (unsigned int i = 0; i < count; i++)
		if (!fnmatch(pattern[i], text, 0))
			return true;
	return false;
}

bool filter_is_empty(const struct filter *filter)
{
	const struct filter_conditions *only = &filter->only, *exclude = &filter->exclude;

	return !only->uids && !only->comms && !only->cgroups && !exclude->uids && !exclude->comms &&
	       !exclude->cgroups;
}

bool filter_admits(const struct filter *filter, const struct filter_subject *subject)
{
	const struct filter_conditions *only = &filter->only, *exclude = &filter->exclude;

	return (!only->uids || has_uid(only, subject->uid)) &&
	       (!only->comms || fits(only->comm, only->comms, subject->comm)) &&
	       (!only->cgroups || fits(only->cgroup, only->cgroups, subject->cgroup)) &&
	       !has_uid(exclude, subject->uid) &&
	       !fits(exclude->comm, exclude->comms, subject->comm) &&
	       !fits(exclude->cgroup, exclude->cgroups, subject->cgroup);
}
