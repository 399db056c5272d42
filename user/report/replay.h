/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The model's inputs of a log (--log-level all), given to the model again. What it says then takes
 * the place of what it has said live, and is compared with that, byte for byte.
 *
 * Memory is that of the model for each run that has no end, and of the events that wait for their
 * counterparts.
 */
#ifndef GRADWATCH_REPORT_REPLAY_H
#define GRADWATCH_REPORT_REPLAY_H

#include "log/logs.h"

#define REPLAY_WHY_SIZE    160
#define REPLAY_SHOWN_MAX   5   /* differences with their text */
#define REPLAY_SHOWN_BYTES 100 /* of each side */

/* An event that is not what was logged; "": there is none on this side. */
struct replay_difference {
	uint64_t seq; /* of the record in the run */
	char logged[REPLAY_SHOWN_BYTES], made[REPLAY_SHOWN_BYTES];
};

/* What became of a run. */
struct replay_result {
	uint64_t inputs;           /* that the model was given */
	uint64_t compared;         /* events of both sides */
	uint64_t differences;      /* of these, and events of one side only */
	char why[REPLAY_WHY_SIZE]; /* what cannot be compared, and why; "": all was */
	struct replay_difference shown[REPLAY_SHOWN_MAX];
	size_t shown_count;
};

struct replay;

/* NULL when out of memory; free is NULL-safe. */
struct replay *replay_new(void);
void replay_free(struct replay *replay);

/*
 * Takes a record of a run and its line. 1: it is not to be counted, as the replay makes its like;
 * 0: it is to be taken as it is; -ENOMEM.
 */
int replay_take(struct replay *replay, const struct run *run, const struct record *record,
		const char *line, size_t length);

/* The next record that the model has made, of the run that was taken last. NULL: there is none. */
const struct record *replay_next(struct replay *replay);

/* All was read: says what could not be compared. */
void replay_finish(struct replay *replay, const struct logs *logs);

/* Of a run; NULL: there was no record of it. */
const struct replay_result *replay_result(const struct replay *replay, size_t run);

#endif
