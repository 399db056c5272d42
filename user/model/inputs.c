// SPDX-License-Identifier: GPL-2.0-or-later
#include "model/inputs.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/table.h"
#include "model/private.h"
#include "model/process_names.h"
#include "model/suppressions.h"

/*
 * How many answers of the resolver are remembered. One of a file or process that returns after so
 * many others is handed out again.
 */
#define MAX_ANSWERS 65536

/* What the resolver has answered last about a file or process. */
struct answer {
	struct table_item item;
	struct recent_key key; /* a file: its number and ANSWER_OF_FILE */
	char *names;           /* owned */
	struct event_torch *torch;
};

#define ANSWER_OF_FILE UINT64_MAX

void inputs_hand_out(struct model *model, const struct model_input *input)
{
	if (model->inputs.handler)
		model->inputs.handler(model->inputs.context, input);
}

static void free_answer(struct answer *answer)
{
	free(answer->names);
	free(answer->torch);
	free(answer);
}

void inputs_close(struct inputs *inputs)
{
	struct table_item *item;

	while ((item = table_pop(&inputs->answers)))
		free_answer((struct answer *)item);
}

/* The remembered answer, made if need be; NULL when out of memory. */
static struct answer *answer_of(struct inputs *inputs, struct recent_key key)
{
	struct answer *answer = (struct answer *)table_find(&inputs->answers, &key, sizeof(key));
	struct answer *oldest;

	if (answer)
		return answer;
	oldest = (struct answer *)table_surplus(&inputs->answers);
	if (oldest) {
		table_remove(&inputs->answers, &oldest->item);
		free_answer(oldest);
	}
	answer = calloc(1, sizeof(*answer));
	if (!answer)
		return NULL;
	answer->key = key;
	if (!table_add(&inputs->answers, &answer->item, &answer->key, sizeof(answer->key)))
		return answer;
	free(answer);
	return NULL;
}

void inputs_note_names(struct model *model, const struct event_process *process)
{
	char names[PROCESS_NAMES_MAX];
	struct answer *answer;

	if (!model->inputs.handler)
		return;
	process_names_join(names, process);
	answer = answer_of(&model->inputs, (struct recent_key){process->pid, process->start_time});
	if (answer && answer->names && !strcmp(answer->names, names))
		return;
	if (answer) {
		free(answer->names);
		answer->names = strdup(names);
	}
	inputs_hand_out(model, &(struct model_input){
				       .type = MODEL_INPUT_NAMES,
				       .pid = process->pid,
				       .start_time = process->start_time,
				       .names = names,
			       });
}

void inputs_note_torch(struct model *model, uint32_t file_id, const struct event_torch *torch)
{
	struct answer *answer;

	if (!model->inputs.handler)
		return;
	answer = answer_of(&model->inputs, (struct recent_key){file_id, ANSWER_OF_FILE});
	if (answer && answer->torch && !strcmp(answer->torch->file, torch->file) &&
	    !strcmp(answer->torch->version, torch->version))
		return;
	if (answer) {
		if (!answer->torch)
			answer->torch = malloc(sizeof(*torch));
		if (answer->torch)
			*answer->torch = *torch;
	}
	inputs_hand_out(model, &(struct model_input){
				       .type = MODEL_INPUT_TORCH,
				       .file_id = file_id,
				       .torch = torch,
			       });
}

static void hand_out_suppressions(struct model *model)
{
	size_t size, part;
	const char *text = suppressions_text(model->options.suppressions, &size);

	for (size_t at = 0; at < size; at += part) {
		part = size - at < MODEL_INPUT_TEXT_MAX ? size - at : MODEL_INPUT_TEXT_MAX;
		inputs_hand_out(model, &(struct model_input){
					       .type = MODEL_INPUT_SUPPRESSIONS,
					       .data = text + at,
					       .size = part,
				       });
	}
}

void model_on_input(struct model *model, model_input_handler handler, void *context)
{
	model->inputs.handler = handler;
	model->inputs.context = context;
	model->inputs.answers.capacity = MAX_ANSWERS;
	if (model->options.suppressions)
		hand_out_suppressions(model);
	inputs_hand_out(model, &(struct model_input){
				       .type = MODEL_INPUT_OPTIONS,
				       .options = &model->options,
			       });
}

int model_feed(struct model *model, const struct model_input *input)
{
	switch (input->type) {
	case MODEL_INPUT_RECORD:
		model_record(model, input->data, input->size, input->trace,
			     input->decides ? &model->inputs.decision : NULL);
		return 0;
	case MODEL_INPUT_TRACE:
		model_trace(model, input->trace, input->mode, input->time);
		return 0;
	case MODEL_INPUT_DETACH:
		model_trace_detach(model, input->trace, input->time);
		return 0;
	case MODEL_INPUT_PROCESS:
		model_process(model, input->pid, input->start_time);
		return 0;
	case MODEL_INPUT_PROCESS_ENDED:
		model_process_ended(model, input->pid, input->start_time, input->time);
		return 0;
	case MODEL_INPUT_COUNTERS:
		model_counters(model, input->counter, input->time);
		return 0;
	case MODEL_INPUT_COVERAGE:
		model_coverage(model, input->coverage);
		return 0;
	case MODEL_INPUT_ACTION:
		model_action(model, input->action);
		return 0;
	case MODEL_INPUT_SET:
		model_set(model, input->options->kinds, input->options->began_on,
			  input->options->idle_ns);
		return 0;
	case MODEL_INPUT_FINISH:
		model_finish(model, input->time);
		return 0;
	default:
		return -EINVAL;
	}
}
