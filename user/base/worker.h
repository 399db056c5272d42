/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A thread that does one piece of work after the other, round robin by user; what is done is taken
 * by whoever gave it. The thread is started with the first piece.
 */
#ifndef GRADWATCH_BASE_WORKER_H
#define GRADWATCH_BASE_WORKER_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

/* As pthread_create(3), of a thread that gets no signals: these are for the loop. */
int thread_start(pthread_t *thread, void *(*run)(void *context), void *context);

/* The first member of what is to be done; the worker's while it has it. */
struct work {
	uint32_t uid;      /* the user whose turn it takes, see base/fair.h; set by the caller */
	uint64_t added;    /* ns, when it was given to the worker */
	struct work *next; /* the worker's */
};

struct worker;

/* do_work runs on the thread. NULL: out of memory or descriptors. */
struct worker *worker_new(void (*do_work)(void *context, struct work *work), void *context);

/* Pieces that were not begun, and those that are added later, are dropped at once. */
void worker_cancel(struct worker *worker, void (*drop)(void *context, struct work *work));

/* Waits for the piece that is under way, and begins no other. NULL-safe. */
void worker_stop(struct worker *worker);

/* Stops it. drop: called for each piece that was not begun, or is done and was not taken. */
void worker_free(struct worker *worker, void (*drop)(void *context, struct work *work));

/* Done by the caller where no thread can be made. */
void worker_add(struct worker *worker, struct work *work);

/* Readable when worker_next() has something. */
int worker_fd(const struct worker *worker);

/* A piece that is done, the caller's then; NULL: none. */
struct work *worker_next(struct worker *worker);

/* Whether pieces that were added before `time` wait, are under way, or wait to be taken. */
bool worker_is_busy(struct worker *worker, uint64_t time);

/* Waits until no piece waits or is under way, or the worker is stopped; any thread may. */
void worker_wait_until_idle(struct worker *worker);

#endif
