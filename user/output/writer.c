// SPDX-License-Identifier: GPL-2.0-or-later
#include "output/writer.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

#define NS_PER_SEC 1000000000ull
#define LOOK_NS    20000000l /* how often one looks whether to give up */
#define INTERRUPT  SIGRTMAX  /* ends a write that waits for a reader */

#define IDLE_NS    NS_PER_SEC

/* A line, or the wish that the target begins anew. */
struct entry {
	struct entry *next;
	bool renew;
	uint64_t notified; /* a notice that so many lines were lost, 0: none */
	size_t length;
	char data[];
};

struct writer {
	pthread_t thread;
	pthread_mutex_t lock; /* of all that follows, but `fd` and `torn` */
	pthread_cond_t filled, written;
	struct entry *first, **last;
	struct entry *current; /* being written */
	size_t bytes, limit;
	bool owned, begin_lines;
	struct writer_status status;
	uint64_t full_since; /* ns, when it was first seen to be, with nothing written since; 0: not
			      */
	atomic_bool closing;
	struct writer_target target; /* write NULL: none */
	int fd;                      /* the thread's */
	bool torn; /* the thread's: what was written last ends in a part of a line */
};

/* Does nothing but end a system call that waits. */
static void on_interrupt(int signal)
{
	(void)signal;
}

/* Returns how much was written, 0 when it was interrupted, or negative errno. */
static ssize_t write_or_wait(int fd, const char *data, size_t length)
{
	ssize_t count = write(fd, data, length);

	if (count >= 0)
		return count;
	/* The descriptor may be shared with a program that made it non-blocking. */
	if (errno == EAGAIN && poll(&(struct pollfd){.fd = fd, .events = POLLOUT}, 1, -1) >= 0)
		return 0;
	return errno == EINTR ? 0 : -errno;
}

static int write_all(struct writer *writer, const char *data, size_t length, size_t *written)
{
	*written = 0;
	while (*written < length) {
		ssize_t count = write_or_wait(writer->fd, data + *written, length - *written);

		if (count < 0)
			return (int)count;
		*written += (size_t)count;
		if (*written < length && atomic_load(&writer->closing))
			return -ECANCELED;
	}
	return 0;
}

/* A line that could not be written whole (no space left) does not spoil the next one. */
static int write_line(struct writer *writer, const struct entry *entry)
{
	size_t written;
	int error;

	if (writer->target.write)
		return writer->target.write(writer->target.context, entry->data, entry->length);
	error = writer->torn ? write_all(writer, "\n", 1, &written) : 0;
	if (error)
		return error;
	error = write_all(writer, entry->data, entry->length, &written);
	writer->torn = error && written;
	return error;
}

static void note(struct writer *writer, const struct entry *entry, int error)
{
	struct writer_status *status = &writer->status;

	writer->bytes -= entry->length;
	writer->full_since = 0;
	if (entry->notified) {
		status->notice = false;
		if (!error)
			status->notified = entry->notified;
	} else if (!entry->renew) {
		status->waiting--;
		status->lost += error != 0;
		status->failed += error && writer->target.write;
	}
	if (error)
		status->error = error;
	if (error == -EPIPE)
		status->gone = true;
}

/* Until there is something to write; meanwhile the target is idle. */
static void wait_for_entry(struct writer *writer)
{
	uint64_t until = clock_monotonic() + IDLE_NS;
	struct timespec time = {(time_t)(until / NS_PER_SEC), (long)(until % NS_PER_SEC)};

	if (!writer->target.idle) {
		pthread_cond_wait(&writer->filled, &writer->lock);
		return;
	}
	if (pthread_cond_timedwait(&writer->filled, &writer->lock, &time) != ETIMEDOUT)
		return;
	pthread_mutex_unlock(&writer->lock);
	writer->target.idle(writer->target.context);
	pthread_mutex_lock(&writer->lock);
}

