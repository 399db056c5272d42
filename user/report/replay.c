// SPDX-License-Identifier: GPL-2.0-or-later
#include "report/replay.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "gradwatch/abi.h"
#include "report/decode.h"
#include "report/replay_lines.h"
#include "report/replay_model.h"

/* Events that wait for their counterparts: a queue of gradwatch holds less. */
#define WAITING_MAX (64u << 20)

enum mode {
	MODE_NEW,    /* no record was read */
	MODE_LOGGED, /* what was logged counts: there are no inputs, or some are missing */
	MODE_FED,
};

struct run_of_replay {
	enum mode mode;
	struct replay_model *model;
	uint64_t next;                    /* number of the next input */
	struct replay_lines out;          /* to be given by replay_next() */
	struct replay_lines made, logged; /* to be compared */
	size_t skip; /* MODE_LOGGED: events that the model has made before it was given up */
	bool no_memory;
	struct replay_result result;
};

struct replay {
	struct run_of_replay **run; /* by index of struct run; NULL: there was no record of it */
	size_t runs;
	struct run_of_replay *current;
	struct parser *parser;
	struct record record; /* of replay_next() */
	struct replay_line *given;
};

struct replay *replay_new(void)
{
	struct replay *replay = calloc(1, sizeof(*replay));

	if (!replay)
		return NULL;
	replay->parser = parser_new();
	if (replay->parser)
		return replay;
	free(replay);
	return NULL;
}

/* What a run needs no more when it has ended. */
static void close_run(struct run_of_replay *run)
{
	replay_model_free(run->model);
	run->model = NULL;
	replay_lines_free(&run->out);
	replay_lines_free(&run->made);
	replay_lines_free(&run->logged);
}

void replay_free(struct replay *replay)
{
	if (!replay)
		return;
	for (size_t i = 0; i < replay->runs; i++) {
		if (replay->run[i])
			close_run(replay->run[i]);
		free(replay->run[i]);
	}
	free(replay->run);
	free(replay->given);
	parser_free(replay->parser);
	free(replay);
}

static struct run_of_replay *run_of(struct replay *replay, size_t index)
{
	while (index >= replay->runs) {
		size_t runs = 2 * replay->runs + 8;
		struct run_of_replay **more = realloc(replay->run, runs * sizeof(*more));

		if (!more)
			return NULL;
		memset(more + replay->runs, 0, (runs - replay->runs) * sizeof(*more));
		replay->run = more;
		replay->runs = runs;
	}
	if (!replay->run[index])
		replay->run[index] = calloc(1, sizeof(*replay->run[index]));
	return replay->run[index];
}

/* Whether the model says it, and whether a log with inputs has it all the same. */
static bool is_of_model(enum log_type type, bool *logged)
{
	*logged = true;
	switch (type) {
	case LOG_TYPE_CHANGE:
	case LOG_TYPE_AGAIN:
		*logged = false;
		return true;
	case LOG_TYPE_FINDING:
	case LOG_TYPE_REPEATED:
	case LOG_TYPE_TRACE_BEGIN:
	case LOG_TYPE_TRACE_END:
	case LOG_TYPE_ACTION:
	case LOG_TYPE_LOST:
	case LOG_TYPE_TOTALS:
	case LOG_TYPE_END:
		return true;
	default:
		return false;
	}
}

static bool is_compared(enum event_type type)
{
	return type != EVENT_CHANGE && type != EVENT_AGAIN;
}

static void on_event(void *context, const struct sink_context *names, const struct event *event)
{
	struct run_of_replay *run = context;
	size_t length = 0;
	char *text = event_to_json(names, event, &length);
	int code = text ? replay_lines_put(&run->out, text, length - 1, 0) : -ENOMEM;

	/* Without the brace and the newline: a logged one goes on there. */
	if (!code && is_compared(event->type))
		code = replay_lines_put(&run->made, text, length - 2, 0);
	run->no_memory |= code != 0;
	free(text);
}

/* From here on what was logged counts: also what waits for its like. */
static void give_up(struct run_of_replay *run)
{
	run->skip = run->made.count;
	replay_lines_free(&run->made);
	for (struct replay_line *line = run->logged.first; line; line = line->next)
		line->text[line->length++] = '}'; /* there is room in the padding */
	replay_lines_move(&run->out, &run->logged);
	replay_model_free(run->model);
	run->model = NULL;
	run->mode = MODE_LOGGED;
}

