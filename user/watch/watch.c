// SPDX-License-Identifier: GPL-2.0-or-later
#include "watch/watch.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "target/procfs.h"
#include "watch/descendants.h"
#include "watch/inherited.h"
#include "watch/private.h"

/*
 * With many busy threads per CPU, gradwatch would otherwise get so little of it that neither
 * signals nor stopped processes are served in time. The end is short, and the probes slow the
 * target until they are removed.
 */
#define WATCHING_NICE   (-10)
#define ENDING_NICE     (-20)

#define FEW_DESCRIPTORS 1024

static void resolve_process(void *context, uint32_t pid, uint64_t start_time,
			    struct event_process *process)
{
	const struct watch *watch = context;
	const struct process *known = processes_find(watch->discover.processes, pid, start_time);

	if (!known)
		return;
	str_copy(process->exe, sizeof(process->exe), known->exe ? known->exe : "");
	discover_describe_cgroup(&process->cgroup, known);
}

static void resolve_torch(void *context, uint32_t file_id, struct event_torch *torch)
{
	const struct watch *watch = context;

	discover_describe_torch(torch, libraries_get(watch->discover.libraries, file_id));
}

/* Every event, of the model and of what is discovered, comes through here. */
static void on_event(void *context, const struct event *event)
{
	struct watch *watch = context;

	if (watch->serving) {
		coverage_count(&watch->discover, event);
		watch->config->service->event(watch->config->service->context, event);
	}
	watch->config->handler(watch->config->context, event);
}

static int start_actor(struct watch *watch, const struct watch_actor *actor, struct err *err)
{
	struct discover *discover = &watch->discover;
	int code = actor->start(actor->context, discover, err);

	if (code)
		return code;
	watch->acting = true;
	discover->found = actor->process;
	discover->ended = actor->process_ended;
	discover->found_context = actor->context;
	return 0;
}

static int open_rooms(struct watch *watch, struct err *err)
{
	const struct watch_config *config = watch->config;
	const struct model_resolver resolver = {resolve_process, resolve_torch, watch};
	const struct programs_options options = {
		.watch_all = config->all && !config->filter,
		.rate = config->rate,
		.policy = config->policy,
		.signals = config->command != NULL,
	};
	struct mappings_handler handler = sources_mappings;
	struct collect_processes life = sources_processes;
	struct discover *discover = &watch->discover;
	int code = programs_open(&watch->programs, &options, err);

	if (code)
		return code;
	discover->programs = watch->programs;
	discover->filter = config->filter;
	discover->handler = on_event;
	discover->context = watch;
	code = discover_open(discover, err);
	if (code)
		return code;
	discover->model = model_new(&config->model, &resolver, on_event, watch);
	if (!discover->model)
		return err_set(err, -ENOMEM, "out of memory");
	if (config->input)
		model_on_input(discover->model, config->input, config->context);
	if (config->actor)
		code = start_actor(watch, config->actor, err);
	if (!code)
		code = collect_open(&watch->collect, watch->programs, discover->model,
				    watch->acting ? config->actor : NULL, err);
	if (code)
		return code;
	life.context = watch;
	collect_on_process(watch->collect, &life);
	handler.context = watch;
	return mappings_open(&watch->mappings, &handler, err);
}

static void on_descendant(void *context, uint32_t pid)
{
	watch_arrive(context, pid, 0);
}

/* A process that ended before it was in the map would never leave it. */
static int watch_pid(struct watch *watch, uint32_t pid, struct err *err)
{
	pid_t tgid;
	int code = programs_watch(watch->programs, pid, watch->config->follow, err);

	if (!code && procfs_tgid((pid_t)pid, &tgid))
		code = err_set(err, -ESRCH, "process %u has just ended", pid);
	return code;
}

static int watch_command(struct watch *watch, struct err *err)
{
	uint32_t pid = (uint32_t)watch->config->command->pid;

	watch->relay.signals = programs_signals(watch->programs, (uint32_t)getpid(), pid);
	return programs_watch(watch->programs, pid, watch->config->follow, err);
}

static int watch_targets(struct watch *watch, struct err *err)
{
	const struct watch_config *config = watch->config;
	int code = 0;

	for (size_t i = 0; i < config->pid_count && !code; i++)
		code = watch_pid(watch, config->pids[i], err);
	if (!code && config->pid_count && config->follow && !config->all)
		code = descendants_watch(watch->programs, on_descendant, watch, err);
	if (!code && config->command)
		code = watch_command(watch, err);
	return code;
}

/* Up to ten descriptors a file, where there is no uprobe_multi, and what gradwatch itself has. */
static void allow_descriptors(void)
{
	uint64_t allowed = inherited_allow_descriptors();

	if (allowed < FEW_DESCRIPTORS)
		log_warn(
			"at most %" PRIu64 " descriptors are allowed: some libtorch files may not "
			"be probed, and are reported as skipped; raise the hard limit (ulimit -Hn)",
			allowed);
}

static int start_service(struct watch *watch, struct err *err)
{
	const struct watch_service *service = watch->config->service;
	int code;

	if (!service)
		return 0;
	code = service->start(service->context, watch, watch->loop, SOURCES_ORDER_SERVICE, err);
	watch->serving = !code;
	return code;
}

