/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where events and messages go. With `-- CMD` the command's standard output is its own: events go
 * to standard error, or where --output says. All of it is queued, see output/writer.h.
 */
#ifndef GRADWATCH_CLI_OUTPUTS_H
#define GRADWATCH_CLI_OUTPUTS_H

#include "cli/options.h"
#include "output/sink.h"

#define OUTPUTS_MAX 2

/* A sink with its name for messages, and whether its errors were reported. */
struct outputs_sink {
	struct sink *sink;
	const char *name;
	bool error_told, full_told;
};

struct outputs {
	const struct options *options;
	struct sink_context context;
	struct outputs_sink sink[OUTPUTS_MAX];
	size_t count;
	int events_fd;         /* until a writer has it; negative: none */
	struct segments *log;  /* until its sink has it; NULL: none */
	struct sink *inputs;   /* of these, the log that has the model's inputs; NULL: none */
	uint64_t flushed;      /* ns, when its inputs were written last */
	struct writer *errors; /* standard error: messages, and events with `-- CMD` */
	struct writer *events; /* the same as errors, or another */
	bool not_enforced;     /* it was said that some violations are not acted on */
	bool shared;           /* the command may write to what `events` goes to */
	uint64_t lost;         /* lines, by all sinks; final after outputs_finish() */
	uint64_t skipped;      /* libtorch files that cannot be watched */
	uint64_t too_late;     /* processes that had ended when their probes were in place */
};

/* Opens the descriptors, which may take rights that are dropped after that. */
int outputs_open(struct outputs *outputs, const struct options *options, struct err *err);

/* Whether what is done later takes CAP_DAC_OVERRIDE; between the one and the other. */
bool outputs_need_override(const struct outputs *outputs);

/* Makes the writers, which are threads, and the sinks. */
int outputs_start(struct outputs *outputs, struct err *err);

/* An event_handler, with the outputs as context. */
void outputs_event(void *context, const struct event *event);

/* A model_input_handler, and watch_config.flush: for a log with inputs. */
void outputs_input(void *context, const struct model_input *input);
uint64_t outputs_flush(void *context);

/* Whether a reader is so slow that events had better wait (watch_config.is_full). */
bool outputs_are_full(void *context);

/* SIGHUP: the log begins a new segment. */
void outputs_renew(void *context);

/*
 * Waits some seconds for readers; what is not written by then is lost. Messages still work. ran:
 * the command was started, so it may have left a line unfinished.
 */
void outputs_finish(struct outputs *outputs, bool ran);

/* Totals and suppressions, to standard error. */
void outputs_totals(struct outputs *outputs, struct event_totals *totals);

/* Waits for standard error. Messages are written directly again. Nothing if it was not opened. */
void outputs_close(struct outputs *outputs);

#endif
