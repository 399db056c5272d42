// SPDX-License-Identifier: GPL-2.0-or-later
/* user/model/asks: what is handed out to be decided, and what outcomes do to findings and totals.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "model/model.h"

#define MAX_EVENTS 16

struct seen {
	struct model *model;
	enum event_type type[MAX_EVENTS]; /* of all events so far, in order */
	unsigned int events, findings;
	struct model_decision decision; /* the last one */
};

static void on_event(void *context, const struct event *event)
{
	struct seen *seen = context;

	assert_true(seen->events < MAX_EVENTS);
	seen->type[seen->events++] = event->type;
	seen->findings += event->type == EVENT_FINDING;
}

static struct gw_event_record make_record(enum gw_record_type type, enum gw_ask ask)
{
	struct gw_event_record record = {
		.header = {.type = (uint16_t)type,
			   .version = GW_ABI_VERSION,
			   .size = sizeof(record),
			   .time = 100},
		.trace = 7,
		.mode = 4096,
		.pid = 4711,
		.tid = 4712,
		.from = 1,
		.certain = 1,
		.ask = ask,
		.changes = 1,
	};

	return record;
}

static int take(struct seen *seen, const struct gw_event_record *record)
{
	return model_record(seen->model, record, sizeof(*record), NULL, &seen->decision);
}

static void start(struct seen *seen)
{
	const struct model_options options = {.idle_ns = 1000, .kinds = KINDS_ALL};
	struct gw_event_record record = make_record(GW_RECORD_TRACE, GW_ASK_NONE);

	memset(seen, 0, sizeof(*seen));
	seen->model = model_new(&options, NULL, on_event, seen);
	assert_non_null(seen->model);
	assert_int_equal(take(seen, &record), 0);
	assert_int_equal(seen->decision.subject, MODEL_SUBJECT_TRACE);
	assert_int_equal(seen->decision.record.trace, 7);
	assert_int_equal(seen->decision.kind, TRACE_KIND_UNKNOWN); /* no stack, no kind */
	assert_false(seen->decision.info);
}

static void end_trace(struct seen *seen)
{
	const struct gw_trace trace = {
		.id = 7,
		.mode = 4096,
		.pid = 4711,
		.tid = 4712,
		.end = 200,
		.end_reason = GW_END_EXIT,
		.changes = 1,
		.state_begin = 1,
		.state_end = GW_STATE_UNKNOWN,
	};

	assert_true(model_trace(seen->model, &trace, MODEL_MODE_UNKNOWN, 300));
}

static void test_asked(void **state)
{
	struct gw_event_record record = make_record(GW_RECORD_ASK, GW_ASK_STOPPED);
	struct event_totals totals;
	struct seen seen;

	(void)state;
	start(&seen);
	assert_int_equal(take(&seen, &record), 0);
	assert_int_equal(seen.decision.subject, MODEL_SUBJECT_CHANGE);
	assert_int_equal(seen.decision.record.pid, 4711);
	/* its trace is not known */
	assert_int_equal(seen.decision.verdict, MODEL_VERDICT_UNSURE);
	assert_int_equal(seen.decision.event.type, EVENT_ACTION);
	assert_int_equal(seen.decision.event.process.tid, 4712);
	assert_int_equal(seen.decision.event.action.trace, 7);
	assert_true(seen.decision.event.action.from && !seen.decision.event.action.to);
	/* A question is no change: there is nothing to find. */
	end_trace(&seen);
	model_totals(seen.model, &totals);
	assert_int_equal(totals.violations, 0);
	assert_int_equal(seen.findings, 0);
	model_free(seen.model);
}

