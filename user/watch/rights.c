// SPDX-License-Identifier: GPL-2.0-or-later
#include "watch/rights.h"

#include <cap-ng.h>
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "probe/diagnose.h"

#define LOWEST_NICE_LIMIT 40 /* of RLIMIT_NICE: nice -20 */

/*
 * Files that are mapped later are probed, so what that takes stays: BPF and the records of new
 * mappings, other users' processes and files, and files that have lost their name (map_files).
 */
static const unsigned int always[] = {CAP_BPF, CAP_PERFMON, CAP_SYS_PTRACE, CAP_DAC_READ_SEARCH,
				      CAP_CHECKPOINT_RESTORE};

static bool is_permitted(unsigned int capability)
{
	return capng_have_capability(CAPNG_PERMITTED, capability);
}

/*
 * For perf events, where the kernel keeps them for it: the records of new mappings are some. Where
 * the two that were split off it are missing, it stands in for them.
 */
static bool needs_admin(const struct rights_needs *needs)
{
	return needs->perf_uprobes || diagnose_perf_event_paranoid() > 2 ||
	       !is_permitted(CAP_BPF) || !is_permitted(CAP_PERFMON);
}

/*
 * What would take rights later is allowed for good: memory of maps (up to 5.10), and priority.
 * Returns whether that was possible for priority.
 */
static bool raise_limits(void)
{
	const struct rlimit memory = {RLIM_INFINITY, RLIM_INFINITY};
	const struct rlimit nice = {LOWEST_NICE_LIMIT, LOWEST_NICE_LIMIT};

	setrlimit(RLIMIT_MEMLOCK, &memory);
	return !setrlimit(RLIMIT_NICE, &nice);
}

/* Adds each capability to the set that is applied, if we have it. */
static void keep(const unsigned int *capabilities, size_t count, uint64_t permitted)
{
	for (size_t i = 0; i < count; i++)
		if (permitted >> capabilities[i] & 1)
			capng_update(CAPNG_ADD,
				     CAPNG_EFFECTIVE | CAPNG_PERMITTED | CAPNG_BOUNDING_SET,
				     capabilities[i]);
}

static size_t choose(const struct rights_needs *needs, unsigned int chosen[CAP_LAST_CAP + 1])
{
	size_t count = sizeof(always) / sizeof(always[0]);

	memcpy(chosen, always, sizeof(always));
	if (needs_admin(needs))
		chosen[count++] = CAP_SYS_ADMIN;
	if (needs->acts || needs->signals)
		chosen[count++] = CAP_KILL;
	if (needs->acts)
		chosen[count++] = CAP_SYS_RESOURCE; /* the watchdog is not to be killed first */
	if (needs->overrides)
		chosen[count++] = CAP_DAC_OVERRIDE;
	return count;
}

static uint64_t permitted_rights(void)
{
	uint64_t permitted = 0;

	for (unsigned int i = 0; i <= CAP_LAST_CAP; i++)
		permitted |= (uint64_t)is_permitted(i) << i;
	return permitted;
}

void rights_names(const struct rights_needs *needs, char *out, size_t size)
{
	unsigned int chosen[CAP_LAST_CAP + 1];
	size_t used = 0, count;

	out[0] = '\0';
	if (capng_get_caps_process())
		return;
	count = choose(needs, chosen);
	for (size_t i = 0; i < count && used < size; i++) {
		if (!is_permitted(chosen[i]))
			continue;
		used += (size_t)snprintf(out + used, size - used, "%sCAP_%s", used ? ", " : "",
					 capng_capability_to_name(chosen[i]));
	}
	for (char *at = out; *at; at++)
		*at = (char)toupper((unsigned char)*at);
}

int rights_drop(const struct rights_needs *needs, struct err *err)
{
	unsigned int chosen[CAP_LAST_CAP + 1];
	capng_select_t select;
	uint64_t permitted;
	size_t count;

	if (capng_get_caps_process())
		return err_set(err, -EPERM, "cannot read the capabilities of gradwatch");
	permitted = permitted_rights();
	count = choose(needs, chosen);
	if (!raise_limits())
		chosen[count++] = CAP_SYS_NICE;
	/* Without CAP_SETPCAP the bounding set stays, which no_new_privs makes useless. */
	select = permitted >> CAP_SETPCAP & 1 ? CAPNG_SELECT_ALL : CAPNG_SELECT_CAPS;
	capng_clear(CAPNG_SELECT_ALL);
	keep(chosen, count, permitted);
	if (capng_apply(select))
		return err_set(err, -EPERM, "cannot drop the capabilities that are not needed: %s",
			       strerror(errno));
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return err_set(err, -errno, "cannot set no_new_privs: %s", strerror(errno));
	return 0;
}
