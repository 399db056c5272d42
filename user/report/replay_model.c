// SPDX-License-Identifier: GPL-2.0-or-later
#include "report/replay_model.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/base64.h"
#include "base/str.h"
#include "base/table.h"
#include "model/input_code.h"
#include "model/process_names.h"
#include "model/suppressions.h"
#include "report/decode.h"

/* At least as many answers as the model remembers that it has handed out (model/inputs.c). */
#define MAX_ANSWERS 131072

/* What the resolver answers about a file or process. */
struct answer {
	struct table_item item;
	struct {
		uint64_t number, start; /* of a file: ANSWER_OF_FILE */
	} key;
	char *names; /* owned: what process points into */
	struct event_process *process;
	struct event_torch *torch;
};

#define ANSWER_OF_FILE UINT64_MAX

struct replay_model {
	struct sink_context names;
	replay_handler handler;
	void *context;
	struct input_reader *reader;
	struct model *model; /* NULL: its options were not read yet, or it has finished */
	bool finished;
	struct suppressions *suppressions;
	char *text; /* of the suppressions; owned */
	size_t text_size;
	struct table answers;
	uint8_t *bytes; /* of the record's inputs; owned */
	size_t room;
	uint64_t lost_output;
};

struct replay_model *replay_model_new(const struct log_identity *identity, replay_handler handler,
				      void *context)
{
	struct replay_model *model = calloc(1, sizeof(*model));

	if (!model)
		return NULL;
	model->names.identity = *identity;
	model->handler = handler;
	model->context = context;
	model->answers.capacity = MAX_ANSWERS;
	model->reader = input_reader_new();
	if (model->reader)
		return model;
	free(model);
	return NULL;
}

static void free_answer(struct answer *answer)
{
	free(answer->names);
	free(answer->process);
	free(answer->torch);
	free(answer);
}

static void forget_answers(struct replay_model *model)
{
	struct table_item *item;

	while ((item = table_pop(&model->answers)))
		free_answer((struct answer *)item);
}

void replay_model_free(struct replay_model *model)
{
	if (!model)
		return;
	model_free(model->model);
	suppressions_free(model->suppressions);
	input_reader_free(model->reader);
	forget_answers(model);
	free(model->text);
	free(model->bytes);
	free(model);
}

static struct answer *find_answer(const struct replay_model *model, uint64_t number, uint64_t start)
{
	struct answer wanted = {.key = {number, start}};

	return (struct answer *)table_find(&model->answers, &wanted.key, sizeof(wanted.key));
}

/* Made if need be; NULL when out of memory. */
static struct answer *answer_of(struct replay_model *model, uint64_t number, uint64_t start)
{
	struct answer *answer = find_answer(model, number, start);

	if (answer)
		return answer;
	if (table_surplus(&model->answers))
		free_answer((struct answer *)table_pop(&model->answers));
	answer = calloc(1, sizeof(*answer));
	if (!answer)
		return NULL;
	answer->key.number = number;
	answer->key.start = start;
	if (!table_add(&model->answers, &answer->item, &answer->key, sizeof(answer->key)))
		return answer;
	free(answer);
	return NULL;
}

static int note_names(struct replay_model *model, const struct model_input *input)
{
	struct answer *answer = answer_of(model, input->pid, input->start_time);
	char *names = answer ? strdup(input->names) : NULL;

	if (!names)
		return -ENOMEM;
	free(answer->names);
	answer->names = names;
	if (!answer->process)
		answer->process = malloc(sizeof(*answer->process));
	if (!answer->process)
		return -ENOMEM;
	memset(answer->process, 0, sizeof(*answer->process));
	process_names_split(names, answer->process);
	return 0;
}

static int note_torch(struct replay_model *model, const struct model_input *input)
{
	struct answer *answer = answer_of(model, input->file_id, ANSWER_OF_FILE);

	if (!answer)
		return -ENOMEM;
	if (!answer->torch)
		answer->torch = malloc(sizeof(*answer->torch));
	if (!answer->torch)
		return -ENOMEM;
	*answer->torch = *input->torch;
	return 0;
}

static void resolve_process(void *context, uint32_t pid, uint64_t start_time,
			    struct event_process *process)
{
	const struct answer *answer = find_answer(context, pid, start_time);

