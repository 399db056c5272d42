// SPDX-License-Identifier: GPL-2.0-or-later
#include "watch/watch.h"

#include <errno.h>
#include <inttypes.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "watch/arrivals.h"
#include "watch/collect.h"
#include "watch/descendants.h"
#include "watch/discover.h"
#include "watch/inherited.h"
#include "watch/mappings.h"
#include "watch/relay.h"
#include "watch/spawn.h"

#define SWEEP_NS                                                                                   \
	250000000l /* how late a trace's begin or end is told, at most about twice this            \
		    */

/*
 * With many busy threads per CPU, gradwatch would otherwise get so little of it that neither
 * signals nor stopped processes are served in time. The end is short, and the probes slow the
 * target until they are removed.
 */
#define WATCHING_NICE   (-10)
#define ENDING_NICE     (-20)

#define FEW_DESCRIPTORS 1024
#define ARMING_LOOK_MS  20 /* how often it is looked, at the start, whether all is armed */
#define LOOK_NS         100000000ull /* for new mappings per turn: nothing else is done meanwhile */

/*
 * What a turn of the loop serves, in this order. None of them takes more than a short time per
 * turn, so that none can keep the others waiting.
 */
enum source {
	SOURCE_SIGNAL,
	SOURCE_REWRITES,
	SOURCE_COMMAND,
	SOURCE_MAPPINGS,
	SOURCE_ARMED,
	SOURCE_RING,
	SOURCE_TIMER,
	SOURCE_MAX,
};

struct watch {
	const struct watch_config *config;
	struct programs *programs;
	struct collect *collect;
	struct mappings *mappings;
	struct arrivals arrivals;
	struct discover discover;
	struct spawn spawn;
	struct relay relay;
	int epoll_fd, signal_fd, timer_fd;
	uint64_t gaps; /* records of new mappings that were lost */
	bool acting;   /* the actor was started */
	bool done;
};

static void resolve_process(void *context, uint32_t pid, uint64_t start_time,
			    struct event_process *process)
{
	const struct watch *watch = context;
	const struct process *known = processes_find(watch->discover.processes, pid, start_time);

	if (known && known->exe)
		str_format(process->exe, sizeof(process->exe), "%s", known->exe);
}

static void resolve_torch(void *context, uint32_t file_id, struct event_torch *torch)
{
	const struct watch *watch = context;

	discover_describe_torch(torch, libraries_get(watch->discover.libraries, file_id));
}

static void on_mapped(void *context, uint32_t pid, uint64_t time)
{
	arrivals_add(&((struct watch *)context)->arrivals, pid, time);
}

/* What the parent has mapped is read first: it may be as recent as the fork. */
static void on_forked(void *context, const struct gw_fork_record *record)
{
	struct watch *watch = context;

	mappings_read(watch->mappings);
	arrivals_fork(&watch->arrivals, record->parent, record->pid);
	if (discover_forked(&watch->discover, record))
		arrivals_add(&watch->arrivals, record->pid, 0);
}

static void on_forks_lost(void *context)
{
	arrivals_lost(&((struct watch *)context)->arrivals);
}

static void on_memory_gone(void *context, const struct gw_process_record *record)
{
	struct watch *watch = context;

	processes_end(watch->discover.processes, record->pid, record->start_time,
		      record->reason == GW_END_EXEC, record->header.time);
	/*
	 * What it maps since may have been found before this record was read. No time: that it
	 * has ended by then is no sign that a libtorch was missed.
	 */
	if (record->reason == GW_END_EXEC)
		arrivals_add(&watch->arrivals, record->pid, 0);
}

/* Those who wait for a library are looked at again: it is probed now, or is known not to be. */
static void on_armed(struct watch *watch)
{
	discover_armed(&watch->discover, on_mapped, watch);
}

