/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the inspection of files has found, by their content: copies of a build, as containers have
 * them, are inspected once. The content is known by its size and a 128-bit hash (XXH3) with a seed
 * that changes with each run, so that nobody can make two files that are taken for one.
 */
#ifndef GRADWATCH_TARGET_INSPECTIONS_H
#define GRADWATCH_TARGET_INSPECTIONS_H

#include "base/table.h"
#include "inspect/binding.h"
#include "inspect/plan.h"
#include "inspect/python.h"
#include "target/files.h"

#define INSPECTIONS_MAX 64 /* contents that are remembered; the one used longest ago makes room */

struct inspection_key {
	uint64_t hash[2];
	uint64_t size;
	uint64_t role; /* enum file_role */
	uint64_t name; /* hash of the file's name, where the result depends on it */
};

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

/* The key of the file behind fd: its content is read. 0 or negative errno. */
int inspections_key(const struct inspections *inspections, enum file_role role, int fd,
		    const char *path, struct inspection_key *key);

/* What is known of a content; NULL: nothing. Good until the next call of inspections_put(). */
const struct inspection *inspections_find(struct inspections *inspections,
					  const struct inspection_key *key);

/* Remembers a result. */
void inspections_put(struct inspections *inspections, const struct inspection_key *key,
		     const struct inspection *inspection);

/*
 * Inspects the file behind fd, and tells the key of the very bytes that it has looked at: a file
 * may change between two reads. May take some tenths of a second. Any thread may call it. Returns
 * the result's code; -ENOMEM, and errors of reading (the key's size is 0 then), say nothing about
 * the content.
 */
int inspections_make(const struct inspections *inspections, enum file_role role, int fd,
		     const char *path, struct inspection *inspection, struct inspection_key *key);

/* The same, or what is known already. */
int inspections_get(struct inspections *inspections, enum file_role role, int fd, const char *path,
		    struct inspection *inspection);

#endif
