/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is to be done about violations, and where. */
#ifndef GRADWATCH_ENFORCE_POLICY_H
#define GRADWATCH_ENFORCE_POLICY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "gradwatch/abi.h"

struct enforce_policy {
	struct gw_policy bpf;
	uint32_t fallback_signal; /* of bpf.fallback */
	unsigned int kinds;       /* set of model/kinds.h */
	uint64_t hold_ns;         /* a held process is let go after so long */
	bool kinds_chosen;        /* kinds, hold_ns: not the default */
	bool hold_chosen;
	bool escalate;       /* a signal that does not stop the change is followed by SIGKILL */
	const char *user;    /* only processes of this user (name or number); NULL: of any */
	uint32_t uid;        /* of user */
	const char *command; /* and with this name, a pattern of fnmatch(3) */
	const char *cgroup;  /* and in this cgroup (v2 path), a pattern */
};

/* Whether one may act in a process; a negative errno, as of one that has ended, is a no. */
bool enforce_policy_allows(const struct enforce_policy *policy, pid_t pid);

#endif
