/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Inspects and probes files on a thread of its own: the verifier wants some tenths of a second for
 * a build that is new, and nobody else is to wait for that. Probes are removed on another thread,
 * where that takes long as well.
 */
#ifndef GRADWATCH_WATCH_ATTACHER_H
#define GRADWATCH_WATCH_ATTACHER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/worker.h"
#include "probe/probes.h"
#include "target/inspections.h"

/* A file to be probed, and what came of it. */
struct attach_job {
	struct work work; /* its user: whose process has shown the file */
	uint32_t file_id;
	int fd; /* the job's own */
	char *path;
	bool inspected;
	struct inspection inspection; /* inspected: given, else made */
	struct inspections *inspections;
	/* What came of it. */
	struct inspect_plan plan;
	struct probes *probes; /* where err says why not all are placed, those that are */
	unsigned int placed;
	struct err err;
};

/* Does a job on the calling thread. */
void attach_now(struct plans *plans, struct attach_job *job);

struct attacher;

/* NULL: out of memory. */
struct attacher *attacher_new(struct plans *plans);

/* Stops it and waits for what is under way. NULL-safe. */
void attacher_free(struct attacher *attacher);

/* Drops the jobs that were not begun, and takes no more. */
void attacher_stop(struct attacher *attacher);

/* Takes a job, done round robin by user; at once where no thread can be made. */
void attacher_add(struct attacher *attacher, struct attach_job *job);

/* Readable when attacher_next() has something. */
int attacher_fd(const struct attacher *attacher);

/* A job that is done, the caller's then; NULL: none. */
struct attach_job *attacher_next(struct attacher *attacher);

/* Whether jobs that were added before `time` wait, are under way, or wait to be taken. */
bool attacher_is_busy(struct attacher *attacher, uint64_t time);

/* Frees a job; NULL-safe. Has the probes removed that nobody took. */
void attacher_drop(struct attacher *attacher, struct attach_job *job);

/* Has probes removed; they are the attacher's from here on. NULL-safe. */
void attacher_remove(struct attacher *attacher, struct probes *probes);

#endif