/* Takes the first entry out of the queue, and waits for one. NULL: there will be none. */
static struct entry *take(struct writer *writer)
{
	struct entry *entry;

	while (!writer->first && !atomic_load(&writer->closing))
		wait_for_entry(writer);
	entry = writer->first;
	if (!entry)
		return NULL;
	writer->first = entry->next;
	if (!writer->first)
		writer->last = &writer->first;
	writer->current = entry;
	return entry;
}

static void *run(void *argument)
{
	struct writer *writer = argument;
	struct entry *entry;

	pthread_mutex_lock(&writer->lock);
	while ((entry = take(writer))) {
		int error = 0;

		pthread_mutex_unlock(&writer->lock);
		if (entry->renew)
			writer->target.renew(writer->target.context);
		else
			error = write_line(writer, entry);
		pthread_mutex_lock(&writer->lock);
		note(writer, entry, error);
		writer->current = NULL;
		free(entry);
		pthread_cond_broadcast(&writer->written);
	}
	pthread_mutex_unlock(&writer->lock);
	return NULL;
}

/* All signals but the one that interrupts a write are the main thread's. */
static int start_thread(struct writer *writer)
{
	const struct sigaction interrupt = {.sa_handler = on_interrupt};
	sigset_t others, before;
	int error;

	sigaction(INTERRUPT, &interrupt, NULL);
	sigfillset(&others);
	sigdelset(&others, INTERRUPT);
	pthread_sigmask(SIG_SETMASK, &others, &before);
	error = pthread_create(&writer->thread, NULL, run, writer);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return error;
}

static struct writer *new (const struct writer_target *target, int fd, bool owned, size_t limit)
{
	struct writer *writer = calloc(1, sizeof(*writer));
	pthread_condattr_t monotonic;

	if (!writer)
		return NULL;
	writer->target = *target;
	writer->fd = fd;
	writer->owned = owned;
	writer->limit = limit;
	writer->last = &writer->first;
	pthread_mutex_init(&writer->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&writer->filled, &monotonic);
	pthread_cond_init(&writer->written, &monotonic);
	pthread_condattr_destroy(&monotonic);
	if (!start_thread(writer))
		return writer;
	free(writer);
	return NULL;
}

struct writer *writer_new(int fd, bool owned, size_t limit)
{
	return new (&(struct writer_target){0}, fd, owned, limit);
}

struct writer *writer_new_for(const struct writer_target *target, size_t limit)
{
	return new (target, -1, false, limit);
}

static void append(struct writer *writer, struct entry *entry)
{
	*writer->last = entry;
	writer->last = &entry->next;
	writer->bytes += entry->length;
	pthread_cond_signal(&writer->filled);
}

static int wait_until(struct writer *writer, uint64_t ns)
{
	struct timespec time = {(time_t)(ns / NS_PER_SEC), (long)(ns % NS_PER_SEC)};

	return pthread_cond_timedwait(&writer->written, &writer->lock, &time);
}

/* With the lock. */
static int put(struct writer *writer, const char *line, size_t length, uint64_t notified)
{
	size_t newline = writer->begin_lines;
	struct entry *entry;

	if (writer->status.gone)
		return -EPIPE;
	if (newline + length > writer->limit - writer->bytes) {
		writer->status.full = true;
		return -ENOBUFS;
	}
	entry = malloc(sizeof(*entry) + newline + length);
	if (!entry)
		return -ENOMEM;
	*entry = (struct entry){.notified = notified, .length = newline + length};
	if (newline)
		entry->data[0] = '\n';
	memcpy(entry->data + newline, line, length);
	if (notified)
		writer->status.notice = true;
	else
		writer->status.waiting++;
	append(writer, entry);
	return 0;
}

int writer_put(struct writer *writer, const char *line, size_t length)
{
	int code;

	pthread_mutex_lock(&writer->lock);
	code = put(writer, line, length, 0);
	if (code)
		writer->status.lost++;
	pthread_mutex_unlock(&writer->lock);
	return code;
}