static void on_mappings_lost(void *context, uint64_t count)
{
	((struct watch *)context)->gaps += count;
	arrivals_lost(&((struct watch *)context)->arrivals);
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

/*
 * Takes the records that are there now, and acts on what they ask. Unless all of them are to be
 * taken, that stops after a while, and the next turn goes on.
 */
static void take_records(struct watch *watch, bool all)
{
	const struct watch_actor *actor = watch->config->actor;
	bool complete = collect_records(watch->collect, all);

	while (complete && watch->acting && actor->settle(actor->context))
		complete = collect_records(watch->collect, all);
}

static int open_rooms(struct watch *watch, struct err *err)
{
	const struct watch_config *config = watch->config;
	const struct model_resolver resolver = {resolve_process, resolve_torch, watch};
	const struct programs_options options = {
		.watch_all = config->all,
		.rate = config->rate,
		.policy = config->policy,
		.signals = config->command,
	};
	const struct mappings_handler handler = {on_mapped, on_mappings_lost, watch};
	const struct collect_processes life = {on_forked, on_memory_gone, on_forks_lost, watch};
	struct discover *discover = &watch->discover;
	int code = programs_open(&watch->programs, &options, err);

	if (code)
		return code;
	discover->programs = watch->programs;
	discover->handler = config->handler;
	discover->context = config->context;
	code = discover_open(discover, err);
	if (code)
		return code;
	discover->model = model_new(&config->model, &resolver, config->handler, config->context);
	if (!discover->model)
		return err_set(err, -ENOMEM, "out of memory");
	if (config->actor)
		code = start_actor(watch, config->actor, err);
	if (!code)
		code = collect_open(&watch->collect, watch->programs, discover->model,
				    watch->acting ? config->actor : NULL, err);
	if (code)
		return code;
	collect_on_process(watch->collect, &life);
	return mappings_open(&watch->mappings, &handler, err);
}

static void on_descendant(void *context, uint32_t pid)
{
	arrivals_add(&((struct watch *)context)->arrivals, pid, 0);
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
	int code = spawn_prepare(&watch->spawn, watch->config->command, err);
	uint32_t pid = (uint32_t)watch->spawn.pid;

	if (code)
		return code;
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

static int add_source(struct watch *watch, int fd, enum source source)
{
	struct epoll_event event = {.events = EPOLLIN, .data.u32 = source};

	return epoll_ctl(watch->epoll_fd, EPOLL_CTL_ADD, fd, &event) ? -errno : 0;
}

static int open_loop(struct watch *watch, struct err *err)
{
	const struct itimerspec interval = {{0, SWEEP_NS}, {0, SWEEP_NS}};
	sigset_t signals;
	int code = 0;

	sigemptyset(&signals);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGHUP);
	sigaddset(&signals, SIGCHLD);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	watch->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	watch->signal_fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
	watch->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (watch->epoll_fd < 0 || watch->signal_fd < 0 || watch->timer_fd < 0 ||
	    timerfd_settime(watch->timer_fd, 0, &interval, NULL))
		return err_set(err, -errno, "cannot set up the event loop: %s", strerror(errno));
	code = add_source(watch, watch->signal_fd, SOURCE_SIGNAL);
	if (!code)
		code = add_source(watch, watch->timer_fd, SOURCE_TIMER);
	if (!code)
		code = add_source(watch, collect_fd(watch->collect), SOURCE_RING);
	if (!code)
		code = add_source(watch, mappings_fd(watch->mappings), SOURCE_MAPPINGS);
	if (!code)
		code = add_source(watch, libraries_fd(watch->discover.libraries), SOURCE_ARMED);
	if (!code)
		code = add_source(watch, inspections_fd(watch->discover.inspections), SOURCE_ARMED);
	if (!code && files_rewrites_fd(watch->discover.files) >= 0)
		code = add_source(watch, files_rewrites_fd(watch->discover.files), SOURCE_REWRITES);
	if (!code && watch->config->command)
		code = add_source(watch, watch->spawn.pidfd, SOURCE_COMMAND);
	if (code)
		return err_set(err, code, "cannot set up the event loop: %s", strerror(-code));
	return 0;
}

/* The command gets what gradwatch was sent, and decides when we end. */
static void end_on_signal(struct watch *watch, const struct signalfd_siginfo *info)
{
	if (watch->acting)
		watch->config->actor->interrupt(watch->config->actor->context);
	if (!watch->config->command)
		watch->done = true;
	else
		relay_take(&watch->relay, info->ssi_signo, clock_monotonic());
}

static void pass_on_signals(struct watch *watch)
{
	uint32_t number;

	while ((number = relay_next(&watch->relay, clock_monotonic())))
		if (!spawn_ended(&watch->spawn))
			kill(watch->spawn.pid, (int)number);
}

/* SIGHUP is for the log file where there is one, and is ignored where nohup wants it to be. */
static void on_signal(struct watch *watch)
{
	struct signalfd_siginfo info;

	while (read(watch->signal_fd, &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_signo == SIGHUP && watch->config->reopen)
			watch->config->reopen(watch->config->context);
		else if (info.ssi_signo == SIGHUP && inherited_ignores(SIGHUP))
			continue;
		else if (info.ssi_signo != SIGCHLD)
			end_on_signal(watch, &info);
	}
}

/* With --pid we end when all of them, and the children that are followed, have ended. */
static bool targets_gone(const struct watch *watch)
{
	uint32_t any;
	pid_t tgid;

	if (!watch->config->pid_count || watch->config->all || watch->config->command)
		return false;
	while (programs_first_watched(watch->programs, &any)) {
		if (procfs_tgid((pid_t)any, &tgid) != -ESRCH)
			return false;
		/* It was ending when it was put into the map. */
		programs_unwatch(watch->programs, any);
	}
	return true;
}

/*
 * A file that nobody maps is forgotten; not while there are processes that the registry has no room
 * for, as one of them may map it.
 */
static void forget_the_ended(struct watch *watch)
{
	uint64_t now = clock_monotonic();

	processes_tick(watch->discover.processes, now);
	if (!processes_are_refused(watch->discover.processes, now) &&
	    files_expire(watch->discover.files, now))
		malloc_trim(0);
}

static void on_timer(struct watch *watch)
{
	uint64_t expirations;

	if (read(watch->timer_fd, &expirations, sizeof(expirations)) < 0)
		return;
	take_records(watch, false);
	if (watch->acting) /* a process that was ended is told of before its traces are */
		watch->config->actor->tick(watch->config->actor->context, clock_monotonic());
	collect_sweep(watch->collect, false);
	forget_the_ended(watch);
	if (targets_gone(watch))
		watch->done = true;
}

static void dispatch(struct watch *watch, enum source source)
{
	switch (source) {
	case SOURCE_SIGNAL:
		on_signal(watch);
		break;
	case SOURCE_REWRITES:
		files_read_rewrites(watch->discover.files);
		break;
	case SOURCE_TIMER:
		on_timer(watch);
		break;
	case SOURCE_RING:
		take_records(watch, false);
		break;
	case SOURCE_MAPPINGS:
		mappings_read(watch->mappings);
		break;
	case SOURCE_ARMED:
		on_armed(watch);
		break;
	case SOURCE_COMMAND:
		watch->done |= spawn_ended(&watch->spawn);
		break;
	case SOURCE_MAX:
		break;
	}
}

/* Waits for sources, in *ready one bit for each; at most for `timeout` ms, -1: no limit. */
static int wait_for_sources(struct watch *watch, int timeout, unsigned int *ready)
{
	struct epoll_event event[SOURCE_MAX];
	int count = epoll_wait(watch->epoll_fd, event, SOURCE_MAX, timeout);

	*ready = 0;
	if (count < 0)
		return errno == EINTR ? 0 : -errno;
	for (int i = 0; i < count; i++)
		*ready |= 1u << event[i].data.u32;
	return 0;
}

static int loop(struct watch *watch, struct err *err)
{
	bool more = false;
	unsigned int ready;

	while (!watch->done) {
		int timeout = more ? 0 : relay_timeout(&watch->relay, clock_monotonic());
		int code = wait_for_sources(watch, timeout, &ready);

		if (code)
			return err_set(err, code, "cannot wait for events: %s", strerror(-code));
		for (int source = 0; source < SOURCE_MAX && !watch->done; source++)
			if (ready & 1u << source)
				dispatch(watch, (enum source)source);
		pass_on_signals(watch);
		if (!watch->done)
			more = arrivals_look(&watch->arrivals, &watch->discover, LOOK_NS);
	}
	return 0;
}

/* What is mapped already is probed when this returns, or known not to be. */
static void look_until_armed(struct watch *watch)
{
	bool are_arming;

	do {
		struct epoll_event event;

		arrivals_look(&watch->arrivals, &watch->discover, UINT64_MAX);
		are_arming = discover_is_busy(&watch->discover);
		if (are_arming)
			epoll_wait(watch->epoll_fd, &event, 1, ARMING_LOOK_MS);
		on_armed(watch);
	} while (are_arming);
	arrivals_look(&watch->arrivals, &watch->discover, UINT64_MAX);
}

/* Up to ten descriptors a file, where there is no uprobe_multi, and what gradwatch itself has. */
static void allow_descriptors(void)
{
	uint64_t allowed = inherited_allow_descriptors();

	if (allowed < FEW_DESCRIPTORS)
		log_warn("at most %" PRIu64 " descriptors are allowed: some libtorch files may not "
			 "be probed, and are told as skipped; raise the hard limit (ulimit -Hn)",
			 allowed);
}

static int start(struct watch *watch, struct err *err)
{
	struct event event = {.type = EVENT_START};
	int code;

	inherited_raise_priority(WATCHING_NICE);
	allow_descriptors();
	code = open_rooms(watch, err);
	if (!code)
		code = watch_targets(watch, err);
	if (!code)
		code = open_loop(watch, err);
	if (code)
		return code;
	if (watch->config->all)
		arrivals_all(&watch->arrivals, &watch->discover);
	for (size_t i = 0; i < watch->config->pid_count; i++)
		arrivals_add(&watch->arrivals, watch->config->pids[i], 0);
	look_until_armed(watch);
	event.time = clock_monotonic();
	watch->config->handler(watch->config->context, &event);
	if (watch->config->command)
		code = spawn_go(&watch->spawn, watch->config->command[0], err);
	return code;
}

/* In this order: the outcomes are told before the end is. */
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

	take_records(watch, true);
	if (made)
		pthread_join(thread, NULL);
	else
		detach(&probes);
}

