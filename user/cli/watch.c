// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "act/act.h"
#include "base/clock.h"
#include "base/log.h"
#include "cli/commands.h"
#include "model/suppressions.h"
#include "output/sink.h"
#include "output/text.h"
#include "watch/diagnose.h"
#include "watch/procfs.h"
#include "watch/selftest.h"
#include "watch/watch.h"

#define MAX_SINKS 2

struct outputs {
	struct sink_context context;
	struct sink *sink[MAX_SINKS];
	size_t count;
	bool closed; /* nobody reads standard output any more */
};

static void on_event(void *context, const struct event *event)
{
	struct outputs *outputs = context;

	for (size_t i = 0; i < outputs->count; i++) {
		struct sink *sink = outputs->sink[i];
		int code = sink_event(sink, event);

		if (!code)
			continue;
		if (code == -EPIPE && !outputs->closed) {
			outputs->closed = true;
			raise(SIGTERM); /* taken by the loop: an orderly end */
		} else if (code != -EPIPE) {
			log_error("cannot write an event: %s", strerror(-code));
		}
	}
}

static void on_reopen(void *context)
{
	struct outputs *outputs = context;

	for (size_t i = 0; i < outputs->count; i++) {
		struct sink *sink = outputs->sink[i];
		int code = sink_reopen(sink);

		if (code)
			log_error("cannot reopen the log file: %s; writing on to the old one",
				  strerror(-code));
	}
}

static int open_outputs(struct outputs *outputs, const struct options *options, struct err *err)
{
	bool colour = isatty(STDOUT_FILENO) && !getenv("NO_COLOR");
	int code = 0;

	gethostname(outputs->context.host, sizeof(outputs->context.host) - 1);
	outputs->context.utc_offset = clock_utc_offset();
	if (options->json)
		outputs->sink[0] = sink_json(&outputs->context, STDOUT_FILENO);
	else if (options->print_suppressions)
		outputs->sink[0] = sink_suppression_lines(stdout);
	else
		outputs->sink[0] = sink_text(&outputs->context, stdout, colour, options->verbosity);
	outputs->count = 1;
	if (options->log_path) {
		outputs->sink[outputs->count++] = sink_log(&outputs->context, options->log_path,
							   &code);
		if (!outputs->sink[1])
			return err_set(err, code, "cannot append to log file '%s': %s",
				       options->log_path,
				       code == -ELOOP ? "it is a symbolic link" : strerror(-code));
	}
	return outputs->sink[0] ? 0 : err_set(err, -ENOMEM, "out of memory");
}

static void close_outputs(struct outputs *outputs)
{
	for (size_t i = 0; i < outputs->count; i++)
		sink_free(outputs->sink[i]);
}

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
		return err_set(err, -ENOTSUP,
			       "this kernel has no uprobes (/sys/bus/event_source/devices/uprobe); "
			       "use a kernel built with CONFIG_UPROBE_EVENTS");
	if (!diagnose_initial_pid_namespace())
		return err_set(
			err, -EINVAL,
			"this is a pid namespace of its own (a container?), where process ids "
			"are not the kernel's: run on the host, or with the host's pid "
			"namespace (--pid=host)");
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

static int status_of_result(const struct options *options, const struct watch_result *result)
{
	if (result->bad_records)
		log_warn("%llu records of another format were ignored",
			 (unsigned long long)result->bad_records);
	if (!result->probed && !options->all)
		log_warn("no libtorch that can be watched was loaded: nothing was seen");
	if (options->child && result->command_status)
		return result->command_status;
	if (options->fail && (result->totals.findings || has_acted(&result->totals) ||
			      result->totals.lost || result->totals.counter[GW_THROTTLED]))
		return EXIT_VIOLATIONS;
	return !result->probed && options->pid_count ? EXIT_BAD_USE : EXIT_OK;
}

int command_watch(const struct options *options)
{
	struct outputs outputs = {0};
	struct act_policy policy;
	struct act *act = NULL;
	struct watch_config config = {
		.pids = options->pids,
		.pid_count = options->pid_count,
		.all = options->all,
		.follow = options->follow,
		.command = options->child,
		.model = {.idle_ns = options->idle_ns, .kinds = options->kinds},
		.rate = options->rate,
		.handler = on_event,
		.reopen = on_reopen,
		.context = &outputs,
	};
	struct watch_actor actor;
	struct watch_result result;
	struct err err;
	int code;

	signal(SIGPIPE, SIG_IGN);
	code = load_suppressions(options, &config.model.suppressions, &err);
	if (!code && options->act.bpf.action != GW_ACTION_REPORT) {
		config.policy = options->act.bpf;
		config.policy.ask_always = config.model.suppressions != NULL;
		config.policy.registers = config.policy.action == GW_ACTION_RAISE &&
					  !selftest_registers(&err);
		config.actor = &actor;
		policy = options->act;
		policy.bpf = config.policy;
		act = act_new(&policy);
		if (act)
			act_actor(act, &actor);
		else
			code = err_set(&err, -ENOMEM, "out of memory");
	}
	if (!code)
		code = check_environment(options, &err);
	if (!code)
		code = open_outputs(&outputs, options, &err);
	if (!code)
		code = watch_run(&config, &result, &err);
	close_outputs(&outputs);
	if (code) {
		log_error("%s", err.text);
		code = status_of_failure(options, &err);
	} else {
		text_totals(stderr, &result.totals);
		if (config.model.suppressions)
			text_suppressions(stderr, config.model.suppressions);
		code = status_of_result(options, &result);
	}
	act_free(act);
	suppressions_free(config.model.suppressions);
	return code;
}