/* What was decided before is not handed out again. */
static void test_nothing_to_decide(void **state)
{
	struct gw_event_record record = make_record(GW_RECORD_CHANGE, GW_ASK_NONE);
	struct gw_event_record bad = make_record(GW_RECORD_ASK, GW_ASK_MAX);
	struct gw_event_record asked = make_record(GW_RECORD_ASK, GW_ASK_STOPPED);
	struct seen seen;

	(void)state;
	start(&seen);
	assert_int_equal(take(&seen, &record), 0);
	assert_int_equal(seen.decision.subject, MODEL_SUBJECT_NONE);
	assert_int_equal(take(&seen, &asked), 0);
	assert_int_equal(seen.decision.subject, MODEL_SUBJECT_CHANGE);
	assert_true(take(&seen, &bad) < 0);
	assert_int_equal(seen.decision.subject, MODEL_SUBJECT_NONE);
	assert_int_equal(model_record(seen.model, &asked, sizeof(asked), NULL, NULL), 0);
	model_free(seen.model);
}

/* The change's own event is out before anything is done about it. */
static void test_order(void **state)
{
	struct gw_event_record record = make_record(GW_RECORD_CHANGE, GW_ASK_STOPPED);
	struct seen seen;

	(void)state;
	start(&seen);
	assert_int_equal(take(&seen, &record), 0);
	assert_int_equal(seen.events, 2);
	assert_int_equal(seen.type[0], EVENT_TRACE_BEGIN);
	assert_int_equal(seen.type[1], EVENT_CHANGE);
	/* The verdict is that of the moment before the change. */
	assert_int_equal(seen.decision.verdict, MODEL_VERDICT_UNSURE);
	model_action(seen.model, &seen.decision.event);
	assert_int_equal(seen.type[2], EVENT_ACTION);
	model_free(seen.model);
}

/*
 * A trace that was first seen between two bare calls that are a pair: from then on each second call
 * seems to be a first one. None of them is prevented, as it may be the one that puts back.
 */
static void test_first_seen_between(void **state)
{
	struct gw_event_record change = make_record(GW_RECORD_CHANGE, GW_ASK_NONE);
	struct gw_event_record asked = make_record(GW_RECORD_ASK, GW_ASK_STOPPED);
	struct seen seen;

	(void)state;
	start(&seen);
	for (uint64_t i = 0; i < 5; i++) {
		asked.from = change.from = i % 2;
		asked.to = change.to = !change.from;
		change.changes = i + 1;
		asked.changes = i;
		asked.header.time = change.header.time = 100 + i;
		assert_int_equal(take(&seen, &asked), 0);
		assert_int_equal(seen.decision.verdict,
				 i % 2 ? MODEL_VERDICT_WAY_BACK : MODEL_VERDICT_UNSURE);
		assert_int_equal(take(&seen, &change), 0);
	}
	model_free(seen.model);
}

/* A change that a signal came before was not made: no finding. One that it came after was. */
static void check_outcome(enum gw_action action, enum action_outcome outcome, bool after_change,
			  unsigned int findings)
{
	struct gw_event_record record = make_record(GW_RECORD_CHANGE, GW_ASK_SIGNALLED);
	struct event_totals totals;
	struct event *event;
	struct seen seen;

	start(&seen);
	assert_int_equal(take(&seen, &record), 0);
	event = &seen.decision.event;
	event->action.action = action;
	event->action.outcome = outcome;
	event->action.after_change = after_change;
	model_action(seen.model, event);
	end_trace(&seen);
	model_totals(seen.model, &totals);
	assert_int_equal(totals.violations, 1);
	assert_int_equal(totals.actions[outcome], 1);
	assert_int_equal(seen.findings, findings);
	model_free(seen.model);
}

static void test_outcomes(void **state)
{
	(void)state;
	check_outcome(GW_ACTION_KILL, ACTION_PERFORMED, false, 0);
	check_outcome(GW_ACTION_SIGNAL, ACTION_PERFORMED, false, 0);
	check_outcome(GW_ACTION_SIGNAL, ACTION_TOO_LATE, false, 1);
	check_outcome(GW_ACTION_KILL, ACTION_PERFORMED, true, 1);
	check_outcome(GW_ACTION_HOLD, ACTION_PERFORMED, false, 1);
	check_outcome(GW_ACTION_RAISE, ACTION_REFUSED, false, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_asked),    cmocka_unit_test(test_nothing_to_decide),
		cmocka_unit_test(test_order),    cmocka_unit_test(test_first_seen_between),
		cmocka_unit_test(test_outcomes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
