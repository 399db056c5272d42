/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The probes in libtorch files. Programs are loaded once per distinct plan, which takes some tenths
 * of a second of the verifier's; to place them in one more file of that plan takes a millisecond.
 * Which file was hit, the cookie says. Kernels without cookies (before 5.15) have their programs
 * loaded per file.
 *
 * Safe to use from several threads, except that one file's probes belong to one thread at a time.
 */
#ifndef GRADWATCH_PROBE_PROBES_H
#define GRADWATCH_PROBE_PROBES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "inspect/plan.h"
#include "probe/programs.h"

struct plans;  /* the loaded programs */
struct probes; /* of one file */

/* NULL: out of memory. The programs stay the caller's, and open. */
struct plans *plans_new(struct programs *programs);

/* After all probes are closed. */
void plans_free(struct plans *plans);

/*
 * Whether probes_open() takes a millisecond only: there is nothing to load, and no removal that is
 * under way holds it up, as those of perf events would (uprobes.h).
 */
bool plans_open_quickly(struct plans *plans, const struct inspect_plan *plan);

/* Whether programs of this policy would be attached as uprobe_multi on this kernel. */
bool plans_can_use_multi(const struct gw_policy *policy);

/* How uprobes are attached on this kernel: "uprobe_multi" or "perf events". A constant. */
const char *plans_attach_type(const struct plans *plans);

bool plans_use_perf_events(const struct plans *plans);

/*
 * Places the probes of a plan on the inode behind fd, for every process that has it mapped now or
 * later; loads the programs first if no file of this plan has been probed yet. file_id: what
 * records tell of the file. *placed: how many sites. 0, or negative errno with the cause in err;
 * *probes is then what had been placed, to be closed; NULL: nothing.
 */
int probes_open(struct probes **probes, struct plans *plans, const struct inspect_plan *plan,
		uint32_t file_id, int fd, unsigned int *placed, struct err *err);

/* Removes the probes of a file; NULL-safe. Waits until none of their programs runs any more. */
void probes_close(struct probes *probes);

/*
 * The same in steps of one uprobe, some 0.2 s each where they are perf events. False: nothing was
 * left, and the probes are freed.
 */
bool probes_close_next(struct probes *probes);

/* Probes to be closed, linked through themselves. Zeros: an empty queue. */
struct probes_queue {
	struct probes *first;
	size_t count;
};

void probes_queue_add(struct probes_queue *queue, struct probes *probes);
struct probes *probes_queue_take(struct probes_queue *queue); /* NULL: it is empty */

/* Closes all at once; of files that nobody maps any more, or after programs_end_probes(). */
void probes_close_all(struct probes_queue *queue);

/* Places the probe that lets calls raise at an offset of a binding's file. */
int probes_bind(struct probes *probes, int fd, uint64_t file_offset, struct err *err);

#endif