static void finish(struct watch *watch, struct watch_result *result)
{

	struct model *model = watch->discover.model;

	inherited_raise_priority(ENDING_NICE);
	/* To remove the probes takes long: nobody may stand still for it. */
	if (watch->acting)
		watch->config->actor->cease(watch->config->actor->context);
	programs_end_probes(watch->programs); /* so that records do not come faster than they go */
	take_records_while_detaching(watch);
	take_records(watch, true);
	stop_actor(watch);
	collect_sweep(watch->collect, true);
	model_finish(model, clock_monotonic());
	model_totals(model, &result->totals);
	result->bad_records = model_bad_records(model);
	result->probed = watch->discover.probed;
	result->missed = watch->discover.missed;
	result->gaps = watch->gaps;
	result->refused = processes_refused(watch->discover.processes);
	result->files_refused = files_refused(watch->discover.files);
	if (watch->config->command)
		result->command_status = spawn_exit_code(&watch->spawn);
}

static void close_all(struct watch *watch)
{
	stop_actor(watch);
	discover_close(&watch->discover);
	mappings_close(watch->mappings);
	collect_close(watch->collect);
	model_free(watch->discover.model);
	programs_close(watch->programs);
	spawn_close(&watch->spawn);
	for (int i = 0; i < 3; i++) {
		int fd = (int[]){watch->epoll_fd, watch->signal_fd, watch->timer_fd}[i];

		if (fd >= 0)
			close(fd);
	}
}

int watch_run(const struct watch_config *config, struct watch_result *result, struct err *err)
{
	struct watch watch = {
		.config = config,
		.spawn = {.pidfd = -1, .go_fd = -1, .failed_fd = -1},
		.epoll_fd = -1,
		.signal_fd = -1,
		.timer_fd = -1,
	};
	int code;

	memset(result, 0, sizeof(*result));
	code = start(&watch, err);
	if (!code) {
		code = loop(&watch, err);
		finish(&watch, result);
	}
	close_all(&watch);
	return code;
}
