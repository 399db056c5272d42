/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the inspection of files has found, by their content: copies of a build, as containers have
 * them, are inspected once. The content is known by its size and a 128-bit hash (XXH3) with a seed
 * that changes with each run, so that nobody can make two files that are taken for one.
 */
#ifndef GRADWATCH_TARGET_INSPECTIONS_H
#define GRADWATCH_TARGET_INSPECTIONS_H

#include "inspect/binding.h"
#include "inspect/plan.h"
#include "inspect/python.h"
#include "target/files.h"

#define INSPECTIONS_MAX 64 /* contents that are remembered; the one used longest ago is evicted */

/* What was found; by role one of the union. */
struct inspection {
	int code; /* of the inspection: see inspect_plan(), inspect_binding(), inspect_python() */
	char reason[256];
	union {
		struct inspect_plan plan;
		struct inspect_binding binding;
		struct inspect_python python;
	};
};

struct inspections;

/* NULL: out of memory. */
struct inspections *inspections_new(void);
void inspections_free(struct inspections *inspections);

/*
 * Inspects the file behind fd, unless what is in it is known already. May take some tenths of a
 * second. Any thread may call it. Returns the result's code; -ENOMEM, and errors of reading, say
 * nothing about the content.
 */
int inspections_get(struct inspections *inspections, enum file_role role, int fd, const char *path,
		    struct inspection *inspection);

/* What is known of the content of a file, if it has a few MB at most: takes about a millisecond. */
bool inspections_known(struct inspections *inspections, enum file_role role, int fd,
		       const char *path, struct inspection *inspection);

/* From here on inspections_begin() leaves the work to a thread. 0 or -ENOMEM. */
int inspections_use_thread(struct inspections *inspections);

/*
 * Inspects a file of the registry, behind fd. 0: *inspection is what was found. -EINPROGRESS:
 * inspections_next() will return it. -ENOMEM, -EMFILE: it cannot be done now.
 */
int inspections_begin(struct inspections *inspections, const struct file *file, int fd,
		      struct inspection *inspection);

/*
 * With a thread: readable when inspections_next() has something; whether what was begun before
 * `time` is still to be taken.
 */
int inspections_fd(const struct inspections *inspections);
bool inspections_are_busy(struct inspections *inspections, uint64_t time);

/* What was found in a file that was left to the thread; false: nothing new. */
bool inspections_next(struct inspections *inspections, uint32_t *file_id,
		      struct inspection *inspection);

#endif
