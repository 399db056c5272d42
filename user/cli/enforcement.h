/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The options that say what is done about violations. */
#ifndef GRADWATCH_CLI_ENFORCEMENT_H
#define GRADWATCH_CLI_ENFORCEMENT_H

#include "base/err.h"
#include "enforce/policy.h"

/* What holds where nothing is said. */
void enforcement_defaults(struct enforce_policy *policy);

/* --on-violation and --fallback: 0, or -EINVAL with the line for people. */
int enforcement_action(struct enforce_policy *policy, const char *text, struct err *err);
int enforcement_fallback(struct enforce_policy *policy, const char *text, struct err *err);

/* --enforce-kinds, --hold-timeout */
int enforcement_kinds(struct enforce_policy *policy, const char *text, struct err *err);
int enforcement_timeout(struct enforce_policy *policy, const char *text, struct err *err);

/*
 * Whether they fit together, and what follows from that. all: --all was given; kinds: those whose
 * changes are violations (model/kinds.h).
 */
int enforcement_check(struct enforce_policy *policy, bool all, unsigned int kinds, struct err *err);

/* Whether this machine has what they name: --enforce-user, --enforce-cgroup. */
int enforcement_environment(struct enforce_policy *policy, struct err *err);

#endif
