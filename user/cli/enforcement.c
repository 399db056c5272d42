// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/enforcement.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "cli/filters.h"
#include "model/kinds.h"
#include "output/names.h"
#include "probe/diagnose.h"

#define HOLD_DEFAULT_NS 60000000000ull
#define KINDS_ENFORCED  (1u << TRACE_KIND_EXPORT | 1u << TRACE_KIND_DECOMPOSE)

/* BPF does not stop a pre-dispatch trace: it records each change as a node of its graph. */
#define KINDS_NOT_ACTED (1u << TRACE_KIND_PRE_DISPATCH)

void enforcement_defaults(struct enforce_policy *policy)
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

		/* To stop a process, there is hold: it resumes it too. */
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

int enforcement_action(struct enforce_policy *policy, const char *text, struct err *err)
{
	return parse("--on-violation", text, &policy->bpf.action, &policy->bpf.signal, err);
}

int enforcement_fallback(struct enforce_policy *policy, const char *text, struct err *err)
{
	int code = parse("--fallback", text, &policy->bpf.fallback, &policy->fallback_signal, err);

	if (!code && policy->bpf.fallback == GW_ACTION_RAISE)
		return err_set(err, -EINVAL,
			       "--fallback is for what cannot be raised: report, hold, "
			       "signal:NAME or kill");
	return code;
}

int enforcement_kinds(struct enforce_policy *policy, const char *text, struct err *err)
{
	char word[64], all[KINDS_TEXT_SIZE];

	if (!kinds_parse(text, &policy->kinds, word, sizeof(word))) {
		policy->kinds_chosen = true;
		return 0;
	}
	kinds_text(all);
	return err_set(err, -EINVAL, "--enforce-kinds knows no '%s': all, or some of %s", word,
		       all);
}

int enforcement_timeout(struct enforce_policy *policy, const char *text, struct err *err)
{
	uint64_t seconds;

	if (str_to_u64(text, 1, 86400, &seconds))
		return err_set(err, -EINVAL,
			       "--hold-timeout wants seconds from 1 to 86400, not '%s'", text);
	policy->hold_ns = seconds * 1000000000ull;
	policy->hold_chosen = true;
	return 0;
}

/* An option that says how to enforce, where one does not; NULL: none. */
static const char *without_action(const struct enforce_policy *policy)
{
	const struct {
		bool given;
		const char *name;
	} option[] = {
		{policy->escalate, "--escalate"},
		{policy->bpf.dry_run, "--dry-run"},
		{policy->bpf.fallback != GW_ACTION_REPORT, "--fallback"},
		{policy->kinds_chosen, "--enforce-kinds"},
		{policy->hold_chosen, "--hold-timeout"},
		{policy->user != NULL, "--enforce-user"},
		{policy->command != NULL, "--enforce-command"},
		{policy->cgroup != NULL, "--enforce-cgroup"},
	};

	for (size_t i = 0; i < sizeof(option) / sizeof(option[0]); i++)
		if (option[i].given)
			return option[i].name;
	return NULL;
}

/* The name of the first kind of a set. */
static const char *first_name(unsigned int kinds)
{
	for (int i = 0; i < TRACE_KIND_MAX; i++)
		if (kinds >> i & 1)
			return kind_name((enum trace_kind)i);
	return "";
}

/* "all" and the default are what can be acted in of the kinds whose changes are violations. */
static int check_kinds(struct enforce_policy *policy, unsigned int kinds, struct err *err)
{
	bool named = policy->kinds_chosen && policy->kinds != KINDS_ALL;

	if (named && policy->kinds & KINDS_NOT_ACTED)
		return err_set(
			err, -EINVAL,
			"--enforce-kinds %s: such a trace records the change in its graph, so "
			"there is nothing to act on; leave it out",
			first_name(policy->kinds & KINDS_NOT_ACTED));
	if (named && policy->kinds & ~kinds)
		return err_set(
			err, -EINVAL,
			"--enforce-kinds %s: changes in such traces are no violations; add it "
			"to --kinds, or leave it out",
			first_name(policy->kinds & ~kinds));
	policy->kinds &= kinds & ~KINDS_NOT_ACTED;
	if (!policy->kinds)
		return err_set(err, -EINVAL,
			       "--on-violation acts in no kind of trace that --kinds has: say in "
			       "which by --enforce-kinds");
	return 0;
}

int enforcement_check(struct enforce_policy *policy, bool all, unsigned int kinds, struct err *err)
{
	const char *option = without_action(policy);

	if (policy->bpf.action == GW_ACTION_REPORT) {
		if (option)
			return err_set(err, -EINVAL,
				       "%s is for an action: --on-violation says which", option);
		return 0;
	}
	if (policy->bpf.fallback && policy->bpf.action != GW_ACTION_RAISE)
		return err_set(err, -EINVAL, "--fallback goes with --on-violation raise");
	if (policy->hold_chosen && policy->bpf.action != GW_ACTION_HOLD &&
	    policy->bpf.fallback != GW_ACTION_HOLD)
		return err_set(err, -EINVAL, "--hold-timeout goes with --on-violation hold");
	if (policy->bpf.action == GW_ACTION_RAISE)
		policy->bpf.signal = policy->fallback_signal;
	if (all && !policy->bpf.dry_run && !policy->user && !policy->command && !policy->cgroup)
		return err_set(err, -EINVAL,
			       "to act in processes of the whole host, say in which: "
			       "--enforce-user, --enforce-command or --enforce-cgroup");
	return check_kinds(policy, kinds, err);
}

/* Whether processes have a path in the hierarchy of cgroup v2. */
static bool has_cgroup_v2(void)
{
	FILE *file = fopen("/proc/self/cgroup", "re");
	bool found = false;
	char line[4096];

	while (file && !found && fgets(line, sizeof(line), file))
		found = !strncmp(line, "0::", 3);
	if (file)
		fclose(file);
	return found;
}

static int check_patterns(const struct enforce_policy *policy, struct err *err)
{
	int code = 0;

	if (policy->command)
		code = filters_check_comm("enforce-command", policy->command, err);
	if (!code && policy->cgroup)
		code = filters_check_cgroup("enforce-cgroup", policy->cgroup, err);
	return code;
}

int enforcement_environment(struct enforce_policy *policy, struct err *err)
{
	/* BPF stops a process without it; nobody could let it go. */
	if (!policy->bpf.dry_run && !diagnose_can_signal())
		return err_set(err, -EPERM,
			       "missing capability CAP_KILL: what --on-violation stops could not "
			       "be let go; run as root (sudo gradwatch ...)");
	if (policy->user && filters_uid("enforce-user", policy->user, &policy->uid, err))
		return err->code;
	if (policy->cgroup && !has_cgroup_v2())
		return err_set(err, -EINVAL,
			       "--enforce-cgroup: this machine has no cgroup v2; use "
			       "--enforce-user or --enforce-command");
	return check_patterns(policy, err);
}
