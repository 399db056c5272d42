// SPDX-License-Identifier: GPL-2.0-or-later
/* Which processes the model has seen, and which of them have ended. */
#include <stdlib.h>

#include "base/clock.h"
#include "base/table.h"
#include "model/codes.h"
#include "model/private.h"
#include "model/recent.h"

/*
 * What is known of a process that has ended is forgotten after so long: its last records have been
 * taken by then, and its traces are over.
 */
#define LEAVE_NS 2000000000ull

/* A process that has ended. */
struct leaving {
	struct table_item item;
	struct recent_key key; /* pid and start time, in ticks */
	uint64_t ended;
};

static struct recent_key key_of_process(uint32_t pid, uint64_t start_time)
{
	return (struct recent_key){pid, start_time / CLOCK_TICK_NS};
}

bool model_count_process(struct model *model, uint32_t pid, uint64_t start_time)
{
	if (model->finished || !recent_add(model->processes, key_of_process(pid, start_time)))
		return false;
	model->totals.processes++;
	return true;
}

void model_process(struct model *model, uint32_t pid, uint64_t start_time)
{
	if (!model_count_process(model, pid, start_time))
		return;
	inputs_hand_out(model, &(struct model_input){
				       .type = MODEL_INPUT_PROCESS,
				       .pid = pid,
				       .start_time = start_time,
			       });
}

static void forget_oldest(struct model *model)
{
	struct leaving *leaving = (struct leaving *)table_pop(&model->leaving);

	codes_forget_process(model->codes, (uint32_t)leaving->key.first,
			     leaving->key.second * CLOCK_TICK_NS);
	recent_remove(model->processes, leaving->key);
	free(leaving);
}

void model_forget_ended(struct model *model, uint64_t now)
{
	while (model->leaving.oldest) {
		const struct leaving *oldest = (struct leaving *)model->leaving.oldest;

		if (now < oldest->ended + LEAVE_NS)
			return;
		forget_oldest(model);
	}
}

static void note_leaving(struct model *model, struct recent_key key, uint64_t now)
{
	struct leaving *leaving;

	if (table_find(&model->leaving, &key, sizeof(key)))
		return;
	if (table_surplus(&model->leaving))
		forget_oldest(model);
	leaving = calloc(1, sizeof(*leaving));
	if (!leaving) /* its code objects are evicted later */
		return;
	leaving->key = key;
	leaving->ended = now;
	if (table_add(&model->leaving, &leaving->item, &leaving->key, sizeof(leaving->key)))
		free(leaving);
}

void model_process_ended(struct model *model, uint32_t pid, uint64_t start_time, uint64_t now)
{
	if (model->finished)
		return;
	model_forget_ended(model, now);
	note_leaving(model, key_of_process(pid, start_time), now);
	inputs_hand_out(model, &(struct model_input){
				       .type = MODEL_INPUT_PROCESS_ENDED,
				       .pid = pid,
				       .start_time = start_time,
				       .time = now,
			       });
}

void model_forget_all_ended(struct model *model)
{
	struct table_item *item;

	while ((item = table_pop(&model->leaving)))
		free(item);
}
