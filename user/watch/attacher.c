// SPDX-License-Identifier: GPL-2.0-or-later
#include "watch/attacher.h"

#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <utlist.h>

#include "base/clock.h"
#include "inspect/libc.h"
#include "watch/fair.h"
#include "watch/inherited.h"

#define MAX_REMOVALS 256 /* that wait; further ones are done by the caller */

/* A thread with a queue; it is started when there is something to do. */
struct worker {
	pthread_t thread;
	pthread_cond_t wake;
	bool started;
};

struct attacher {
	struct plans *plans;
	pthread_mutex_t lock; /* of all that follows */
	struct worker attaching, removing;
	struct attach_job *waiting, *done; /* in the order in which they came */
	uint32_t last_uid;                 /* of the job that was begun last */
	uint64_t began; /* when the job that is under way was added; UINT64_MAX: there is none */
	struct probes *removal[MAX_REMOVALS];
	size_t removals;
	bool stopped; /* no job is begun any more */
	bool ends;
	int fd; /* counts the jobs that are done */
};

static void refuse_machine(const struct inspect_plan *plan, struct err *err)
{
	err_set(err, -ENOTSUP, "built for %s; this gradwatch is for %s",
		inspect_machine_name(plan->machine), inspect_machine_name(inspect_own_machine()));
}

void attach_now(struct plans *plans, struct attach_job *job)
{
	struct inspection *inspection = &job->inspection;

	if (!job->inspected)
		inspections_make(job->inspections, FILE_SETTER, job->fd, job->path, inspection,
				 &job->key);
	if (inspection->code) {
		err_set(&job->err, inspection->code, "%s", inspection->reason);
		return;
	}
	job->plan = inspection->plan;
	if (job->plan.machine != inspect_own_machine()) {
		refuse_machine(&job->plan, &job->err);
		return;
	}
	if (job->libc[0]) /* files that are for glibc run with others, too (gcompat) */
		libc_doubt(&job->plan, job->libc);
	inherited_hurry(true);
	if (!probes_open(&job->probes, plans, &job->plan, job->file_id, job->fd, &job->placed,
			 &job->err))
		job->err.code = 0;
	inherited_hurry(false);
	malloc_trim(0); /* libbpf has had the kernel's types in memory, some 12 MB */
}

void attach_job_free(struct attach_job *job)
{
	if (!job)
		return;
	probes_close(job->probes);
	if (job->fd >= 0)
		close(job->fd);
	free(job->path);
	free(job);
}

static void free_jobs(struct attach_job *jobs)
{
	while (jobs) {
		struct attach_job *next = jobs->next;

		attach_job_free(jobs);
		jobs = next;
	}
}

struct attacher *attacher_new(struct plans *plans)
{
	struct attacher *attacher = calloc(1, sizeof(*attacher));

	if (!attacher)
		return NULL;
	attacher->plans = plans;
	attacher->began = UINT64_MAX;
	attacher->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (attacher->fd < 0) {
		free(attacher);
		return NULL;
	}
	pthread_mutex_init(&attacher->lock, NULL);
	pthread_cond_init(&attacher->attaching.wake, NULL);
	pthread_cond_init(&attacher->removing.wake, NULL);
	return attacher;
}

/* Signals are for the loop. Called with the lock. */
static bool start(struct attacher *attacher, struct worker *worker, void *(*run)(void *context))
{
	sigset_t all, before;

	if (!worker->started) {
		sigfillset(&all);
		pthread_sigmask(SIG_SETMASK, &all, &before);
		worker->started = !pthread_create(&worker->thread, NULL, run, attacher);
		pthread_sigmask(SIG_SETMASK, &before, NULL);
	}
	if (worker->started)
		pthread_cond_signal(&worker->wake);
	return worker->started;
}

void attacher_stop(struct attacher *attacher)
{
	struct attach_job *waiting;

	pthread_mutex_lock(&attacher->lock);
	attacher->stopped = true;
	waiting = attacher->waiting;
	attacher->waiting = NULL;
	pthread_mutex_unlock(&attacher->lock);
	free_jobs(waiting);
}

/* Removes the probes of all jobs at once: one after the other that takes 0.1 s each. */
static void close_probes(struct attach_job *jobs)
{
	struct attach_job *job;
	struct probes **probes;
	size_t count = 0;

	LL_COUNT(jobs, job, count);
	probes = calloc(count + 1, sizeof(*probes));
	if (!probes)
		return;
	count = 0;
	LL_FOREACH(jobs, job)
	{
		if (job->probes)
			probes[count++] = job->probes;
		job->probes = NULL;
	}
	probes_close_all(probes, count);
	free(probes);
}

static void end(struct attacher *attacher, struct worker *worker)
{
	pthread_mutex_lock(&attacher->lock);
	attacher->ends = true;
	pthread_cond_signal(&worker->wake);
	pthread_mutex_unlock(&attacher->lock);
	if (worker->started)
		pthread_join(worker->thread, NULL);
	pthread_cond_destroy(&worker->wake);
}

