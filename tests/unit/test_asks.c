// SPDX-License-Identifier: GPL-2.0-or-later
/* user/model/asks: what an actor is told, and what its outcomes do to findings and totals. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "model/model.h"

struct seen {
	struct model *model;
	unsigned int begun, ended, asked, findings, actions;
	enum model_verdict verdict;
	struct event event; /* last one asked about */
};

static void on_event(void *context, const struct event *event)
{
	struct seen *seen = context;

	seen->findings += event->type == EVENT_FINDING;
	seen->actions += event->type == EVENT_ACTION;
}

static void on_begun(void *context, const struct gw_event_record *record, enum trace_kind kind,
		     bool info)
{
	struct seen *seen = context;

	assert_int_equal(record->session, 7);
	assert_int_equal(kind, TRACE_KIND_UNKNOWN); /* no stack, no kind */
	assert_false(info);
	seen->begun++;
}

static void on_ended(void *context, uint64_t trace)
{
	assert_int_equal(trace, 7);
	((struct seen *)context)->ended++;
}

static void on_asked(void *context, const struct gw_event_record *record, struct event *event,
		     enum model_verdict verdict)
{
	struct seen *seen = context;

	assert_int_equal(record->pid, 4711);
	seen->asked++;
	seen->verdict = verdict;
	seen->event = *event;
}

static struct gw_event_record make_record(enum gw_record_type type, enum gw_ask ask)
{
	struct gw_event_record record = {
		.header = {.type = (uint16_t)type,
			   .version = GW_ABI_VERSION,
			   .size = sizeof(record),
			   .time = 100},
		.session = 7,
		.mode = 4096,
		.pid = 4711,
		.tid = 4712,
		.from = 1,
		.certain = 1,
		.ask = ask,
		.violations = 1,
	};

	return record;
}

static void start(struct seen *seen)
{
	const struct model_options options = {.idle_ns = 1000, .kinds = KINDS_ALL};
	const struct model_actor actor = {on_begun, on_ended, on_asked, seen};
	struct gw_event_record record = make_record(GW_RECORD_TRACE, GW_ASK_NONE);

	memset(seen, 0, sizeof(*seen));
	seen->model = model_new(&options, NULL, on_event, seen);
	assert_non_null(seen->model);
	model_set_actor(seen->model, &actor);
	assert_int_equal(model_record(seen->model, &record, sizeof(record), NULL), 0);
	assert_int_equal(seen->begun, 1);
	assert_int_equal(seen->asked, 0);
}

static void end_trace(struct seen *seen)
{
	const struct gw_session session = {
		.id = 7,
		.mode = 4096,
		.pid = 4711,
		.tid = 4712,
		.end = 200,
		.end_reason = GW_END_EXIT,
		.violations = 1,
		.state_begin = 1,
		.state_end = GW_STATE_UNKNOWN,
	};

	assert_true(model_session(seen->model, &session, MODEL_MODE_UNKNOWN, 300));
	assert_int_equal(seen->ended, 1);
}

static void test_asked(void **state)
{
	struct gw_event_record record = make_record(GW_RECORD_ASK, GW_ASK_STOPPED);
	struct event_totals totals;
	struct seen seen;

	(void)state;
	start(&seen);
	assert_int_equal(model_record(seen.model, &record, sizeof(record), NULL), 0);
	assert_int_equal(seen.asked, 1);
	assert_int_equal(seen.verdict, MODEL_VERDICT_UNSURE); /* its session is not known */
	assert_int_equal(seen.event.type, EVENT_ACTION);
	assert_int_equal(seen.event.action.trace, 7);
	assert_true(seen.event.action.from && !seen.event.action.to);
	/* A question is no change: there is nothing to find. */
	end_trace(&seen);
	model_totals(seen.model, &totals);
	assert_int_equal(totals.violations, 0);
	assert_int_equal(seen.findings, 0);
	model_free(seen.model);
}

/* A change that a signal came before was not made: no finding. One that it came after was. */
static void check_outcome(enum gw_action action, enum action_outcome outcome, bool after_change,
			  unsigned int findings)
{
	struct gw_event_record record = make_record(GW_RECORD_VIOLATION, GW_ASK_SIGNALLED);
	struct event_totals totals;
	struct seen seen;

	start(&seen);
	assert_int_equal(model_record(seen.model, &record, sizeof(record), NULL), 0);
	assert_int_equal(seen.asked, 1);
	seen.event.action.action = action;
	seen.event.action.outcome = outcome;
	seen.event.action.after_change = after_change;
	model_action(seen.model, &seen.event);
	end_trace(&seen);
	model_totals(seen.model, &totals);
	assert_int_equal(totals.violations, 1);
	assert_int_equal(totals.actions[outcome], 1);
	assert_int_equal(seen.actions, 1);
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

static void test_bad_question(void **state)
{
	struct gw_event_record record = make_record(GW_RECORD_ASK, GW_ASK_MAX);
	struct seen seen;

	(void)state;
	start(&seen);
	assert_true(model_record(seen.model, &record, sizeof(record), NULL) < 0);
	assert_int_equal(seen.asked, 0);
	model_free(seen.model);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_asked),
		cmocka_unit_test(test_outcomes),
		cmocka_unit_test(test_bad_question),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