	if (!answer || !answer->process)
		return;
	(void)str_copy(process->exe, sizeof(process->exe), answer->process->exe);
	process->cgroup = answer->process->cgroup;
}

static void resolve_torch(void *context, uint32_t file_id, struct event_torch *torch)
{
	const struct answer *answer = find_answer(context, file_id, ANSWER_OF_FILE);

	if (answer && answer->torch)
		*torch = *answer->torch;
}

static void on_event(void *context, const struct event *event)
{
	const struct replay_model *model = context;
	struct event end;

	if (event->type == EVENT_END) {
		end = *event;
		end.totals.lost_output = model->lost_output;
		event = &end;
	}
	model->handler(model->context, &model->names, event);
}

static int add_suppressions(struct replay_model *model, const struct model_input *input)
{
	char *more;

	if (model->model || model->text_size + input->size > SUPPRESSIONS_MAX_SIZE)
		return -EBADMSG;
	more = realloc(model->text, model->text_size + input->size + 1);
	if (!more)
		return -ENOMEM;
	model->text = more;
	memcpy(more + model->text_size, input->data, input->size);
	model->text_size += input->size;
	return 0;
}

/* size: whether there are suppressions. */
static int make_model(struct replay_model *model, const struct model_input *input)
{
	const struct model_resolver resolver = {resolve_process, resolve_torch, model};
	struct model_options options = *input->options;
	struct err err;

	if (model->model || model->finished)
		return -EBADMSG;
	if (input->size) {
		model->suppressions = suppressions_parse(model->text ? model->text : "",
							 model->text_size, &err);
		if (!model->suppressions)
			return err.code == -ENOMEM ? -ENOMEM : -EBADMSG;
	}
	options.suppressions = model->suppressions;
	model->model = model_new(&options, &resolver, on_event, model);
	return model->model ? 0 : -ENOMEM;
}

int replay_model_take(struct replay_model *model, const struct record *record)
{
	const struct value *data = &record->field[FIELD_DATA];
	ssize_t size;

	if (data->kind != VALUE_STRING || decode_number(record, FIELD_FORMAT) != INPUT_CODE_VERSION)
		return -EBADMSG;
	if (model->room < data->length) {
		uint8_t *more = realloc(model->bytes, data->length);

		if (!more)
			return -ENOMEM;
		model->bytes = more;
		model->room = data->length;
	}
	size = base64_decode(model->bytes, data->text, data->length);
	if (size < 0)
		return (int)size;
	input_reader_begin(model->reader, model->bytes, (size_t)size);
	return 0;
}

/* Nothing comes behind it, and many runs may be read. */
static int finish(struct replay_model *model, const struct model_input *input)
{
	model->lost_output = input->lost_output;
	model_feed(model->model, input);
	model_free(model->model);
	model->model = NULL;
	model->finished = true;
	forget_answers(model);
	return 0;
}

/* The event has all but the names of its cgroup, which point to somewhere. */
static int feed_action(struct replay_model *model, const struct model_input *input)
{
	struct model_input copy = *input;
	struct event event = *input->action;

	resolve_process(model, event.process.pid, event.process.start_time, &event.process);
	copy.action = &event;
	return model_feed(model->model, &copy) ? -EBADMSG : 0;
}

static int take(struct replay_model *model, const struct model_input *input)
{
	switch (input->type) {
	case MODEL_INPUT_SUPPRESSIONS:
		return add_suppressions(model, input);
	case MODEL_INPUT_OPTIONS:
		return make_model(model, input);
	case MODEL_INPUT_NAMES:
		return note_names(model, input);
	case MODEL_INPUT_TORCH:
		return note_torch(model, input);
	case MODEL_INPUT_UTC:
		model->names.utc_offset = input->utc_offset;
		return 0;
	default:
		break;
	}
	if (!model->model)
		return -EBADMSG;
	if (input->type == MODEL_INPUT_FINISH)
		return finish(model, input);
	if (input->type == MODEL_INPUT_ACTION)
		return feed_action(model, input);
	return model_feed(model->model, input) ? -EBADMSG : 0;
}

int replay_model_feed(struct replay_model *model)
{
	struct model_input input;
	int code = input_reader_next(model->reader, &input);

	if (code <= 0)
		return code;
	code = take(model, &input);
	return code ? code : 1;
}