void attacher_free(struct attacher *attacher)
{
	if (!attacher)
		return;
	attacher_stop(attacher);
	end(attacher, &attacher->attaching);
	end(attacher, &attacher->removing);
	close_probes(attacher->done);
	free_jobs(attacher->done);
	pthread_mutex_destroy(&attacher->lock);
	close(attacher->fd);
	free(attacher);
}

/* Called with the lock. */
static void finish(struct attacher *attacher, struct attach_job *job)
{
	const uint64_t one = 1;

	LL_APPEND(attacher->done, job);
	if (write(attacher->fd, &one, sizeof(one)) < 0)
		return; /* it has its greatest value: it is readable */
}

/* Takes the job whose user's turn it is; NULL: none waits. Called with the lock. */
static struct attach_job *take_waiting(struct attacher *attacher)
{
	struct attach_job *job, *next = NULL;

	LL_FOREACH(attacher->waiting, job)
	if (!next || fair_distance(job->uid, attacher->last_uid) <
			     fair_distance(next->uid, attacher->last_uid))
		next = job;
	if (!next)
		return NULL;
	LL_DELETE(attacher->waiting, next);
	attacher->last_uid = next->uid;
	return next;
}

static void *run_attaching(void *context)
{
	struct attacher *attacher = context;
	struct attach_job *job;

	pthread_mutex_lock(&attacher->lock);
	while (!attacher->ends) {
		job = take_waiting(attacher);
		if (!job) {
			pthread_cond_wait(&attacher->attaching.wake, &attacher->lock);
			continue;
		}
		attacher->began = job->added;
		pthread_mutex_unlock(&attacher->lock);
		attach_now(attacher->plans, job);
		pthread_mutex_lock(&attacher->lock);
		attacher->began = UINT64_MAX;
		finish(attacher, job);
	}
	pthread_mutex_unlock(&attacher->lock);
	return NULL;
}

void attacher_add(struct attacher *attacher, struct attach_job *job)
{
	bool started, stopped;

	job->next = NULL;
	job->added = clock_monotonic();
	pthread_mutex_lock(&attacher->lock);
	stopped = attacher->stopped;
	started = !stopped && start(attacher, &attacher->attaching, run_attaching);
	if (started)
		LL_APPEND(attacher->waiting, job);
	pthread_mutex_unlock(&attacher->lock);
	if (stopped)
		attach_job_free(job);
	if (started || stopped)
		return;
	attach_now(attacher->plans, job);
	pthread_mutex_lock(&attacher->lock);
	finish(attacher, job);
	pthread_mutex_unlock(&attacher->lock);
}

int attacher_fd(const struct attacher *attacher)
{
	return attacher->fd;
}

struct attach_job *attacher_next(struct attacher *attacher)
{
	struct attach_job *job;
	uint64_t count;

	pthread_mutex_lock(&attacher->lock);
	job = attacher->done;
	if (job)
		LL_DELETE(attacher->done, job);
	if (!attacher->done && read(attacher->fd, &count, sizeof(count)) < 0)
		count = 0; /* it is empty */
	pthread_mutex_unlock(&attacher->lock);
	return job;
}

static bool has_older(const struct attach_job *jobs, uint64_t time)
{
	const struct attach_job *job;

	LL_FOREACH(jobs, job)
	if (job->added < time)
		return true;
	return false;
}

bool attacher_is_busy(struct attacher *attacher, uint64_t time)
{
	bool is_busy;

	pthread_mutex_lock(&attacher->lock);
	is_busy = has_older(attacher->waiting, time) || has_older(attacher->done, time) ||
		  attacher->began < time;
	pthread_mutex_unlock(&attacher->lock);
	return is_busy;
}

/* Also at the end: what was given to it is removed. */
static void *run_removing(void *context)
{
	struct attacher *attacher = context;

	pthread_mutex_lock(&attacher->lock);
	for (;;) {
		struct probes *probes[MAX_REMOVALS];
		size_t count = attacher->removals;

		if (!count && attacher->ends)
			break;
		if (!count) {
			pthread_cond_wait(&attacher->removing.wake, &attacher->lock);
			continue;
		}
		memcpy(probes, attacher->removal, count * sizeof(*probes));
		attacher->removals = 0;
		pthread_mutex_unlock(&attacher->lock);
		probes_close_all(probes, count);
		pthread_mutex_lock(&attacher->lock);
	}
	pthread_mutex_unlock(&attacher->lock);
	return NULL;
}

void attacher_remove(struct attacher *attacher, struct probes *probes)
{
	bool queued;

	if (!probes)
		return;
	pthread_mutex_lock(&attacher->lock);
	queued = attacher->removals < MAX_REMOVALS &&
		 start(attacher, &attacher->removing, run_removing);
	if (queued)
		attacher->removal[attacher->removals++] = probes;
	pthread_mutex_unlock(&attacher->lock);
	if (!queued)
		probes_close(probes);
}