static void begin_run(struct run_of_replay *run, const struct run *of, const struct record *record)
{
	struct replay_result *result = &run->result;
	const struct value *abi = &record->field[FIELD_ABI];
	struct log_identity identity = {0};

	run->mode = MODE_LOGGED;
	if (record->type != LOG_TYPE_HEADER || strcmp(of->level, "all") != 0) {
		(void)str_format(result->why, sizeof(result->why),
				 "it was logged without inputs (--log-level all has them)");
		return;
	}
	if (abi->kind != VALUE_NUMBER || abi->number != GW_ABI_VERSION) {
		(void)str_format(result->why, sizeof(result->why),
				 "its inputs are of ABI %" PRIu64 ", this gradwatch replays ABI %d",
				 decode_number(record, FIELD_ABI), GW_ABI_VERSION);
		return;
	}
	run->mode = MODE_FED;
	(void)str_format(identity.host, sizeof(identity.host), "%s", of->host);
	(void)str_format(identity.boot_id, sizeof(identity.boot_id), "%s", of->boot_id);
	(void)str_format(identity.run_id, sizeof(identity.run_id), "%s", of->id);
	run->model = replay_model_new(&identity, on_event, run);
	run->no_memory = !run->model;
}

/* The inputs of a record, if they are the next ones. */
static void take_inputs(struct run_of_replay *run, const struct record *record)
{
	struct replay_result *result = &run->result;
	uint64_t first = decode_number(record, FIELD_FIRST);
	int code;

	if (first != run->next) {
		(void)str_format(result->why, sizeof(result->why),
				 "inputs are missing: after %" PRIu64 " comes number %" PRIu64
				 "; from there on this is what was logged",
				 run->next, first);
		give_up(run);
		return;
	}
	code = replay_model_take(run->model, record);
	run->no_memory |= code == -ENOMEM;
	if (code && code != -ENOMEM) {
		(void)str_format(result->why, sizeof(result->why),
				 "the record with input %" PRIu64
				 " cannot be read; from there on this is what was logged",
				 first);
		give_up(run);
	}
	run->next = first + decode_number(record, FIELD_COUNT);
}

/* How much of a line is the event: what is before its number in the run. 0: it has none. */
static size_t event_length(const char *line, size_t length)
{
	static const char key[] = ",\"seq\":";
	const size_t tail = LOG_TAIL_SIZE - 1, size = sizeof(key) - 1;

	if (length < tail + size)
		return 0;
	length -= tail;
	while (length > size && line[length - 1] >= '0' && line[length - 1] <= '9')
		length--;
	return !memcmp(line + length - size, key, size) ? length - size : 0;
}

/* The part of a text from the key on in which it differs from another. */
static void copy_difference(char *out, const char *text, size_t length, size_t at)
{
	while (at > 1 && !(text[at - 1] == ',' && text[at] == '"'))
		at--;
	(void)str_format(out, REPLAY_SHOWN_BYTES, "%.*s", (int)(length - at), text + at);
}

static void note_difference(struct replay_result *result, const struct replay_line *logged,
			    const struct replay_line *made)
{
	struct replay_difference *shown = &result->shown[result->shown_count];
	size_t at = 0;

	result->differences++;
	if (result->shown_count == REPLAY_SHOWN_MAX)
		return;
	result->shown_count++;
	while (logged && made && at < logged->length && at < made->length &&
	       logged->text[at] == made->text[at])
		at++;
	if (logged) {
		shown->seq = logged->seq;
		copy_difference(shown->logged, logged->text, logged->length, at);
	}
	if (made)
		copy_difference(shown->made, made->text, made->length, at);
}

static void compare(struct run_of_replay *run)
{
	while (run->made.first && run->logged.first) {
		struct replay_line *made = replay_lines_take(&run->made);
		struct replay_line *logged = replay_lines_take(&run->logged);

		run->result.compared++;
		if (made->length != logged->length ||
		    memcmp(made->text, logged->text, made->length) != 0)
			note_difference(&run->result, logged, made);
		free(made);
		free(logged);
	}
	if (run->made.bytes + run->logged.bytes < WAITING_MAX)
		return;
	(void)str_format(run->result.why, sizeof(run->result.why),
			 "its events and its inputs do not belong together");
	give_up(run);
}

