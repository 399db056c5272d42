// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <signal.h>
#include <string.h>

#include "base/log.h"
#include "cli/commands.h"
#include "cli/enforcement.h"
#include "cli/outputs.h"
#include "cli/reload.h"
#include "cli/unknown.h"
#include "enforce/enforce.h"
#include "model/suppressions.h"
#include "probe/diagnose.h"
#include "probe/probes.h"
#include "target/procfs.h"
#include "watch/cgroup_view.h"
#include "watch/rights.h"
#include "watch/selftest.h"
#include "watch/watch.h"

static int ignore_mapping(void *context, const struct procfs_mapping *mapping)
{
	(void)context;
	(void)mapping;
	return 1;
}

/* A wrong pid is found here, before anything is loaded; a process without libtorch is a warning. */
static int check_pid(pid_t pid, struct err *err)
{
	pid_t tgid;
	int code = procfs_tgid(pid, &tgid);

	if (code)
		return err_set(err, code, "no process %d: it does not exist or has ended", pid);
	if (tgid != pid)
		return err_set(err, -EINVAL, "%d is a thread of process %d: use --pid %d", pid,
			       tgid, tgid);
	code = procfs_candidates(pid, ignore_mapping, NULL);
	if (!code)
		log_warn("process %d has no libtorch mapped; watching it from the moment it does",
			 pid);
	else if (code < 0)
		return err_set(err, code, "cannot read the mappings of process %d: %s", pid,
			       strerror(-code));
	return 0;
}

static int check_environment(const struct options *options, struct err *err)
{
	char missing[128];

	if (diagnose_capabilities(missing, sizeof(missing)))
		return err_set(err, -EPERM,
			       "missing capability %s: run as root (sudo gradwatch ...)", missing);
	if (!diagnose_uprobes())
		return err_set(err, -ENOTSUP, NO_UPROBES);
	if (!diagnose_initial_pid_namespace())
		return err_set(
			err, -EINVAL,
			"this is a pid namespace of its own (a container?), where process ids "
			"are not the kernel's: run on the host, or with the host's pid "
			"namespace (--pid=host)");
	if (!diagnose_initial_time_namespace())
		return err_set(
			err, -EINVAL,
			"this is a time namespace of its own, whose clocks are not the kernel's: "
			"run outside of it (nsenter --time --target 1)");
	for (size_t i = 0; i < options->pid_count; i++) {
		int code = check_pid((pid_t)options->pids[i], err);

		if (code)
			return code;
	}
	return 0;
}

static int load_suppressions(const struct options *options, struct suppressions **suppressions,
			     struct err *err)
{
	if (!options->suppress_path)
		return 0;
	*suppressions = suppressions_load(options->suppress_path, err);
	return *suppressions ? 0 : err->code;
}

static int status_of_failure(const struct options *options, const struct err *err)
{
	/* Only running the command fails with these in a way that a shell has a status for. */
	if (options->child && !strncmp(err->text, "cannot run ", 11))
		return err->code == -ENOENT ? EXIT_COMMAND_NOT_FOUND : EXIT_COMMAND_NOT_RUN;
	return EXIT_BAD_USE;
}

/* A violation that was prevented is one, too. */
static bool has_acted(const struct event_totals *totals)
{
	return totals->actions[ACTION_PERFORMED] || totals->actions[ACTION_TOO_LATE];
}

/* What --fail-on can name and there was: a set of FAIL_. */
static unsigned int failures(const struct watch_result *result)
{
	const struct event_totals *totals = &result->totals;
	unsigned int found = 0;

	if (totals->findings > totals->drifts || has_acted(totals))
		found |= FAIL_VIOLATION;
	if (totals->notes)
		found |= FAIL_NOTE;
	if (totals->drifts)
		found |= FAIL_DRIFT;
	return found;
}

static void log_failures(unsigned int found)
{
	log_error("--fail-on: there were %s%s%s%s%s", found & FAIL_VIOLATION ? "violations" : "",
		  found & FAIL_VIOLATION && found & (FAIL_DRIFT | FAIL_NOTE) ? ", " : "",
		  found & FAIL_DRIFT ? "drifts" : "",
		  found & FAIL_DRIFT && found & FAIL_NOTE ? ", " : "",
		  found & FAIL_NOTE ? "notes" : "");
}

/* Whatever may have hidden a violation is FAIL_UNKNOWN. */
static int status_of_fail(const struct watch_result *result, const struct outputs *outputs,
			  unsigned int fail_on)
{
	const struct unknown_facts facts = {
		.totals = &result->totals,
		.skipped = outputs->skipped,
		.too_late = outputs->too_late,
		.lost_output = outputs->lost,
	};
	unsigned int found = failures(result) & fail_on;
	char reason[256];
	bool unknown = fail_on & FAIL_UNKNOWN && unknown_reason(&facts, reason, sizeof(reason));

	if (unknown)
		log_error("--fail-on: not all could be checked: %s", reason);
	if (found)
		log_failures(found);
	return unknown || found ? EXIT_VIOLATIONS : EXIT_OK;
}

