// SPDX-License-Identifier: GPL-2.0-or-later
#include "log/compress.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>
#include <zstd.h>

#include "base/str.h"
#include "log/folder.h"

#define LEVEL 3
#define NICE  10

struct job {
	struct job *next;
	char name[FOLDER_NAME_SIZE];
};

struct compress {
	pthread_t thread;
	pthread_mutex_t lock; /* of all that follows */
	pthread_cond_t changed;
	struct job *first, **last;
	bool closing;
	int error;
	int folder;
};

/* Lines that wait to become a frame. */
struct frame {
	ZSTD_CCtx *context;
	char *in, *out;
	size_t used, room, out_room;
	int from, to;
};

static int write_frame(struct frame *frame, size_t size)
{
	size_t length = ZSTD_compress2(frame->context, frame->out, frame->out_room, frame->in,
				       size);

	if (ZSTD_isError(length))
		return -EIO;
	for (size_t at = 0; at < length;) {
		ssize_t count = write(frame->to, frame->out + at, length - at);

		if (count < 0 && errno != EINTR)
			return -errno;
		at += count > 0 ? (size_t)count : 0;
	}
	memmove(frame->in, frame->in + size, frame->used - size);
	frame->used -= size;
	return 0;
}

/* Room for more of a line that is longer than a frame. */
static int grow(struct frame *frame)
{
	size_t room = frame->room ? 2 * frame->room : COMPRESS_FRAME;
	char *in = realloc(frame->in, room), *out;

	if (!in)
		return -ENOMEM;
	frame->in = in;
	out = realloc(frame->out, ZSTD_compressBound(room));
	if (!out)
		return -ENOMEM;
	frame->out = out;
	frame->room = room;
	frame->out_room = ZSTD_compressBound(room);
	return 0;
}

/* Up to the last whole line. */
static size_t whole_lines(const struct frame *frame)
{
	const char *end = memrchr(frame->in, '\n', frame->used);

	return end ? (size_t)(end - frame->in) + 1 : 0;
}

static int compress_all(struct frame *frame)
{
	for (;;) {
		int code = 0;
		ssize_t count;

		if (frame->used == frame->room) {
			size_t size = frame->room ? whole_lines(frame) : 0;

			code = size ? write_frame(frame, size) : grow(frame);
		}
		if (code)
			return code;
		count = read(frame->from, frame->in + frame->used, frame->room - frame->used);
		if (count < 0 && errno != EINTR)
			return -errno;
		if (!count)
			return frame->used ? write_frame(frame, frame->used) : 0;
		frame->used += count > 0 ? (size_t)count : 0;
	}
}

static int open_frame(struct frame *frame, int folder, const char *name, const char *temporary)
{
	frame->context = ZSTD_createCCtx();
	if (!frame->context)
		return -ENOMEM;
	ZSTD_CCtx_setParameter(frame->context, ZSTD_c_compressionLevel, LEVEL);
	ZSTD_CCtx_setParameter(frame->context, ZSTD_c_checksumFlag, 1);
	frame->from = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (frame->from < 0)
		return -errno;
	frame->to = openat(folder, temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW,
			   0600);
	return frame->to < 0 ? -errno : 0;
}

static void close_frame(struct frame *frame)
{
	if (frame->from >= 0)
		close(frame->from);
	if (frame->to >= 0)
		close(frame->to);
	ZSTD_freeCCtx(frame->context);
	free(frame->in);
	free(frame->out);
}

int compress_file(int folder, const char *name)
{
	struct frame frame = {.from = -1, .to = -1};
	char final[FOLDER_NAME_SIZE + 8], temporary[FOLDER_NAME_SIZE + 16];
	int code = str_format(final, sizeof(final), "%s.zst", name);

	if (!code)
		code = str_format(temporary, sizeof(temporary), "%s" FOLDER_UNDER_WAY, final);
	if (!code)
		code = open_frame(&frame, folder, name, temporary);
	if (!code)
		code = compress_all(&frame);
	/* The plain file goes only when the other one cannot be lost any more. */
	if (!code && (fsync(frame.to) || renameat(folder, temporary, folder, final)))
		code = -errno;
	if (code && frame.to >= 0)
		unlinkat(folder, temporary, 0);
	if (!code && fsync(folder) == 0)
		unlinkat(folder, name, 0);
	close_frame(&frame);
	return code;
}

static void *run(void *argument)
{
	struct compress *compress = argument;

	setpriority(PRIO_PROCESS, (id_t)gettid(), NICE);
	pthread_mutex_lock(&compress->lock);
	for (;;) {
		struct job *job;
		int code;

		while (!compress->first && !compress->closing)
			pthread_cond_wait(&compress->changed, &compress->lock);
		job = compress->first;
		if (!job)
			break;
		compress->first = job->next;
		if (!compress->first)
			compress->last = &compress->first;
		pthread_mutex_unlock(&compress->lock);
		code = compress_file(compress->folder, job->name);
		free(job);
		pthread_mutex_lock(&compress->lock);
		if (code)
			compress->error = code;
	}
	pthread_mutex_unlock(&compress->lock);
	return NULL;
}

struct compress *compress_new(int folder)
{
	struct compress *compress = calloc(1, sizeof(*compress));
	sigset_t all, before;
	int error;

	if (!compress)
		return NULL;
	compress->folder = folder;
	compress->last = &compress->first;
	pthread_mutex_init(&compress->lock, NULL);
	pthread_cond_init(&compress->changed, NULL);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	error = pthread_create(&compress->thread, NULL, run, compress);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (!error)
		return compress;
	free(compress);
	return NULL;
}

int compress_put(struct compress *compress, const char *name)
{
	struct job *job = calloc(1, sizeof(*job));

	if (!job || str_format(job->name, sizeof(job->name), "%s", name)) {
		free(job);
		return -ENOMEM;
	}
	pthread_mutex_lock(&compress->lock);
	*compress->last = job;
	compress->last = &job->next;
	pthread_cond_signal(&compress->changed);
	pthread_mutex_unlock(&compress->lock);
	return 0;
}

int compress_free(struct compress *compress)
{
	int error;

	if (!compress)
		return 0;
	pthread_mutex_lock(&compress->lock);
	compress->closing = true;
	pthread_cond_signal(&compress->changed);
	pthread_mutex_unlock(&compress->lock);
	pthread_join(compress->thread, NULL);
	error = compress->error;
	pthread_cond_destroy(&compress->changed);
	pthread_mutex_destroy(&compress->lock);
	free(compress);
	return error;
}
