// SPDX-License-Identifier: GPL-2.0-or-later
/* user/model/findings: what is the same finding again, and what is not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "model/findings.h"

struct seen {
	unsigned int findings, repeats, again;
	struct event_finding last; /* of a repeat */
};

static void on_event(void *context, const struct event *event)
{
	struct seen *seen = context;

	if (event->type == EVENT_FINDING) {
		seen->findings++;
	} else if (event->type == EVENT_AGAIN) {
		seen->again++;
		assert_int_equal(event->finding.count, seen->again + 1);
	} else {
		seen->repeats++;
		seen->last = event->finding;
	}
}

static const struct event_frame frame[] = {{"/m.py", "f", 7}, {"/m.py", "f", 8}, {"/m.py", "g", 7}};

static struct event make(const struct event_frame *user)
{
	return (struct event){
		.type = EVENT_FINDING,
		.process.pid = 7,
		.stack = {.count = 1, .frame = user},
		.finding = {.kind = TRACE_KIND_MAKE_FX,
			    .from = GW_STATE_GRAD,
			    .restored = RESTORED_YES,
			    .operators = 1,
			    .trace = 3},
	};
}

/* Each in a way of its own; the first is the one that the others differ from. */
static size_t variants(struct event *event)
{
	size_t count = 0;

	for (int i = 0; i < 12; i++)
		event[i] = make(frame);
	event[++count].finding.severity = SEVERITY_INFO;
	event[++count].finding.severity = SEVERITY_LOW;
	event[++count].finding.owner = OWNER_AUTOGRAD;
	event[++count].finding.restored = RESTORED_NO;
	event[++count].finding.category = FINDING_DRIFT;
	event[++count].finding.kind = TRACE_KIND_EXPORT;
	event[++count].finding.decorated = &frame[2];
	event[++count].finding.caller = &frame[2];
	event[++count].process.pid = 8;
	event[++count].stack.frame = &frame[1];
	event[++count].stack.frame = &frame[2];
	return count + 1;
}

static void test_what_differs(void **state)
{
	struct seen seen = {0};
	struct findings *findings = findings_new(false, on_event, &seen);
	struct event event[12];
	size_t count = variants(event);

	(void)state;
	/* Whatever comes first absorbs nothing. */
	for (size_t i = count; i > 0; i--)
		assert_true(findings_take(findings, &event[i - 1]));
	assert_int_equal(seen.findings, count);
	for (size_t i = 0; i < count; i++) {
		event[i].type = EVENT_FINDING;
		assert_false(findings_take(findings, &event[i]));
	}
	findings_finish(findings, 1);
	assert_int_equal(seen.findings, count);
	assert_int_equal(seen.repeats, count);
	assert_int_equal(seen.last.count, 2);
	findings_free(findings);
}

static void test_counts(void **state)
{
	struct seen seen = {0};
	struct findings *findings = findings_new(false, on_event, &seen);

	(void)state;
	for (int i = 0; i < 105; i++) {
		struct event event = make(frame);

		findings_take(findings, &event);
	}
	assert_int_equal(seen.repeats, 2); /* 10, 100 */
	findings_note_throttled(findings, 3, 40);
	findings_note_throttled(findings, 4, 50);
	findings_finish(findings, 1);
	assert_int_equal(seen.repeats, 3);
	assert_int_equal(seen.last.count, 105);
	assert_int_equal(seen.last.throttled, 40);
	findings_finish(findings, 1);
	assert_int_equal(seen.repeats, 3);
	findings_free(findings);
}

/* Its second part was not sent: it is an occurrence of the finding that is known. */
static void test_half(void **state)
{
	struct seen seen = {0};
	struct findings *findings = findings_new(false, on_event, &seen);
	struct event whole = make(frame), half = make(frame), other = make(frame);

	(void)state;
	whole.finding.severity = SEVERITY_LOW;
	whole.finding.operators = 0;
	half.finding.restored = other.finding.restored = RESTORED_UNKNOWN;
	half.finding.uncounted = true;
	assert_true(findings_take(findings, &whole));
	assert_false(findings_take(findings, &half));
	assert_true(findings_take(findings, &other));
	findings_free(findings);
}

/* The one that has not occurred for longest makes room, with its count. */
static void test_room(void **state)
{
	struct seen seen = {0};
	struct findings *findings = findings_new(false, on_event, &seen);
	struct event event = make(frame);

	(void)state;
	for (unsigned int i = 1; i <= FINDINGS_MAX; i++) {
		event = make(frame);
		event.process.pid = i;
		assert_true(findings_take(findings, &event));
	}
	event = make(frame);
	event.process.pid = 1;
	assert_false(findings_take(findings, &event)); /* the second is the oldest now */
	event = make(frame);
	event.process.pid = 2;
	assert_false(findings_take(findings, &event));
	event = make(frame);
	event.process.pid = FINDINGS_MAX + 1;
	assert_true(findings_take(findings, &event)); /* the third goes */
	assert_int_equal(findings_forgotten(findings), 1);
	assert_int_equal(seen.repeats, 0);
	for (unsigned int i = FINDINGS_MAX + 2; i <= 2 * FINDINGS_MAX - 1; i++) {
		event = make(frame);
		event.process.pid = i;
		assert_true(findings_take(findings, &event));
	}
	assert_int_equal(seen.repeats, 1);
	assert_int_equal(seen.last.number, 1);
	assert_int_equal(seen.last.count, 2);
	findings_free(findings);
}

/* For logs, of which the count is right whenever they end. */
static void test_each_occurrence(void **state)
{
	struct seen seen = {0};
	struct findings *findings = findings_new(true, on_event, &seen);
	struct event event = make(frame);

	(void)state;
	for (int i = 0; i < 25; i++) {
		event.type = EVENT_FINDING;
		findings_take(findings, &event);
		assert_int_equal(seen.again, i);
	}
	assert_int_equal(seen.findings, 1);
	assert_int_equal(seen.repeats, 1);
	findings_free(findings);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_differs),
		cmocka_unit_test(test_counts),
		cmocka_unit_test(test_half),
		cmocka_unit_test(test_room),
		cmocka_unit_test(test_each_occurrence),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
