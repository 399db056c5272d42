// SPDX-License-Identifier: GPL-2.0-or-later
#include "watch/attacher.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "watch/inherited.h"

struct attacher {
	struct plans *plans;
	struct worker *attaching;
	pthread_mutex_t lock; /* of all that follows */
	pthread_cond_t wake;
	pthread_t removing;
	bool is_removing; /* the thread was started */
	struct probes_queue removals;
	bool ends;
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
		inspections_get(job->inspections, FILE_SETTER, job->fd, job->path, inspection);
	if (inspection->code) {
		err_set(&job->err, inspection->code, "%s", inspection->reason);
		return;
	}
	job->plan = inspection->plan;
	if (job->plan.machine != inspect_own_machine()) {
		refuse_machine(&job->plan, &job->err);
		return;
	}
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

static void drop_job(void *context, struct work *work)
{
	struct attach_job *job = (struct attach_job *)work;

	(void)context;
	probes_close(job->probes);
	free_job(job);
}

static void do_job(void *context, struct work *work)
{
	attach_now(((struct attacher *)context)->plans, (struct attach_job *)work);
}

struct attacher *attacher_new(struct plans *plans)
{
	struct attacher *attacher = calloc(1, sizeof(*attacher));

	if (!attacher)
		return NULL;
	attacher->plans = plans;
	attacher->attaching = worker_new(do_job, attacher);
	if (!attacher->attaching) {
		free(attacher);
		return NULL;
	}
	pthread_mutex_init(&attacher->lock, NULL);
	pthread_cond_init(&attacher->wake, NULL);
	return attacher;
}

void attacher_stop(struct attacher *attacher)
{
	worker_cancel(attacher->attaching, drop_job);
}

static void stop_removing(struct attacher *attacher)
{
	pthread_mutex_lock(&attacher->lock);
	attacher->ends = true;
	pthread_cond_signal(&attacher->wake);
	pthread_mutex_unlock(&attacher->lock);
	if (attacher->is_removing)
		pthread_join(attacher->removing, NULL);
}

/* Removes the probes of all jobs that nobody took, at once: one by one that takes 0.1 s each. */
static void close_done(struct attacher *attacher)
{
	struct probes_queue queue = {0};
	struct attach_job *job;

	while ((job = attacher_next(attacher))) {
		if (job->probes)
			probes_queue_add(&queue, job->probes);
		free_job(job);
	}
	probes_close_all(&queue);
}

void attacher_free(struct attacher *attacher)
{
	if (!attacher)
		return;
	attacher_stop(attacher);
	worker_stop(attacher->attaching);
	close_done(attacher);
	stop_removing(attacher);
	worker_free(attacher->attaching, drop_job);
	pthread_cond_destroy(&attacher->wake);
	pthread_mutex_destroy(&attacher->lock);
	free(attacher);
}

void attacher_add(struct attacher *attacher, struct attach_job *job)
{
	worker_add(attacher->attaching, &job->work);
}

int attacher_fd(const struct attacher *attacher)
{
	return worker_fd(attacher->attaching);
}

struct attach_job *attacher_next(struct attacher *attacher)
{
	return (struct attach_job *)worker_next(attacher->attaching);
}

bool attacher_is_busy(struct attacher *attacher, uint64_t time)
{
	return worker_is_busy(attacher->attaching, time);
}

/* Removes one file's perf events, each when nobody wants to place any: both take the same lock. */
static void remove_in_steps(struct attacher *attacher, struct probes *probes)
{
	do
		worker_wait_until_idle(attacher->attaching);
	while (probes_close_next(probes));
}

/* Also at the end: what was given to it is removed. */
static void *remove_probes(void *context)
{
	struct attacher *attacher = context;
	struct probes_queue queue;

	pthread_mutex_lock(&attacher->lock);
	while (attacher->removals.count || !attacher->ends) {
		if (!attacher->removals.count) {
			pthread_cond_wait(&attacher->wake, &attacher->lock);
			continue;
		}
		queue = attacher->removals;
		attacher->removals = (struct probes_queue){0};
		pthread_mutex_unlock(&attacher->lock);
		while (plans_use_perf_events(attacher->plans) && queue.count)
			remove_in_steps(attacher, probes_queue_take(&queue));
		probes_close_all(&queue);
		pthread_mutex_lock(&attacher->lock);
	}
	pthread_mutex_unlock(&attacher->lock);
	return NULL;
}

void attacher_remove(struct attacher *attacher, struct probes *probes)
{
	if (!probes)
		return;
	pthread_mutex_lock(&attacher->lock);
	if (!attacher->is_removing)
		attacher->is_removing = !thread_start(&attacher->removing, remove_probes, attacher);
	if (attacher->is_removing) {
		probes_queue_add(&attacher->removals, probes);
		pthread_cond_signal(&attacher->wake);
	}
	pthread_mutex_unlock(&attacher->lock);
	if (!attacher->is_removing)
		probes_close(probes);
}
