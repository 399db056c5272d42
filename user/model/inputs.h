/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the model is given, as values: each call of model.h that changes what it knows is an input,
 * and so is what the resolver has answered. The same inputs in the same order make the same events,
 * live or from a log.
 */
#ifndef GRADWATCH_MODEL_INPUTS_H
#define GRADWATCH_MODEL_INPUTS_H

#include "model/model.h"

enum model_input_type {
	MODEL_INPUT_SUPPRESSIONS = 1, /* a part of the suppressions' text */
	MODEL_INPUT_OPTIONS,          /* model_new(), with the suppressions before it */
	MODEL_INPUT_NAMES,            /* the resolver's answer from here on */
	MODEL_INPUT_TORCH,            /* the same */
	MODEL_INPUT_RECORD,           /* model_record() */
	MODEL_INPUT_TRACE,            /* model_trace() */
	MODEL_INPUT_DETACH,           /* model_trace_detach() */
	MODEL_INPUT_PROCESS,          /* model_process() */
	MODEL_INPUT_PROCESS_ENDED,    /* model_process_ended() */
	MODEL_INPUT_COUNTERS,         /* model_counters() */
	MODEL_INPUT_COVERAGE,         /* model_coverage() */
	MODEL_INPUT_ACTION,           /* model_action() */
	MODEL_INPUT_FINISH,           /* model_finish() */
	MODEL_INPUT_SET,              /* model_set() */
	MODEL_INPUT_UTC,              /* not the model's: how its times are shown from here on */
	MODEL_INPUT_MAX,
};

#define MODEL_INPUT_TEXT_MAX 65536 /* bytes of a SUPPRESSIONS */

/* Of an input the fields of its type; what they point to is good during the call. */
struct model_input {
	enum model_input_type type;
	uint64_t time;                /* now: TRACE, DETACH, PROCESS_ENDED, COUNTERS, FINISH */
	const void *data;             /* RECORD; SUPPRESSIONS */
	size_t size;                  /* of data */
	bool decides;                 /* RECORD: a decision was asked for */
	enum model_mode_state mode;   /* TRACE */
	const struct gw_trace *trace; /* TRACE, DETACH; RECORD: or NULL */
	uint32_t pid;                 /* PROCESS, PROCESS_ENDED, NAMES */
	uint64_t start_time;          /* the same */
	uint32_t file_id;             /* TORCH */
	const struct event_torch *torch;
	const char *names;                     /* NAMES: see process_names.h */
	const uint64_t *counter;               /* COUNTERS: GW_COUNTER_MAX of them */
	const struct event_coverage *coverage; /* COVERAGE */
	const struct event *action;            /* ACTION: its event */
	const struct model_options *options;   /* OPTIONS, SET: the fields idle_ns to began_on */
	uint64_t lost_output;                  /* FINISH: what the caller has added to END */
	int64_t utc_offset;                    /* UTC: see base/clock.h */
};

/* Receives inputs in order, each behind the events that it has made. */
typedef void (*model_input_handler)(void *context, const struct model_input *input);

/* From now on inputs are handed out, to begin with the options. To be called before any other. */
void model_on_input(struct model *model, model_input_handler handler, void *context);

/*
 * Gives the model an input that is a call: one from RECORD to FINISH. Others are for the caller: to
 * make the model, and to resolve. -EINVAL for these.
 */
int model_feed(struct model *model, const struct model_input *input);

#endif