static int status_of_result(const struct options *options, const struct watch_result *result,
			    const struct outputs *outputs)
{
	int failed = EXIT_OK;

	if (result->totals.coverage.bad_records)
		log_warn("%llu %s of another format ignored",
			 (unsigned long long)result->totals.coverage.bad_records,
			 result->totals.coverage.bad_records == 1 ? "record was" : "records were");
	if (!result->totals.coverage.probed && !options->all && !(options->fail_on & FAIL_UNKNOWN))
		log_warn("no libtorch that can be watched was loaded: nothing was seen");
	if (options->fail_on)
		failed = status_of_fail(result, outputs, options->fail_on);
	if (options->child && result->command_status)
		return result->command_status;
	if (failed)
		return failed;
	return !result->totals.coverage.probed && options->pid_count ? EXIT_BAD_USE : EXIT_OK;
}

/* Single changes take time to describe: does an output have them, or status count them? */
static bool wants_changes(const struct options *options)
{
	return options->json || options->verbosity > 1 || options->serve.socket ||
	       (options->log.segments.path && options->log.level == LOG_DETAIL_CHANGES);
}

/* The same of each occurrence of a finding. */
static bool wants_each(const struct options *options)
{
	return wants_changes(options) || serve_is_wanted(&options->serve);
}

static int drop_rights(const struct watch_config *config, const struct outputs *outputs,
		       struct err *err)
{
	const struct rights_needs needs = {
		.perf_uprobes = !plans_can_use_multi(&config->policy),
		.acts = config->actor != NULL,
		.signals = config->command != NULL,
		.overrides = outputs_need_override(outputs),
	};

	cgroup_view_of_host();
	return rights_drop(&needs, err);
}

/* What SIGHUP is for. */
struct hang_up {
	struct outputs *outputs;
	struct reload reload;
	struct serve *serve; /* NULL: none */
};

static void on_hung_up(void *context, struct watch_settings *settings)
{
	struct hang_up *hang_up = context;

	if (hang_up->serve)
		serve_reloading(hang_up->serve, true);
	outputs_renew(hang_up->outputs);
	reload_settings(&hang_up->reload, settings);
	if (hang_up->serve)
		serve_reloading(hang_up->serve, false);
}

int command_watch(const struct options *options)
{
	struct outputs outputs = {0};
	struct hang_up hang_up = {.outputs = &outputs, .reload = {.first = options}};
	struct enforce_policy policy;
	struct enforce *enforce = NULL;
	struct watch_service service;
	struct serve *serve = NULL;
	struct watch_config config = {
		.pids = options->pids,
		.pid_count = options->pid_count,
		.all = options->all,
		.filter = filter_is_empty(&options->filter) ? NULL : &options->filter,
		.follow = options->follow,
		.model = {.idle_ns = options->idle_ns,
			  .kinds = options->kinds,
			  .began_on = options->began_on,
			  .for_log = options->log.segments.path != NULL,
			  .each = wants_each(options),
			  .no_changes = !wants_changes(options)},
		.rate = options->rate,
		.handler = outputs_event,
		.hung_up = options->log.segments.path || options->config ? on_hung_up : NULL,
		.hung_up_context = &hang_up,
		.is_full = outputs_are_full,
		.input = options->log.segments.path && options->log.level == LOG_DETAIL_ALL
				 ? outputs_input
				 : NULL,
		.flush = outputs_flush,
		.context = &outputs,
	};
	struct spawn command = {0};
	struct watch_actor actor;
	struct watch_result result;
	struct err err;
	int code;

	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	code = load_suppressions(options, &config.model.suppressions, &err);
	if (!code && options->enforcement.bpf.action != GW_ACTION_REPORT) {
		config.policy = options->enforcement.bpf;
		config.policy.ask_always = config.model.suppressions != NULL;
		config.policy.registers = config.policy.action == GW_ACTION_RAISE &&
					  !selftest_registers(&err);
		config.actor = &actor;
		config.is_full = NULL; /* processes wait for their answers */
		policy = options->enforcement;
		policy.bpf = config.policy;
		enforce = enforce_new(&policy);
		if (enforce)
			enforce_actor(enforce, &actor);
		else
			code = err_set(&err, -ENOMEM, "out of memory");
	}
	if (!code && enforce)
		code = enforcement_environment(&policy, &err);
	if (!code)
		code = check_environment(options, &err);
	if (!code && options->child) {
		code = spawn_prepare(&command, options->child, &err);
		config.command = &command;
	}
	if (!code)
		code = outputs_open(&outputs, options, &err);
	if (!code && serve_is_wanted(&options->serve)) {
		serve = serve_new(&options->serve, &outputs.context);
		if (serve)
			serve_service(serve, &service);
		else
			code = err_set(&err, -ENOMEM, "out of memory");
		config.service = serve ? &service : NULL;
		hang_up.serve = serve;
	}
	if (!code)
		code = drop_rights(&config, &outputs, &err);
	if (!code)
		code = outputs_start(&outputs, &err);
	if (!code)
		code = watch_run(&config, &result, &err);
	outputs_finish(&outputs, !code);
	if (code) {
		log_error("%s", err.text);
		code = status_of_failure(options, &err);
	} else {
		outputs_totals(&outputs, &result.totals);
		code = status_of_result(options, &result, &outputs);
	}
	outputs_close(&outputs);
	spawn_close(&command);
	enforce_free(enforce);
	serve_free(serve);
	reload_free(&hang_up.reload);
	suppressions_free(config.model.suppressions);
	return code;
}
