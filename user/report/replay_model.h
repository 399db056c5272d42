/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A model that is fed from records of a log (private to report/). */
#ifndef GRADWATCH_REPORT_REPLAY_MODEL_H
#define GRADWATCH_REPORT_REPLAY_MODEL_H

#include "log/parse.h"
#include "model/event.h"
#include "output/sink.h"

struct replay_model;

/* The handler gets the events, with how their times are shown. NULL when out of memory. */
typedef void (*replay_handler)(void *context, const struct sink_context *names,
			       const struct event *event);
struct replay_model *replay_model_new(const struct log_identity *identity, replay_handler handler,
				      void *context);
void replay_model_free(struct replay_model *model); /* NULL-safe */

/*
 * Takes the inputs of a record; replay_model_feed() gives them to the model one after the other. 0;
 * -EBADMSG: these are no inputs. The number of the first one is for the caller to check.
 */
int replay_model_take(struct replay_model *model, const struct record *record);

/* 1: the model was given one; 0: there are no more; -EBADMSG, -ENOMEM: it cannot go on. */
int replay_model_feed(struct replay_model *model);

#endif
