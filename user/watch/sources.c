// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What a turn of the loop serves. Each callback does a limited part of its work: the loop comes
 * back to it in the next turn, after all others.
 */
#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "target/procfs.h"
#include "watch/inherited.h"
#include "watch/private.h"

/*
 * The order of a turn: who wants gradwatch to end; what has become of files and processes, which
 * records refer to; then the records, with the answers for stopped processes; then the time; then
 * what takes longest, to look at processes. Outputs have threads of their own (output/writer.h).
 */
enum order {
	ORDER_SIGNALS,
	ORDER_FAILURE,
	ORDER_COMMAND,
	ORDER_RELAY,
	ORDER_REWRITES,
	ORDER_MAPPINGS,
	ORDER_RECORDS,
	ORDER_FLUSH,
	ORDER_TICK,
	ORDER_SWEEP,
	ORDER_ARMED,
	ORDER_LOOK,
};

#define TICK_NS                                                                                    \
	250000000ull /* how late a trace's begin or end is reported, at most about twice this      \
		      */
#define REST_NS                                                                                    \
	1000000000ull /* between ticks while there is no trace: what has ended is forgotten */
#define ANSWER_NS 20000000ull /* for answers to stopped processes, per turn */
#define ARMED_NS  10000000ull /* for what became of files, per turn */
#define LOOK_NS   30000000ull /* to look at processes, per turn */
#define FULL_NS   10000000ull /* until it is checked again whether an output takes lines */
#define STORM_NS  1000000ull  /* between turns with records, while they come fast */

void watch_arrive(struct watch *watch, uint32_t pid, uint64_t time)
{
	uint32_t uid = 0;

	procfs_owner((pid_t)pid, &uid);
	arrivals_add(&watch->arrivals, pid, uid, time);
	loop_wake_at(watch->looking, clock_monotonic());
}

/* --- mappings and processes --------------------------------------------------------------------
 */

static void on_mapped(void *context, uint32_t pid, uint64_t time)
{
	watch_arrive(context, pid, time);
}

static void on_mappings_lost(void *context, uint64_t count)
{
	struct watch *watch = context;

	watch->gaps += count;
	arrivals_lost(&watch->arrivals);
	loop_wake_at(watch->looking, clock_monotonic());
}

const struct mappings_handler sources_mappings = {.mapped = on_mapped, .lost = on_mappings_lost};

/* What the parent has mapped is read first: it may be as recent as the fork. */
static void on_forked(void *context, const struct gw_fork_record *record)
{
	struct watch *watch = context;

	mappings_read(watch->mappings);
	arrivals_fork(&watch->arrivals, record->parent, record->pid);
	loop_wake_at(watch->looking, clock_monotonic());
	if (discover_forked(&watch->discover, record))
		watch_arrive(watch, record->pid, 0);
}

static void on_forks_lost(void *context)
{
	struct watch *watch = context;

	arrivals_lost(&watch->arrivals);
	loop_wake_at(watch->looking, clock_monotonic());
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
		watch_arrive(watch, record->pid, 0);
}

const struct collect_processes sources_processes = {
	.forked = on_forked, .gone = on_memory_gone, .forks_lost = on_forks_lost};

static bool serve_mappings(void *context)
{
	mappings_read(((struct watch *)context)->mappings);
	return false;
}

static bool serve_rewrites(void *context)
{
	files_read_rewrites(((struct watch *)context)->discover.files);
	return false;
}

static bool serve_look(void *context)
{
	struct watch *watch = context;
	bool more = arrivals_look(&watch->arrivals, &watch->discover, LOOK_NS);

	loop_wake_at(watch->looking, arrivals_next_time(&watch->arrivals));
	return more;
}

/* It is probed now, or is known not to be. */
static void look_again(void *context, const struct process *process)
{
	struct watch *watch = context;

	arrivals_add(&watch->arrivals, process->pid, process->uid, process->mapped_at);
	loop_wake_at(watch->looking, clock_monotonic());
}

static bool serve_armed(void *context)
{
	struct watch *watch = context;
	uint64_t end = clock_monotonic() + ARMED_NS;
	bool more;

	do
		more = discover_armed(&watch->discover, look_again, watch);
	while (more && clock_monotonic() < end);
	return more;
}

/* What comes later does not count: there may be no end of that. */
bool sources_are_armed(struct watch *watch)
{
	if (arrivals_wait(&watch->arrivals, watch->opened))
		return false;
	if (!watch->looked)
		watch->looked = clock_monotonic();
	return !discover_is_busy(&watch->discover, watch->looked);
}

/* --- signals and the command -------------------------------------------------------------------
 */

/* The command gets what gradwatch was sent, and decides when we end. */
static void end_on_signal(struct watch *watch, const struct signalfd_siginfo *info)
{
	if (watch->acting)
		watch->config->actor->interrupt(watch->config->actor->context);
	if (!watch->config->command) {
		loop_end(watch->loop);
		return;
	}
	relay_take(&watch->relay, info->ssi_signo, clock_monotonic());
	loop_wake_at(watch->relaying, relay_due(&watch->relay));
}

