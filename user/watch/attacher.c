// SPDX-License-Identifier: GPL-2.0-or-later
#include "watch/attacher.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <utlist.h>

#include "inspect/libc.h"
#include "watch/inherited.h"

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
	struct attach_job *waiting, *done;
	bool is_attaching;
	struct probes_queue removals;
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
}

static void free_job(struct attach_job *job)
{
	if (job->fd >= 0)
		close(job->fd);
	free(job->path);
	free(job);
}

void attacher_drop(struct attacher *attacher, struct attach_job *job)
{
	if (!job)
		return;
	attacher_remove(attacher, job->probes);
	free_job(job);
}

static void free_jobs(struct attach_job *jobs)
{
	while (jobs) {
		struct attach_job *next = jobs->next;

		probes_close(jobs->probes);
		free_job(jobs);
		jobs = next;
	}
}

struct attacher *attacher_new(struct plans *plans)
{
	struct attacher *attacher = calloc(1, sizeof(*attacher));

	if (!attacher)
		return NULL;
	attacher->plans = plans;
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
	end(attacher, &attacher->attaching);
	end(attacher, &attacher->removing);
	free_jobs(attacher->waiting);
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

static void *run_attaching(void *context)
{
	struct attacher *attacher = context;
	struct attach_job *job;

	pthread_mutex_lock(&attacher->lock);
	while (!attacher->ends) {
		job = attacher->waiting;
		if (!job) {
			pthread_cond_wait(&attacher->attaching.wake, &attacher->lock);
			continue;
		}
		LL_DELETE(attacher->waiting, job);
		attacher->is_attaching = true;
		pthread_mutex_unlock(&attacher->lock);
		attach_now(attacher->plans, job);
		pthread_mutex_lock(&attacher->lock);
		attacher->is_attaching = false;
		finish(attacher, job);
		pthread_cond_signal(&attacher->removing.wake);
	}
	pthread_mutex_unlock(&attacher->lock);
	return NULL;
}

void attacher_add(struct attacher *attacher, struct attach_job *job)
{
	bool started;

	pthread_mutex_lock(&attacher->lock);
	job->next = NULL;
	started = start(attacher, &attacher->attaching, run_attaching);
	if (started)
		LL_APPEND(attacher->waiting, job);
	pthread_mutex_unlock(&attacher->lock);
	if (started)
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

bool attacher_is_busy(struct attacher *attacher)
{
	bool is_busy;

	pthread_mutex_lock(&attacher->lock);
	is_busy = attacher->waiting || attacher->is_attaching;
	pthread_mutex_unlock(&attacher->lock);
	return is_busy;
}

/* Removes one file's perf events, each when nobody wants to place any: both take the same lock. */
static void remove_in_steps(struct attacher *attacher, struct probes *probes)
{
	bool more = true;

	while (more) {
		while ((attacher->waiting || attacher->is_attaching) && !attacher->ends)
			pthread_cond_wait(&attacher->removing.wake, &attacher->lock);
		pthread_mutex_unlock(&attacher->lock);
		more = probes_close_next(probes);
		pthread_mutex_lock(&attacher->lock);
	}
}

static void remove_all(struct attacher *attacher)
{
	struct probes_queue queue = attacher->removals;

	attacher->removals = (struct probes_queue){0};
	pthread_mutex_unlock(&attacher->lock);
	probes_close_all(&queue);
	pthread_mutex_lock(&attacher->lock);
}

/* Also at the end: what was given to it is removed. */
static void *run_removing(void *context)
{
	struct attacher *attacher = context;

	pthread_mutex_lock(&attacher->lock);
	while (attacher->removals.count || !attacher->ends) {
		if (!attacher->removals.count)
			pthread_cond_wait(&attacher->removing.wake, &attacher->lock);
		else if (plans_use_perf_events(attacher->plans))
			remove_in_steps(attacher, probes_queue_take(&attacher->removals));
		else
			remove_all(attacher);
	}
	pthread_mutex_unlock(&attacher->lock);
	return NULL;
}

void attacher_remove(struct attacher *attacher, struct probes *probes)
{
	bool started;

	if (!probes)
		return;
	pthread_mutex_lock(&attacher->lock);
	started = start(attacher, &attacher->removing, run_removing);
	if (started)
		probes_queue_add(&attacher->removals, probes);
	pthread_mutex_unlock(&attacher->lock);
	if (!started)
		probes_close(probes);
}
