// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/enforcement.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

#include "base/str.h"
#include "model/kinds.h"
#include "output/names.h"

#define HOLD_DEFAULT_NS 60000000000ull
#define KINDS_ENFORCED  (1u << TRACE_KIND_EXPORT | 1u << TRACE_KIND_DECOMPOSE)

void enforcement_defaults(struct act_policy *policy)
{
	policy->kinds = KINDS_ENFORCED;
	policy->hold_ns = HOLD_DEFAULT_NS;
}

/* "TERM", "SIGTERM" or "15"; 0: no such signal. */
static int signal_number(const char *text)
{
	uint64_t number;

	if (!str_to_u64(text, 1, 64, &number))
		return (int)number;
	if (!strncmp(text, "SIG", 3))
		text += 3;
	for (int i = 1; i < NSIG; i++)
		if (sigabbrev_np(i) && !strcmp(sigabbrev_np(i), text))
			return i;
	return 0;
}

/* An action with its signal, where it has one. */
static int parse(const char *option, const char *text, uint32_t *action, uint32_t *number,
		 struct err *err)
{
	if (!strncmp(text, "signal:", 7)) {
		int found = signal_number(text + 7);

		/* A stop is what hold is for, with somebody who lets go. */
		if (!found || found == SIGSTOP || found == SIGCONT)
			return err_set(err, -EINVAL,
				       "%s: '%s' is no signal that can stop a change: TERM, ABRT, "
				       "USR1, ...",
				       option, text + 7);
		*action = found == SIGKILL ? GW_ACTION_KILL : GW_ACTION_SIGNAL;
		*number = (uint32_t)found;
		return 0;
	}
	for (unsigned int i = 0; i < GW_ACTION_MAX; i++) {
		if (i == GW_ACTION_SIGNAL || strcmp(text, output_action(i)))
			continue;
		*action = i;
		*number = i == GW_ACTION_KILL ? SIGKILL : 0;
		return 0;
	}
	return err_set(err, -EINVAL, "%s knows no '%s': report, hold, raise, signal:NAME or kill",
		       option, text);
}

int enforcement_action(struct act_policy *policy, const char *text, struct err *err)
{
	return parse("--on-violation", text, &policy->bpf.action, &policy->bpf.signal, err);
}

int enforcement_fallback(struct act_policy *policy, const char *text, struct err *err)
{
	int code = parse("--fallback", text, &policy->bpf.fallback, &policy->fallback_signal, err);

	if (!code && policy->bpf.fallback == GW_ACTION_RAISE)
		return err_set(err, -EINVAL,
			       "--fallback is for what cannot be raised: report, hold, "
			       "signal:NAME or kill");
	return code;
}

int enforcement_kinds(struct act_policy *policy, const char *text, struct err *err)
{
	char word[64], all[KINDS_TEXT_SIZE];

	if (!kinds_parse(text, &policy->kinds, word, sizeof(word)))
		return 0;
	kinds_text(all);
	return err_set(err, -EINVAL, "--enforce-kinds knows no '%s': all, or some of %s", word,
		       all);
}

int enforcement_timeout(struct act_policy *policy, const char *text, struct err *err)
{
	uint64_t seconds;

	if (str_to_u64(text, 1, 86400, &seconds))
		return err_set(err, -EINVAL,
			       "--hold-timeout wants seconds from 1 to 86400, not '%s'", text);
	policy->hold_ns = seconds * 1000000000ull;
	return 0;
}

int enforcement_check(struct act_policy *policy, bool all, struct err *err)
{
	if (policy->bpf.action == GW_ACTION_REPORT && (policy->bpf.dry_run || policy->escalate))
		return err_set(err, -EINVAL, "%s is for an action: --on-violation says which",
			       policy->escalate ? "--escalate" : "--dry-run");
	if (policy->bpf.fallback && policy->bpf.action != GW_ACTION_RAISE)
		return err_set(err, -EINVAL, "--fallback goes with --on-violation raise");
	if (policy->bpf.action == GW_ACTION_RAISE)
		policy->bpf.signal = policy->fallback_signal;
	if (policy->bpf.action != GW_ACTION_REPORT && all && !policy->user && !policy->command &&
	    !policy->cgroup)
		return err_set(err, -EINVAL,
			       "to act in processes of the whole host, say in which: "
			       "--enforce-user, --enforce-command or --enforce-cgroup");
	return 0;
}