/* All processes are looked at again: more of them may be watched now. */
static void hang_up(struct watch *watch)
{
	struct watch_settings settings = watch->settings;

	watch->config->hung_up(watch->config->hung_up_context, &settings);
	model_set(watch->discover.model, settings.kinds, settings.began_on, settings.idle_ns);
	if (watch->settings.filter && settings.filter) {
		watch->discover.filter = settings.filter;
		arrivals_all(&watch->arrivals);
		loop_wake_at(watch->looking, clock_monotonic());
	}
	watch->settings = settings;
}

/* SIGHUP is for the log file where there is one, and is ignored where nohup wants it to be. */
static bool serve_signals(void *context)
{
	struct watch *watch = context;
	struct signalfd_siginfo info;

	if (read(watch->signal_fd, &info, sizeof(info)) != sizeof(info))
		return false;
	if (info.ssi_signo == SIGHUP && watch->config->hung_up)
		hang_up(watch);
	else if (info.ssi_signo != SIGHUP || !inherited_ignores(SIGHUP))
		end_on_signal(watch, &info);
	return true;
}

static bool serve_relay(void *context)
{
	struct watch *watch = context;
	struct spawn *command = watch->config->command;
	uint32_t number;

	while ((number = relay_next(&watch->relay, clock_monotonic())))
		if (!spawn_ended(command))
			kill(command->pid, (int)number);
	loop_wake_at(watch->relaying, relay_due(&watch->relay));
	return false;
}

static bool serve_command(void *context)
{
	struct watch *watch = context;

	if (spawn_ended(watch->config->command))
		loop_end(watch->loop);
	return false;
}

/* The command runs, or exec has failed. */
static bool serve_failure(void *context)
{
	struct watch *watch = context;

	if (spawn_failure(watch->config->command, &watch->error))
		loop_end(watch->loop);
	loop_remove(watch->loop, watch->failing);
	watch->failing = NULL;
	return false;
}

/* --- records -----------------------------------------------------------------------------------
 */

/* Takes records and does what they ask. Returns whether there are more, and no time was left. */
static bool take_records(struct watch *watch)
{
	const struct watch_actor *actor = watch->config->actor;
	uint64_t end = clock_monotonic() + ANSWER_NS;
	bool complete = collect_records(watch->collect, false);

	while (complete && watch->acting && actor->settle(actor->context)) {
		if (clock_monotonic() >= end)
			return true;
		complete = collect_records(watch->collect, false);
	}
	return !complete;
}

static bool outputs_are_full(const struct watch *watch)
{
	return watch->config->is_full && watch->config->is_full(watch->config->context);
}

/* While there is nothing to do, gradwatch seldom wakes up, and has given back what a storm took. */
static void rest(struct watch *watch, bool resting)
{
	if (watch->resting == resting)
		return;
	watch->resting = resting;
	if (resting)
		malloc_trim(0);
	else
		loop_wake_at(watch->ticking, clock_monotonic() + TICK_NS);
}

static void flush_inputs(struct watch *watch)
{
	const struct watch_config *config = watch->config;

	if (config->input)
		loop_wake_at(watch->flushing, config->flush(config->context));
}

/*
 * Whether records come fast. To be woken by each costs more than to take it: then they wait in the
 * ring for a millisecond, unless there are processes that wait for answers, or so many that the
 * ring could be full by then.
 */
static bool is_storm(struct watch *watch, unsigned long before)
{
	uint64_t now = clock_monotonic(), last = watch->taken;
	unsigned long bytes = collect_position(watch->collect) - before;

	if (watch->acting || !bytes)
		return false;
	watch->taken = now;
	return clock_between(last, now) < 2 * STORM_NS && bytes < GW_RING_BYTES / 16;
}

/* Nobody is woken by records for so long (ns); 0: by the next one. */
static void pause_records(struct watch *watch, uint64_t time)
{
	loop_pause(watch->loop, watch->records, time != 0);
	if (time)
		loop_wake_at(watch->records, clock_monotonic() + time);
}

/* Records wait in the ring for readers that are slow, where no process waits for an answer. */
static bool serve_records(void *context)
{
	struct watch *watch = context;
	unsigned long before = collect_position(watch->collect);
	bool more = false;

	rest(watch, false);
	if (outputs_are_full(watch)) {
		pause_records(watch, FULL_NS);
		return false;
	}
	more = take_records(watch);
	flush_inputs(watch);
	pause_records(watch, is_storm(watch, before) ? STORM_NS : 0);
	return more;
}

static bool serve_flush(void *context)
{
	flush_inputs(context);
	return false;
}

static bool was_interrupted(const struct watch *watch)
{
	struct signalfd_siginfo info;

	return read(watch->signal_fd, &info, sizeof(info)) == sizeof(info);
}