static int start(struct watch *watch, struct err *err)
{
	int code;

	inherited_raise_priority(WATCHING_NICE);
	allow_descriptors();
	code = open_rooms(watch, err);
	if (!code)
		code = sources_open(watch, err);
	if (!code)
		code = start_service(watch, err);
	if (!code)
		code = watch_targets(watch, err);
	if (code)
		return code;
	if (watch->config->all)
		arrivals_all(&watch->arrivals);
	loop_wake_at(watch->looking, clock_monotonic());
	for (size_t i = 0; i < watch->config->pid_count; i++)
		watch_arrive(watch, watch->config->pids[i], 0);
	return 0;
}

static int report_start(struct watch *watch, struct err *err)
{
	const struct event event = {.type = EVENT_START, .time = clock_monotonic()};

	watch->armed = true;
	on_event(watch, &event);
	if (watch->serving)
		watch->config->service->ready(watch->config->service->context);
	return watch->config->command ? spawn_go(watch->config->command, err) : 0;
}

/* Where nothing is to be looked at, no turn is needed to know that all is armed. */
static int run(struct watch *watch, struct err *err)
{
	int code = 0;

	while (!code && !loop_has_ended(watch->loop)) {
		if (!watch->armed && sources_are_armed(watch))
			code = report_start(watch, err);
		if (code)
			break;
		code = loop_turn(watch->loop);
		if (code)
			err_set(err, code, "cannot wait for events: %s", strerror(-code));
	}
	if (!code && watch->error.code) {
		*err = watch->error;
		code = err->code;
	}
	return code;
}

/* In this order: the outcomes are reported before the end is. */
static void stop_actor(struct watch *watch)
{
	if (watch->acting)
		watch->config->actor->stop(watch->config->actor->context);
	watch->acting = false;
}

static void *detach(void *argument)
{
	probes_close_all(argument);
	return NULL;
}

/* Each of the two takes some 0.3 s where many threads wait for the processors. */
static void take_records_while_detaching(struct watch *watch)
{
	struct probes_queue probes = {0};
	pthread_t thread;
	bool made;

	libraries_take_probes(watch->discover.libraries, &probes);
	made = !pthread_create(&thread, NULL, detach, &probes);
	sources_take_all(watch);
	if (made)
		pthread_join(thread, NULL);
	else
		detach(&probes);
}

static void stop_service(struct watch *watch)
{
	if (watch->serving)
		watch->config->service->stop(watch->config->service->context);
	watch->serving = false;
}

static struct event_coverage coverage_so_far(const struct watch *watch)
{
	return (struct event_coverage){
		.probed = watch->discover.probed,
		.missed = watch->discover.missed,
		.mappings_lost = watch->gaps,
		.refused = processes_refused(watch->discover.processes),
		.files_refused = files_refused(watch->discover.files),
		.unarmed = !watch->armed,
		.bad_records = model_bad_records(watch->discover.model),
	};
}

static void finish(struct watch *watch, struct watch_result *result)
{
	struct model *model = watch->discover.model;
	struct event_coverage coverage;

	stop_service(watch);
	inherited_raise_priority(ENDING_NICE);
	/* To remove the probes takes long: nobody may stand still for it. */
	if (watch->acting)
		watch->config->actor->cease(watch->config->actor->context);
	programs_end_probes(watch->programs); /* so that records do not come faster than they go */
	take_records_while_detaching(watch);
	sources_take_all(watch);
	stop_actor(watch);
	collect_sweep(watch->collect, true);
	coverage = coverage_so_far(watch);
	model_coverage(model, &coverage);
	model_finish(model, clock_monotonic());
	model_totals(model, &result->totals);
	if (watch->config->command)
		result->command_status = spawn_exit_code(watch->config->command);
}

void watch_totals(const struct watch *watch, struct event_totals *totals)
{
	model_totals(watch->discover.model, totals);
	totals->coverage = coverage_so_far(watch);
}

void watch_processes(const struct watch *watch,
		     void (*visit)(void *context, const struct coverage_process *process),
		     void *context)
{
	coverage_each(&watch->discover, visit, context);
}

static void count_probed(void *context, struct file *file)
{
	const struct library *library = file->content;
	struct watch_load *load = context;

	load->probed += library && library->state == LIBRARY_PROBED;
}

void watch_load(const struct watch *watch, struct watch_load *load)
{
	*load = (struct watch_load){
		.processes = processes_count(watch->discover.processes),
		.files = files_count(watch->discover.files),
		.started = watch->opened,
		.armed = watch->armed,
	};
	files_each(watch->discover.files, FILE_SETTER, count_probed, load);
}

static void close_all(struct watch *watch)
{
	stop_service(watch);
	stop_actor(watch);
	discover_close(&watch->discover);
	mappings_close(watch->mappings);
	collect_close(watch->collect);
	model_free(watch->discover.model);
	programs_close(watch->programs);
	sources_close(watch);
}

int watch_run(const struct watch_config *config, struct watch_result *result, struct err *err)
{
	struct watch watch = {.config = config,
			      .settings = {.filter = config->filter,
					   .kinds = config->model.kinds,
					   .began_on = config->model.began_on,
					   .idle_ns = config->model.idle_ns},
			      .signal_fd = -1};
	int code;

	memset(result, 0, sizeof(*result));
	code = start(&watch, err);
	if (!code) {
		code = run(&watch, err);
		finish(&watch, result);
	}
	close_all(&watch);
	return code;
}
