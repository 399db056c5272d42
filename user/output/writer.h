/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A bounded queue of lines for one descriptor, and the thread that writes them. Putting a line
 * never waits for the reader, so a reader that stalls holds up neither the event loop nor a process
 * that waits for its answer. Order is kept. A line that does not fit into the queue, or whose write
 * fails, is counted as lost.
 *
 * SIGPIPE and SIGXFSZ must be ignored: a failed write is an error here, not a death.
 */
#ifndef GRADWATCH_OUTPUT_WRITER_H
#define GRADWATCH_OUTPUT_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WRITER_LIMIT (16u << 20) /* bytes that wait in a queue */

struct writer;

struct writer_status {
	uint64_t lost; /* lines */
	uint64_t
		notified; /* of these, by notices that were written; not of what a target reports */
	uint64_t waiting; /* lines that are not written yet */
	bool notice;      /* a notice waits */
	int error;        /* negative errno of the last write that failed, 0: none failed */
	bool full;        /* a line did not fit */
	bool gone;        /* the reader has closed its end: nothing is written any more */
	uint64_t failed;  /* of the lost ones: by a target, which reports them itself */
};

/* What lines go to where that is no descriptor. All of it is called on the writer's thread. */
struct writer_target {
	int (*write)(void *context, const char *line, size_t length); /* negative errno: lost */
	void (*idle)(void *context);  /* once a second when there is nothing to write */
	void (*renew)(void *context); /* writer_renew() */
	void *context;
};

/*
 * Lines of at most limit bytes wait. owned: writer_free() closes the descriptor. NULL: out of
 * memory, or no thread can be made; the descriptor stays open then.
 */
struct writer *writer_new(int fd, bool owned, size_t limit);

/* The same for a target; its context stays the caller's. */
struct writer *writer_new_for(const struct writer_target *target, size_t limit);

/* Queues a copy of the line. 0, or -ENOBUFS, -ENOMEM, -EPIPE: it is lost, and counted. */
int writer_put(struct writer *writer, const char *line, size_t length);

/*
 * Queues a line that says how many lines were lost so far. It is not counted when it is lost
 * itself. When it is written, writer_status.notified is lost.
 */
int writer_notice(struct writer *writer, const char *line, size_t length, uint64_t lost);

/* Counts a line that could not even be made. */
void writer_lose(struct writer *writer);

/*
 * Whether the queue is half full, so that the caller had better not make lines that can wait. No
 * more so after patience_ns in which the reader has read nothing, until it reads something again.
 */
bool writer_is_full(struct writer *writer, uint64_t patience_ns);

/*
 * Each line that is put from now on begins with a newline: for a descriptor that other processes
 * write to as well, and may have left with an unfinished line.
 */
void writer_begin_lines(struct writer *writer, bool begin);

/* Calls the target's renew() when the lines before are written. */
void writer_renew(struct writer *writer);

void writer_status(struct writer *writer, struct writer_status *status);

/*
 * Waits until all lines are written, but not beyond the deadline (CLOCK_MONOTONIC), and not when
 * give_up (may be NULL) returns true; it is called some 50 times a second. Whether all are written.
 */
bool writer_drain(struct writer *writer, uint64_t deadline_ns, bool (*give_up)(void));

/*
 * Ends the thread. Lines that still wait are lost, and not counted any more. False: the thread
 * hangs in a write that nothing ends, and still uses the target.
 */
bool writer_free(struct writer *writer);

#endif