void sources_take_all(struct watch *watch)
{
	const struct timespec pause = {.tv_nsec = FULL_NS};
	bool interrupted = false;
	int passes = 2; /* the first one may only end what was begun before */

	while (passes) {
		while (outputs_are_full(watch) && !interrupted) {
			nanosleep(&pause, NULL);
			interrupted = was_interrupted(watch);
		}
		passes -= !take_records(watch);
	}
}

/* --- time --------------------------------------------------------------------------------------
 */

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
 * A file that nobody maps is forgotten; not while there are processes that did not fit into the
 * registry, as one of them may map it.
 */
static void forget_the_ended(struct watch *watch)
{
	uint64_t now = clock_monotonic();

	processes_tick(watch->discover.processes, now);
	if (!processes_are_refused(watch->discover.processes, now) &&
	    files_expire(watch->discover.files, now))
		malloc_trim(0);
}

static bool serve_tick(void *context)
{
	struct watch *watch = context;
	uint64_t now = clock_monotonic();

	if (watch->acting) /* a process's end is reported before that of its traces */
		watch->config->actor->tick(watch->config->actor->context, now);
	forget_the_ended(watch);
	loop_wake_at(watch->ticking, now + (watch->resting ? REST_NS : TICK_NS));
	loop_wake_at(watch->sweeping, now);
	return false;
}

static bool serve_sweep(void *context)
{
	struct watch *watch = context;
	enum sweep swept = collect_sweep(watch->collect, false);

	/* The records of a process come before its end. */
	if (swept != SWEEP_STOPPED && targets_gone(watch))
		loop_end(watch->loop);
	flush_inputs(watch);
	rest(watch, swept == SWEEP_EMPTY && !watch->acting);
	return swept == SWEEP_STOPPED;
}

/* --- registration ------------------------------------------------------------------------------
 */

static int open_signals(struct watch *watch)
{
	sigset_t signals;

	sigemptyset(&signals);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGHUP);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	watch->signal_fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
	return watch->signal_fd < 0 ? -errno : 0;
}

struct registration {
	enum order order;
	int fd; /* negative: the source is woken by others */
	loop_serve serve;
	struct loop_source **source; /* NULL: nobody wakes it */
};

static int add_all(struct watch *watch, const struct registration *registrations, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const struct registration *one = &registrations[i];
		struct loop_source *source = loop_add(watch->loop, one->fd, one->order, one->serve,
						      watch);

		if (!source)
			return errno ? -errno : -ENOMEM;
		if (one->source)
			*one->source = source;
	}
	return 0;
}

static int add_command(struct watch *watch)
{
	const struct spawn *command = watch->config->command;
	const struct registration registrations[] = {
		{ORDER_COMMAND, command->pidfd, serve_command, NULL},
		{ORDER_FAILURE, command->failed_fd, serve_failure, &watch->failing},
		{ORDER_RELAY, -1, serve_relay, &watch->relaying},
	};

	return add_all(watch, registrations, sizeof(registrations) / sizeof(registrations[0]));
}

static int add_sources(struct watch *watch)
{
	const struct discover *discover = &watch->discover;
	const struct registration registrations[] = {
		{ORDER_SIGNALS, watch->signal_fd, serve_signals, NULL},
		{ORDER_REWRITES, files_rewrites_fd(discover->files), serve_rewrites, NULL},
		{ORDER_MAPPINGS, mappings_fd(watch->mappings), serve_mappings, NULL},
		{ORDER_RECORDS, collect_fd(watch->collect), serve_records, &watch->records},
		{ORDER_FLUSH, -1, serve_flush, &watch->flushing},
		{ORDER_TICK, -1, serve_tick, &watch->ticking},
		{ORDER_SWEEP, -1, serve_sweep, &watch->sweeping},
		{ORDER_ARMED, libraries_fd(discover->libraries), serve_armed, NULL},
		{ORDER_ARMED, inspections_fd(discover->inspections), serve_armed, NULL},
		{ORDER_LOOK, -1, serve_look, &watch->looking},
	};
	int code = add_all(watch, registrations, sizeof(registrations) / sizeof(registrations[0]));

	return code || !watch->config->command ? code : add_command(watch);
}

int sources_open(struct watch *watch, struct err *err)
{
	int code = open_signals(watch);

	if (!code && !(watch->loop = loop_new()))
		code = errno ? -errno : -ENOMEM;
	if (!code)
		code = add_sources(watch);
	if (code)
		return err_set(err, code, "cannot set up the event loop: %s", strerror(-code));
	watch->opened = clock_monotonic();
	loop_wake_at(watch->ticking, watch->opened + TICK_NS);
	return 0;
}

void sources_close(struct watch *watch)
{
	loop_free(watch->loop);
	if (watch->signal_fd >= 0)
		close(watch->signal_fd);
}
