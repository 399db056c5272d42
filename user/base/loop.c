// SPDX-License-Identifier: GPL-2.0-or-later
#include "base/loop.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/clock.h"

#define NS_PER_MS  1000000ull
#define MAX_EVENTS 64 /* per wait; those that are left over are the first of the next one */

struct loop_source {
	struct loop_source *next;
	int fd; /* -1: none */
	int order;
	loop_serve serve;
	void *context;
	uint64_t due; /* ns, 0: at no time */
	bool ready;   /* its descriptor is, or it has more to do */
	bool paused;  /* its descriptor is not listened to */
	bool removed; /* freed at the end of the turn */
};

struct loop {
	int epoll_fd;
	struct loop_source *sources; /* in their order */
	bool ended;
};

struct loop *loop_new(void)
{
	struct loop *loop = calloc(1, sizeof(*loop));

	if (!loop)
		return NULL;
	loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (loop->epoll_fd >= 0)
		return loop;
	free(loop);
	return NULL;
}

void loop_free(struct loop *loop)
{
	if (!loop)
		return;
	while (loop->sources) {
		struct loop_source *source = loop->sources;

		loop->sources = source->next;
		free(source);
	}
	close(loop->epoll_fd);
	free(loop);
}

/* Behind those of the same order. */
static void insert(struct loop *loop, struct loop_source *source)
{
	struct loop_source **at = &loop->sources;

	while (*at && (*at)->order <= source->order)
		at = &(*at)->next;
	source->next = *at;
	*at = source;
}

static int listen_to(const struct loop *loop, struct loop_source *source, bool on)
{
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = source};

	if (source->fd < 0)
		return 0;
	return epoll_ctl(loop->epoll_fd, on ? EPOLL_CTL_ADD : EPOLL_CTL_DEL, source->fd, &event);
}

struct loop_source *loop_add(struct loop *loop, int fd, int order, loop_serve serve, void *context)
{
	struct loop_source *source = calloc(1, sizeof(*source));

	if (!source)
		return NULL;
	*source =
		(struct loop_source){.fd = fd, .order = order, .serve = serve, .context = context};
	if (listen_to(loop, source, true)) {
		free(source);
		return NULL;
	}
	insert(loop, source);
	return source;
}

void loop_remove(struct loop *loop, struct loop_source *source)
{
	if (!source || source->removed)
		return;
	if (!source->paused)
		listen_to(loop, source, false);
	source->removed = true;
}

void loop_wake_at(struct loop_source *source, uint64_t time)
{
	source->due = time;
}

void loop_pause(struct loop *loop, struct loop_source *source, bool pause)
{
	if (pause == source->paused)
		return;
	listen_to(loop, source, !pause);
	source->paused = pause;
	if (pause)
		source->ready = false;
}

/* Milliseconds until a source is to be served; -1: when a descriptor is ready. */
static int timeout_of(const struct loop *loop, uint64_t now)
{
	uint64_t first = UINT64_MAX, wait;
	const struct loop_source *source;

	for (source = loop->sources; source; source = source->next) {
		if (source->ready)
			return 0;
		if (source->due && source->due < first)
			first = source->due;
	}
	if (first == UINT64_MAX)
		return -1;
	if (first <= now)
		return 0;
	wait = (first - now + NS_PER_MS - 1) / NS_PER_MS;
	return wait < INT_MAX ? (int)wait : INT_MAX;
}

static int wait_for_sources(struct loop *loop)
{
	struct epoll_event event[MAX_EVENTS];
	int count = epoll_wait(loop->epoll_fd, event, MAX_EVENTS,
			       timeout_of(loop, clock_monotonic()));

	if (count < 0)
		return errno == EINTR ? 0 : -errno;
	for (int i = 0; i < count; i++)
		((struct loop_source *)event[i].data.ptr)->ready = true;
	return 0;
}

static void serve(struct loop_source *source, uint64_t now)
{
	bool due = source->due && source->due <= now;

	if (source->removed || !(source->ready || due))
		return;
	if (due)
		source->due = 0;
	source->ready = source->serve(source->context);
}

static void free_removed(struct loop *loop)
{
	struct loop_source **at = &loop->sources;

	while (*at) {
		struct loop_source *source = *at;

		if (!source->removed) {
			at = &source->next;
			continue;
		}
		*at = source->next;
		free(source);
	}
}

/* A source that is added by a callback has its place in the list, so it may be served at once. */
int loop_turn(struct loop *loop)
{
	int code = loop->ended ? 0 : wait_for_sources(loop);
	uint64_t now = clock_monotonic();
	struct loop_source *source;

	for (source = loop->sources; source; source = source->next) {
		if (code || loop->ended)
			break;
		serve(source, now);
	}
	free_removed(loop);
	return code;
}

void loop_end(struct loop *loop)
{
	loop->ended = true;
}

bool loop_has_ended(const struct loop *loop)
{
	return loop->ended;
}