/* The like of an event that was given already. */
static bool is_skipped(struct run_of_replay *run, enum log_type type)
{
	bool logged;

	if (!run->skip || !is_of_model(type, &logged) || !logged)
		return false;
	run->skip--;
	return true;
}

int replay_take(struct replay *replay, const struct run *of, const struct record *record,
		const char *line, size_t length)
{
	struct run_of_replay *run = run_of(replay, of->index);
	size_t event = event_length(line, length);
	bool logged;

	replay->current = run;
	if (!run)
		return -ENOMEM;
	if (run->mode == MODE_NEW)
		begin_run(run, of, record);
	if (run->mode == MODE_LOGGED)
		return is_skipped(run, record->type);
	if (run->no_memory)
		return -ENOMEM;
	if (record->type == LOG_TYPE_INPUT)
		take_inputs(run, record);
	if (!is_of_model(record->type, &logged) || !event)
		return 0;
	if (logged && replay_lines_put(&run->logged, line, event, decode_number(record, FIELD_SEQ)))
		return -ENOMEM;
	compare(run);
	return 1;
}

/* Gives the model inputs until it says something. */
static void feed(struct run_of_replay *run)
{
	while (!run->out.first && run->mode == MODE_FED && !run->no_memory) {
		int code = replay_model_feed(run->model);

		if (!code)
			return;
		if (code > 0) {
			run->result.inputs++;
			compare(run);
			continue;
		}
		run->no_memory = code == -ENOMEM;
		if (run->no_memory)
			return;
		(void)str_format(run->result.why, sizeof(run->result.why),
				 "input %" PRIu64
				 " cannot be read; from there on this is what was logged",
				 run->result.inputs);
		give_up(run);
	}
}

const struct record *replay_next(struct replay *replay)
{
	struct run_of_replay *run = replay->current;

	free(replay->given);
	replay->given = NULL;
	if (!run)
		return NULL;
	feed(run);
	replay->given = replay_lines_take(&run->out);
	if (!replay->given)
		return NULL;
	if (parser_parse(replay->parser, replay->given->text, replay->given->length,
			 &replay->record)) {
		run->result.differences++; /* it would not be read from a log, either */
		return replay_next(replay);
	}
	return &replay->record;
}

/* Why events of both sides may lack their counterparts; "": they may not. */
static const char *why_incomplete(const struct run *of)
{
	struct numbers missing = {0};
	const char *why = "";

	if (run_missing(of, &missing) || missing.count || of->gaps.count)
		why = "records of it are missing: what is left cannot be compared";
	else if (of->live)
		why = "it goes on: its end cannot be compared";
	else if (!of->ended)
		why = "it has no end: what came last cannot be compared";
	numbers_free(&missing);
	return why;
}

static void finish_run(struct run_of_replay *run, const struct run *of)
{
	struct replay_result *result = &run->result;
	struct replay_line *line;

	if (run->mode != MODE_FED)
		return;
	if (run->no_memory)
		(void)str_format(result->why, sizeof(result->why), "there was no memory for it");
	else
		(void)str_format(result->why, sizeof(result->why), "%s", why_incomplete(of));
	if (*result->why)
		return;
	while ((line = replay_lines_take(&run->logged))) {
		note_difference(result, line, NULL);
		free(line);
	}
	while ((line = replay_lines_take(&run->made))) {
		note_difference(result, NULL, line);
		free(line);
	}
}

void replay_finish(struct replay *replay, const struct logs *logs)
{
	for (size_t i = 0; i < logs_runs(logs) && i < replay->runs; i++)
		if (replay->run[i]) {
			finish_run(replay->run[i], logs_run_at(logs, i));
			close_run(replay->run[i]);
		}
}

const struct replay_result *replay_result(const struct replay *replay, size_t run)
{
	return run < replay->runs && replay->run[run] ? &replay->run[run]->result : NULL;
}
