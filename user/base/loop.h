/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An event loop in turns. Whoever has a descriptor, or work that is due at a time, registers a
 * source with the loop. A turn waits until a source is ready, and then serves each one that is
 * ready once, in the order of the sources. So a source that is always ready cannot keep the others
 * waiting, whatever its place in the order, as long as its callback limits what it does per turn.
 *
 * sd-event, libevent and GLib serve the sources of the highest priority until none of them is
 * ready: there a ring buffer that is never empty, or a queue that is never done, starves all that
 * comes behind it.
 *
 * Not safe to use from several threads.
 */
#ifndef GRADWATCH_BASE_LOOP_H
#define GRADWATCH_BASE_LOOP_H

#include <stdbool.h>
#include <stdint.h>

struct loop;
struct loop_source;

/*
 * Does a part of the source's work that takes a short time. Returns whether there is more to do:
 * then the next turn does not wait, and serves the source again.
 */
typedef bool (*loop_serve)(void *context);

/* NULL: out of memory, or errno says why there is no epoll descriptor. */
struct loop *loop_new(void);

/* Frees the sources as well; their descriptors stay open. NULL-safe. */
void loop_free(struct loop *loop);

/*
 * Registers a source; fd: it is ready when this is readable, -1: it has none. Sources with a lower
 * order are served first, those with the same one in the order of registration. The descriptor
 * stays the caller's, and is open as long as the source is there. NULL: errno says why.
 */
struct loop_source *loop_add(struct loop *loop, int fd, int order, loop_serve serve, void *context);

/* Also from within a callback, the source's own too. NULL-safe. */
void loop_remove(struct loop *loop, struct loop_source *source);

/*
 * The source is served once, in the first turn at or after this time (ns, CLOCK_MONOTONIC), whether
 * its descriptor is ready or not. 0: at no time.
 */
void loop_wake_at(struct loop_source *source, uint64_t time);

/* While it is paused, a source is not served because its descriptor is ready. */
void loop_pause(struct loop *loop, struct loop_source *source, bool pause);

/* One turn. 0, or a negative errno: it cannot wait. */
int loop_turn(struct loop *loop);

/* No source is served any more, in this turn and in later ones. */
void loop_end(struct loop *loop);
bool loop_has_ended(const struct loop *loop);

#endif
