// SPDX-License-Identifier: GPL-2.0-or-later
/* user/watch/arrivals: to look at all processes of a host takes many short turns. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/clock.h"
#include "watch/arrivals.h"

#define BUDGET_NS 3000000ull
#define LOOK_NS   2000000l
#define MAX_TURNS 100000

static unsigned int looks, own_looks, unreadable;
static int result;

int discover_process(struct discover *discover, uint32_t pid, uint64_t mapped_at)
{
	(void)discover;
	(void)mapped_at;
	looks++;
	own_looks += pid == (uint32_t)getpid();
	nanosleep(&(struct timespec){.tv_nsec = LOOK_NS}, NULL);
	return pid == (uint32_t)getpid() ? result : 0;
}

void discover_failed(struct discover *discover, uint32_t pid, int code)
{
	(void)discover;
	(void)pid;
	(void)code;
	unreadable++;
}

static int reset(void **state)
{
	(void)state;
	looks = own_looks = unreadable = 0;
	result = 0;
	return 0;
}

/* Turns until nothing is left; a turn looks at no more than fit into its time, and at least one. */
static unsigned int run(struct arrivals *arrivals)
{
	unsigned int turns = 0, before;

	do {
		before = looks;
		assert_true(turns++ < MAX_TURNS);
	} while (arrivals_look(arrivals, NULL, BUDGET_NS) && looks - before <= 2);
	assert_true(looks - before <= 2);
	return turns;
}

static void test_all_in_parts(void **state)
{
	struct arrivals arrivals = {0};
	unsigned int first;

	(void)state;
	arrivals_lost(&arrivals);
	assert_true(run(&arrivals) > 1);
	assert_int_equal(own_looks, 1);
	/* Lost again, at once: not before some time has passed. */
	first = looks;
	arrivals_lost(&arrivals);
	assert_false(arrivals_look(&arrivals, NULL, BUDGET_NS));
	assert_int_equal(looks, first);
	arrivals.again = 0;
	run(&arrivals);
	assert_int_equal(own_looks, 2);
}

/* A process that has told of a mapping is looked at before the others. */
static void test_first_who_waits(void **state)
{
	struct arrivals arrivals = {0};

	(void)state;
	arrivals_lost(&arrivals);
	assert_true(arrivals_look(&arrivals, NULL, BUDGET_NS));
	own_looks = 0;
	arrivals_add(&arrivals, (uint32_t)getpid(), 1);
	arrivals_look(&arrivals, NULL, BUDGET_NS);
	assert_int_equal(own_looks, 1);
	run(&arrivals);
}

static void test_tried_again(void **state)
{
	struct arrivals arrivals = {0};

	(void)state;
	result = -EMFILE;
	arrivals_all(&arrivals, NULL);
	assert_int_equal(arrivals.count, 1);
	result = 0;
	run(&arrivals);
	assert_int_equal(own_looks, 2);
	assert_int_equal(arrivals.count, 0);
	assert_int_equal(unreadable, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_all_in_parts, reset),
		cmocka_unit_test_setup(test_first_who_waits, reset),
		cmocka_unit_test_setup(test_tried_again, reset),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
