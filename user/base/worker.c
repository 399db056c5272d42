// SPDX-License-Identifier: GPL-2.0-or-later
#include "base/worker.h"

#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <utlist.h>

#include "base/clock.h"
#include "base/fair.h"

struct worker {
	void (*do_work)(void *context, struct work *work);
	void *context;
	int fd;               /* counts the pieces that are done */
	pthread_mutex_t lock; /* of all that follows */
	pthread_cond_t wake, idle;
	pthread_t thread;
	struct work *waiting, *done; /* in the order in which they came */
	const struct work *current;  /* that is under way */
	uint32_t last_uid;           /* of the piece that was begun last */
	bool started, stops;
	void (*drop)(void *context, struct work *work); /* after worker_cancel() */
};

int thread_start(pthread_t *thread, void *(*run)(void *context), void *context)
{
	sigset_t all, before;
	int code;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	code = pthread_create(thread, NULL, run, context);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return code;
}

struct worker *worker_new(void (*do_work)(void *context, struct work *work), void *context)
{
	struct worker *worker = calloc(1, sizeof(*worker));

	if (!worker)
		return NULL;
	worker->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (worker->fd < 0) {
		free(worker);
		return NULL;
	}
	worker->do_work = do_work;
	worker->context = context;
	pthread_mutex_init(&worker->lock, NULL);
	pthread_cond_init(&worker->wake, NULL);
	pthread_cond_init(&worker->idle, NULL);
	return worker;
}

static bool is_busy(const struct worker *worker)
{
	return worker->current || (worker->waiting && !worker->stops);
}

/* Called with the lock. */
static void finish(struct worker *worker, struct work *work)
{
	const uint64_t one = 1;

	LL_APPEND(worker->done, work);
	if (write(worker->fd, &one, sizeof(one)) < 0)
		return; /* it has its greatest value: it is readable */
}

/* Takes the piece whose user's turn it is; NULL: none waits. Called with the lock. */
static struct work *take_waiting(struct worker *worker)
{
	struct work *work, *next = NULL;

	LL_FOREACH(worker->waiting, work)
	if (!next ||
	    fair_distance(work->uid, worker->last_uid) < fair_distance(next->uid, worker->last_uid))
		next = work;
	if (!next)
		return NULL;
	LL_DELETE(worker->waiting, next);
	worker->last_uid = next->uid;
	return next;
}

static void *run(void *context)
{
	struct worker *worker = context;
	struct work *work;

	pthread_mutex_lock(&worker->lock);
	while (!worker->stops) {
		work = take_waiting(worker);
		if (!work) {
			pthread_cond_wait(&worker->wake, &worker->lock);
			continue;
		}
		worker->current = work;
		pthread_mutex_unlock(&worker->lock);
		worker->do_work(worker->context, work);
		pthread_mutex_lock(&worker->lock);
		worker->current = NULL;
		finish(worker, work);
		if (!is_busy(worker))
			pthread_cond_broadcast(&worker->idle);
	}
	pthread_mutex_unlock(&worker->lock);
	return NULL;
}

void worker_add(struct worker *worker, struct work *work)
{
	bool started = false, dropped;

	work->next = NULL;
	work->added = clock_monotonic();
	pthread_mutex_lock(&worker->lock);
	dropped = worker->drop;
	if (!dropped && !worker->started)
		worker->started = !thread_start(&worker->thread, run, worker);
	started = !dropped && worker->started;
	if (started) {
		LL_APPEND(worker->waiting, work);
		pthread_cond_signal(&worker->wake);
	}
	pthread_mutex_unlock(&worker->lock);
	if (dropped)
		worker->drop(worker->context, work);
	if (started || dropped)
		return;
	worker->do_work(worker->context, work);
	pthread_mutex_lock(&worker->lock);
	finish(worker, work);
	pthread_mutex_unlock(&worker->lock);
}

int worker_fd(const struct worker *worker)
{
	return worker->fd;
}

struct work *worker_next(struct worker *worker)
{
	struct work *work;
	uint64_t count;

	pthread_mutex_lock(&worker->lock);
	work = worker->done;
	if (work)
		LL_DELETE(worker->done, work);
	if (!worker->done && read(worker->fd, &count, sizeof(count)) < 0)
		count = 0; /* it is empty */
	pthread_mutex_unlock(&worker->lock);
	return work;
}

static bool has_older(const struct work *pieces, uint64_t time)
{
	const struct work *work;

	LL_FOREACH(pieces, work)
	if (work->added < time)
		return true;
	return false;
}

bool worker_is_busy(struct worker *worker, uint64_t time)
{
	bool busy;

	pthread_mutex_lock(&worker->lock);
	busy = has_older(worker->waiting, time) || has_older(worker->done, time) ||
	       (worker->current && worker->current->added < time);
	pthread_mutex_unlock(&worker->lock);
	return busy;
}

void worker_wait_until_idle(struct worker *worker)
{
	pthread_mutex_lock(&worker->lock);
	while (is_busy(worker))
		pthread_cond_wait(&worker->idle, &worker->lock);
	pthread_mutex_unlock(&worker->lock);
}

static void drop_all(const struct worker *worker, struct work *work,
		     void (*drop)(void *context, struct work *work))
{
	while (work) {
		struct work *next = work->next;

		drop(worker->context, work);
		work = next;
	}
}

void worker_cancel(struct worker *worker, void (*drop)(void *context, struct work *work))
{
	struct work *waiting;

	pthread_mutex_lock(&worker->lock);
	worker->drop = drop;
	waiting = worker->waiting;
	worker->waiting = NULL;
	if (!is_busy(worker))
		pthread_cond_broadcast(&worker->idle);
	pthread_mutex_unlock(&worker->lock);
	drop_all(worker, waiting, drop);
}

void worker_stop(struct worker *worker)
{
	bool started;

	if (!worker)
		return;
	pthread_mutex_lock(&worker->lock);
	worker->stops = true;
	started = worker->started;
	worker->started = false;
	pthread_cond_signal(&worker->wake);
	pthread_cond_broadcast(&worker->idle);
	pthread_mutex_unlock(&worker->lock);
	if (started)
		pthread_join(worker->thread, NULL);
}

void worker_free(struct worker *worker, void (*drop)(void *context, struct work *work))
{
	if (!worker)
		return;
	worker_stop(worker);
	drop_all(worker, worker->waiting, drop);
	drop_all(worker, worker->done, drop);
	pthread_cond_destroy(&worker->wake);
	pthread_cond_destroy(&worker->idle);
	pthread_mutex_destroy(&worker->lock);
	close(worker->fd);
	free(worker);
}
