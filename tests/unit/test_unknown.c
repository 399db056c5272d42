// SPDX-License-Identifier: GPL-2.0-or-later
/* user/cli/unknown: what makes a silent run prove nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "cli/unknown.h"

static struct event_totals clean;
static char reason[256];

static bool is_unknown(const struct event_totals *totals, uint64_t skipped, uint64_t too_late,
		       uint64_t lost_output)
{
	const struct unknown_facts facts = {totals, skipped, too_late, lost_output};

	return unknown_reason(&facts, reason, sizeof(reason));
}

static int reset(void **state)
{
	(void)state;
	clean = (struct event_totals){.coverage.probed = 1};
	clean.counter[GW_HITS] = 10;
	clean.counter[GW_OUTSIDE] = 7;
	clean.counter[GW_FILTERED] = 2;
	clean.counter[GW_REDUNDANT] = 1;
	return 0;
}

static void test_clean(void **state)
{
	(void)state;
	assert_false(is_unknown(&clean, 0, 0, 0));
	assert_string_equal(reason, "");
	/* What was seen and judged is known, and a name is not needed for it. */
	clean.counter[GW_REPORTED] = 3;
	clean.counter[GW_HITS] += 3;
	clean.counter[GW_DRIFTS] = 2;
	clean.counter[GW_NAMES_LOST] = 2;
	clean.violations = 3;
	assert_false(is_unknown(&clean, 0, 0, 0));
}

static void test_each_fact(void **state)
{
	(void)state;
	clean.coverage.unarmed = 1;
	assert_true(is_unknown(&clean, 0, 0, 0));
	assert_non_null(strstr(reason, "before all that was mapped at the start was probed"));
	reset(state);
	assert_true(is_unknown(&clean, 2, 0, 0));
	assert_string_equal(reason, "libtorch files skipped: 2");
	assert_true(is_unknown(&clean, 0, 1, 0));
	assert_non_null(strstr(reason, "before the probes were in place: 1"));
	assert_true(is_unknown(&clean, 0, 0, 3));
	assert_string_equal(reason, "lines of output lost: 3");
	clean.lost = 1;
	assert_true(is_unknown(&clean, 0, 0, 0));
	assert_string_equal(reason, "changes lost: 1");
	reset(state);
	clean.coverage.bad_records = 1;
	assert_true(is_unknown(&clean, 0, 0, 0));
	reset(state);
	clean.coverage.missed = 1;
	assert_true(is_unknown(&clean, 0, 0, 0));
	reset(state);
	clean.coverage.mappings_lost = 5;
	assert_true(is_unknown(&clean, 0, 0, 0));
	assert_string_equal(reason, "records of new mappings lost: 5");
	reset(state);
	clean.coverage.refused = 6;
	assert_true(is_unknown(&clean, 0, 0, 0));
	assert_string_equal(reason, "times that a process did not fit into the registry: 6");
	reset(state);
	clean.coverage.files_refused = 7;
	assert_true(is_unknown(&clean, 0, 0, 0));
	assert_string_equal(reason, "times that a file did not fit into the registry: 7");
	reset(state);
	clean.coverage.probed = 0;
	assert_true(is_unknown(&clean, 1, 0, 0));
	assert_string_equal(reason, "no libtorch was watched; libtorch files skipped: 1");
	reset(state);
	clean.counter[GW_HITS]++;
	assert_true(is_unknown(&clean, 0, 0, 0));
	assert_non_null(strstr(reason, "ledger"));
}

/* Every counter of something that was not seen or not judged; a new one has to be decided here. */
static void test_each_counter(void **state)
{
	(void)state;
	for (int i = GW_THROTTLED; i < GW_COUNTER_MAX; i++) {
		bool harmless = i == GW_DRIFTS || i == GW_NAMES_LOST || i == GW_DECISIONS_FULL ||
				i == GW_FORKS_LOST;

		reset(state);
		clean.counter[i] = 4;
		if (i == GW_THROTTLED)
			clean.counter[GW_HITS] += 4;
		assert_int_equal(is_unknown(&clean, 0, 0, 0), !harmless);
		assert_int_equal(strstr(reason, ": 4") != NULL, !harmless);
	}
}

/* All at once: cut, and ended. */
static void test_long(void **state)
{
	(void)state;
	for (int i = 0; i < GW_COUNTER_MAX; i++)
		clean.counter[i] = UINT64_MAX - 1;
	clean.coverage.probed = 0;
	memset(reason, 'x', sizeof(reason));
	assert_true(is_unknown(&clean, 1, 1, 1));
	assert_int_equal(strlen(reason), sizeof(reason) - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_clean, reset),
		cmocka_unit_test_setup(test_each_fact, reset),
		cmocka_unit_test_setup(test_each_counter, reset),
		cmocka_unit_test_setup(test_long, reset),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