int writer_notice(struct writer *writer, const char *line, size_t length, uint64_t lost)
{
	int code;

	pthread_mutex_lock(&writer->lock);
	code = put(writer, line, length, lost);
	pthread_mutex_unlock(&writer->lock);
	return code;
}

void writer_lose(struct writer *writer)
{
	pthread_mutex_lock(&writer->lock);
	writer->status.lost++;
	pthread_mutex_unlock(&writer->lock);
}

bool writer_is_full(struct writer *writer, uint64_t patience_ns)
{
	uint64_t now = clock_monotonic();
	bool full;

	pthread_mutex_lock(&writer->lock);
	full = !writer->status.gone && writer->bytes > writer->limit / 2;
	if (!full)
		writer->full_since = 0;
	else if (!writer->full_since)
		writer->full_since = now;
	full = full && clock_between(writer->full_since, now) < patience_ns;
	pthread_mutex_unlock(&writer->lock);
	return full;
}

void writer_begin_lines(struct writer *writer, bool begin)
{
	pthread_mutex_lock(&writer->lock);
	writer->begin_lines = begin;
	pthread_mutex_unlock(&writer->lock);
}

void writer_renew(struct writer *writer)
{
	struct entry *entry = malloc(sizeof(*entry));

	if (!entry)
		return;
	*entry = (struct entry){.renew = true};
	pthread_mutex_lock(&writer->lock);
	append(writer, entry);
	pthread_mutex_unlock(&writer->lock);
}

void writer_status(struct writer *writer, struct writer_status *status)
{
	pthread_mutex_lock(&writer->lock);
	*status = writer->status;
	pthread_mutex_unlock(&writer->lock);
}

bool writer_drain(struct writer *writer, uint64_t deadline_ns, bool (*give_up)(void))
{
	bool empty;

	pthread_mutex_lock(&writer->lock);
	while (!(empty = !writer->first && !writer->current)) {
		uint64_t now = clock_monotonic(), until = now + LOOK_NS;

		if (now >= deadline_ns || (give_up && give_up()))
			break;
		wait_until(writer, until < deadline_ns ? until : deadline_ns);
	}
	pthread_mutex_unlock(&writer->lock);
	return empty;
}

static void free_entries(struct entry *entry)
{
	while (entry) {
		struct entry *next = entry->next;

		free(entry);
		entry = next;
	}
}

/*
 * A signal that comes right before the system call does not interrupt it, so it is sent again. A
 * write that the kernel does not let be interrupted (a dead NFS server) ends with the process.
 */
static bool end_thread(struct writer *writer)
{
	uint64_t deadline = clock_monotonic() + NS_PER_SEC;

	do {
		struct timespec until;

		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_nsec += LOOK_NS;
		until.tv_sec += until.tv_nsec / (long)NS_PER_SEC;
		until.tv_nsec %= (long)NS_PER_SEC;
		if (!pthread_timedjoin_np(writer->thread, NULL, &until))
			return true;
		pthread_kill(writer->thread, INTERRUPT);
	} while (clock_monotonic() < deadline);
	pthread_detach(writer->thread);
	return false;
}

bool writer_free(struct writer *writer)
{
	struct entry *waiting;

	if (!writer)
		return true;
	pthread_mutex_lock(&writer->lock);
	waiting = writer->first;
	writer->first = NULL;
	writer->last = &writer->first;
	atomic_store(&writer->closing, true);
	pthread_cond_signal(&writer->filled);
	pthread_mutex_unlock(&writer->lock);
	free_entries(waiting);
	if (!end_thread(writer))
		return false;
	free_entries(writer->current);
	if (writer->owned)
		close(writer->fd);
	pthread_cond_destroy(&writer->filled);
	pthread_cond_destroy(&writer->written);
	pthread_mutex_destroy(&writer->lock);
	free(writer);
	return true;
}
