// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * user/model/advice: which advice a finding gets. That each holds is what tests/e2e/test_advice.py
 * tries.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "model/advice.h"

#define ON  GW_STATE_GRAD
#define OFF 0

static struct event_finding scope(enum trace_kind kind, uint8_t from, uint8_t to, uint8_t began)
{
	return (struct event_finding){
		.kind = kind,
		.category = FINDING_SCOPE,
		.from = from,
		.to = to,
		.began = began,
		.operators = 1,
	};
}

static enum advice make_fx(uint8_t from, uint8_t to, uint8_t began, const struct advice_case *at)
{
	struct event_finding finding = scope(TRACE_KIND_MAKE_FX, from, to, began);

	return advice_for(&finding, at);
}

static void test_make_fx(void **state)
{
	const struct advice_case user = {.role.kind = CHANGE_ENTER}, mixed = {.mixed = true};
	const struct advice_case torch = {.maker = MAKER_TORCH}, native = {.maker = MAKER_NATIVE};
	const struct advice_case leave = {.role.kind = CHANGE_LEAVE}, bare = {0};

	(void)state;
	assert_int_equal(make_fx(ON, OFF, ON, &user), ADVICE_PRE_DISPATCH_OR_NO_GRAD);
	assert_int_equal(make_fx(ON, OFF, GW_STATE_UNKNOWN, &user), ADVICE_PRE_DISPATCH_OR_NO_GRAD);
	/* Of bare calls it is not known there which ones are pairs. */
	assert_int_equal(make_fx(OFF, ON, GW_STATE_UNKNOWN, &bare), ADVICE_NONE);
	assert_int_equal(make_fx(ON, OFF, ON, &bare), ADVICE_PRE_DISPATCH_OR_NO_GRAD);
	/* around a whole training step it would raise */
	assert_int_equal(make_fx(ON, OFF, ON, &mixed), ADVICE_PRE_DISPATCH);
	assert_int_equal(make_fx(OFF, ON, OFF, &user), ADVICE_ENABLE_GRAD);
	assert_int_equal(make_fx(OFF, ON, OFF, &torch), ADVICE_ENABLE_GRAD);
	/* nested: the trace is in that mode already */
	assert_int_equal(make_fx(OFF, ON, ON, &user), ADVICE_PRE_DISPATCH);
	assert_int_equal(make_fx(ON, OFF, OFF, &user), ADVICE_PRE_DISPATCH);
	/* whose block would that be? */
	assert_int_equal(make_fx(ON, OFF, ON, &torch), ADVICE_PRE_DISPATCH);
	assert_int_equal(make_fx(ON, OFF, ON, &native), ADVICE_NONE);
	assert_int_equal(make_fx(OFF, ON, OFF, &leave), ADVICE_NONE);
}

static void test_kinds(void **state)
{
	static const struct {
		enum trace_kind kind;
		enum advice off, on; /* to off in a trace that began on, and the other way */
	} expected[] = {
		{TRACE_KIND_EXPORT, ADVICE_EXPORT, ADVICE_EXPORT},
		{TRACE_KIND_DECOMPOSE, ADVICE_NONE, ADVICE_NONE},
		{TRACE_KIND_COMPILE, ADVICE_COMPILE, ADVICE_COMPILE},
		{TRACE_KIND_PRE_DISPATCH, ADVICE_RECORDED, ADVICE_RECORDED},
		{TRACE_KIND_OTHER, ADVICE_NO_GRAD, ADVICE_ENABLE_GRAD},
		{TRACE_KIND_UNKNOWN, ADVICE_NO_GRAD, ADVICE_ENABLE_GRAD},
	};
	const struct advice_case at = {.role.kind = CHANGE_ENTER};

	(void)state;
	for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
		struct event_finding off = scope(expected[i].kind, ON, OFF, ON);
		struct event_finding on = scope(expected[i].kind, OFF, ON, OFF);

		assert_int_equal(advice_for(&off, &at), expected[i].off);
		assert_int_equal(advice_for(&on, &at), expected[i].on);
	}
}

static void test_drift(void **state)
{
	const struct advice_case at = {0}, mixed = {.mixed = true};
	struct event_finding finding = scope(TRACE_KIND_MAKE_FX, ON, GW_STATE_INFERENCE, ON);

	(void)state;
	finding.category = FINDING_DRIFT;
	assert_int_equal(advice_for(&finding, &at), ADVICE_INFERENCE);
	assert_int_equal(advice_for(&finding, &mixed), ADVICE_INFERENCE_TRUE);
	finding.from = GW_STATE_INFERENCE;
	finding.to = ON;
	assert_int_equal(advice_for(&finding, &at), ADVICE_NONE);
	finding.began = GW_STATE_INFERENCE;
	assert_int_equal(advice_for(&finding, &at), ADVICE_NO_INFERENCE);
	finding.from = OFF; /* inference_mode(False) under no_grad() */
	assert_int_equal(advice_for(&finding, &at), ADVICE_INFERENCE_FALSE);
	finding.from = ON; /* nothing is known to do that but C++ code */
	finding.to = OFF;
	assert_int_equal(advice_for(&finding, &at), ADVICE_NONE);
}

static void test_others(void **state)
{
	const struct advice_case at = {0};
	struct event_finding finding = scope(TRACE_KIND_MAKE_FX, ON, OFF, ON);

	(void)state;
	finding.operators = 0; /* no graph is affected */
	assert_int_equal(advice_for(&finding, &at), ADVICE_NONE);
	finding.category = FINDING_UNBALANCED;
	assert_int_equal(advice_for(&finding, &at), ADVICE_BALANCE);
	finding.kind = TRACE_KIND_EXPORT;
	assert_int_equal(advice_for(&finding, &at), ADVICE_EXPORT);
	finding.owner = OWNER_AUTOGRAD;
	assert_int_equal(advice_for(&finding, &at), ADVICE_NOTHING);
	finding = scope(TRACE_KIND_PRE_DISPATCH, ON, OFF, ON);
	assert_int_equal(advice_for(&finding, &at), ADVICE_RECORDED);
	assert_int_equal(advice_for(&finding, &(struct advice_case){.region = true}),
			 ADVICE_REGION);
}

/* Text and JSON say the same: one has words where the other has a key. */
static void test_words(void **state)
{
	(void)state;
	assert_null(advice_key(ADVICE_NONE));
	assert_null(advice_text(ADVICE_NONE));
	assert_null(advice_key(ADVICE_MAX));
	for (unsigned int i = ADVICE_NONE + 1; i < ADVICE_MAX; i++) {
		assert_non_null(advice_key(i));
		assert_non_null(advice_text(i));
		for (unsigned int k = i + 1; k < ADVICE_MAX; k++)
			assert_string_not_equal(advice_key(i), advice_key(k));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_make_fx), cmocka_unit_test(test_kinds),
		cmocka_unit_test(test_drift),   cmocka_unit_test(test_others),
		cmocka_unit_test(test_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
