// SPDX-License-Identifier: GPL-2.0-or-later
/* user/watch/arrivals: who is looked at, when, and that nobody waits for another for long. */
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

#define BUDGET_NS  3000000ull
#define LOOK_NS    2000000l
#define PER_TURN   3 /* at most: within the budget, one that is tried again, one of all */
#define MAX_TURNS  100000
#define NO_PROCESS 0x40000000u /* ids from here on are of none */
#define ONE_USER   1000u
#define OTHER_USER 2000u

static unsigned int looks, own_looks, unreadable;
static int result;           /* of the own process */
static uint32_t failing;     /* processes from this id on fail, 0: none */
static uint32_t looked[512]; /* at which, in this order */

int discover_process(struct discover *discover, uint32_t pid, uint64_t mapped_at)
{
	(void)discover;
	(void)mapped_at;
	looked[looks++ % 512] = pid;
	own_looks += pid == (uint32_t)getpid();
	nanosleep(&(struct timespec){.tv_nsec = LOOK_NS}, NULL);
	if (failing && pid >= failing)
		return -EMFILE;
	return pid == (uint32_t)getpid() ? result : 0;
}

void discover_failed(struct discover *discover, uint32_t pid, int code)
{
	(void)discover;
	(void)pid;
	(void)code;
	unreadable++;
}

static struct arrivals arrivals;

static int reset(void **state)
{
	(void)state;
	looks = own_looks = unreadable = failing = 0;
	result = 0;
	memset(&arrivals, 0, sizeof(arrivals));
	memset(looked, 0, sizeof(looked));
	return 0;
}

static bool turn(void)
{
	unsigned int before = looks;
	bool more = arrivals_look(&arrivals, NULL, BUDGET_NS);

	assert_true(looks - before <= PER_TURN);
	return more;
}

/* Turns until nothing is left. */
static unsigned int run(void)
{
	unsigned int turns = 1;

	while (turn())
		assert_true(turns++ < MAX_TURNS);
	return turns;
}

static void add(uint32_t first, unsigned int count, uint32_t uid)
{
	for (unsigned int i = 0; i < count; i++)
		arrivals_add(&arrivals, first + i, uid, 1);
}

/* After how many looks a process was looked at, 0: it was not. */
static unsigned int place_of(uint32_t pid)
{
	for (unsigned int i = 0; i < looks && i < 512; i++)
		if (looked[i] == pid)
			return i + 1;
	return 0;
}

static void test_all_in_parts(void **state)
{
	unsigned int first;

	(void)state;
	arrivals_lost(&arrivals);
	assert_true(run() > 1);
	assert_int_equal(own_looks, 1);
	/* Lost again, at once: not before some time has passed. */
	first = looks;
	arrivals_lost(&arrivals);
	assert_false(turn());
	assert_int_equal(looks, first);
	assert_int_equal(arrivals_next_time(&arrivals), arrivals.again);
	arrivals.again = 0;
	run();
	assert_int_equal(own_looks, 2);
	assert_int_equal(arrivals_next_time(&arrivals), 0);
}

/* A process that has told of a mapping is looked at before the others. */
static void test_first_who_waits(void **state)
{
	(void)state;
	arrivals_lost(&arrivals);
	assert_true(turn());
	own_looks = 0;
	arrivals_add(&arrivals, (uint32_t)getpid(), 0, 1);
	turn();
	assert_int_equal(own_looks, 1);
	run();
}

static void test_tried_again(void **state)
{
	(void)state;
	result = -EMFILE;
	arrivals_all(&arrivals);
	run();
	assert_int_equal(arrivals.retries.count, 1);
	assert_int_equal(arrivals_next_time(&arrivals), arrivals.retries.item[0].after);
	assert_true(arrivals.retries.item[0].after > clock_monotonic());
	result = 0;
	arrivals.retries.item[0].after = 0;
	run();
	assert_int_equal(own_looks, 2);
	assert_int_equal(arrivals.retries.count, 0);
	assert_int_equal(unreadable, 0);
}

/* It is told of once, and its place is not a new one's. */
static void test_told_once(void **state)
{
	(void)state;
	failing = NO_PROCESS;
	add(NO_PROCESS, 1, ONE_USER);
	for (int i = 0; i < 10; i++) {
		run();
		assert_int_equal(arrivals.retries.count, 1);
		arrivals.retries.item[0].after = 0;
	}
	assert_int_equal(unreadable, 1);
	/* With something new it is looked at like the others. */
	arrivals.retries.item[0].after = UINT64_MAX;
	add(NO_PROCESS, 1, ONE_USER);
	assert_int_equal(arrivals.retries.count, 0);
	assert_int_equal(arrivals.waiting.count, 1);
	assert_int_equal(arrivals.waiting.item[0].tries, 10);
}

/* Hundreds that cannot be watched do not stand before one that can. */
static void test_new_before_retries(void **state)
{
	enum { MANY = 300 };

	(void)state;
	failing = NO_PROCESS + 1;
	add(NO_PROCESS + 1, MANY, ONE_USER);
	run();
	assert_int_equal(arrivals.retries.count, MANY);
	for (unsigned int i = 0; i < MANY; i++)
		arrivals.retries.item[i].after = 0;
	looks = 0;
	add(NO_PROCESS, 1, ONE_USER);
	turn();
	assert_int_equal(place_of(NO_PROCESS), 1);
}

/* And they are tried, and all are looked at, though there is a new one in every turn. */
static void test_nobody_starves(void **state)
{
	unsigned int turns = 0, unlucky = 0;

	(void)state;
	failing = NO_PROCESS;
	add(NO_PROCESS, 5, ONE_USER);
	run();
	for (unsigned int i = 0; i < 5; i++)
		arrivals.retries.item[i].after = 0;
	failing = 0;
	arrivals_all(&arrivals);
	while (arrivals.scanning || arrivals.retries.count) {
		add(NO_PROCESS + 100 + 4 * turns, 4, ONE_USER); /* more than fit into a turn */
		arrivals.waiting.count = arrivals.waiting.count > 100 ? 100
								      : arrivals.waiting.count;
		unlucky += !arrivals_look(&arrivals, NULL, BUDGET_NS);
		assert_true(turns++ < MAX_TURNS);
	}
	assert_int_equal(unlucky, 0);
	assert_int_equal(own_looks, 1);
}

/* One user's hundreds of processes do not delay another's: they take turns. */
static void test_users_take_turns(void **state)
{
	(void)state;
	add(NO_PROCESS, 256, ONE_USER);
	add(NO_PROCESS + 1000, 3, OTHER_USER);
	add(NO_PROCESS + 2000, 1, 0);
	run();
	assert_int_equal(looks, 260);
	assert_true(place_of(NO_PROCESS + 2000) <= 3);
	assert_true(place_of(NO_PROCESS + 1000) <= 3);
	assert_true(place_of(NO_PROCESS + 1001) <= 5);
	assert_true(place_of(NO_PROCESS + 1002) <= 7);
	/* A user's own ones in the order in which they came. */
	for (uint32_t i = 1; i < 256; i++)
		assert_true(place_of(NO_PROCESS + i - 1) < place_of(NO_PROCESS + i));
}

/* Nor do they take all the places; those that find none are found by a look at all. */
static void test_bounded(void **state)
{
	(void)state;
	add(NO_PROCESS, 5 * ARRIVALS_MAX, ONE_USER);
	assert_int_equal(arrivals.waiting.count, ARRIVALS_PER_USER);
	assert_true(arrivals.lost);
	arrivals.lost = false;
	add(NO_PROCESS + 10 * ARRIVALS_MAX, 1, OTHER_USER);
	assert_int_equal(arrivals.waiting.count, ARRIVALS_PER_USER + 1);
	assert_false(arrivals.lost);
	for (uint32_t uid = 0; uid < 5; uid++)
		add(NO_PROCESS + (11 + uid) * ARRIVALS_MAX, ARRIVALS_MAX, uid);
	assert_int_equal(arrivals.waiting.count, ARRIVALS_MAX);
	assert_true(arrivals.lost);
}

static void test_child(void **state)
{
	(void)state;
	add(NO_PROCESS, 1, ONE_USER);
	arrivals_fork(&arrivals, NO_PROCESS, NO_PROCESS + 1);
	arrivals_fork(&arrivals, NO_PROCESS + 7, NO_PROCESS + 8); /* nobody waits for that */
	assert_int_equal(arrivals.waiting.count, 2);
	assert_int_equal(arrivals.waiting.item[1].pid, NO_PROCESS + 1);
	assert_int_equal(arrivals.waiting.item[1].uid, ONE_USER);
	assert_int_equal(arrivals.waiting.item[1].time, 1);
}

/* What arrives later does not count. */
static void test_wait(void **state)
{
	(void)state;
	assert_false(arrivals_wait(&arrivals, 100));
	arrivals_add(&arrivals, NO_PROCESS, 0, 101);
	assert_false(arrivals_wait(&arrivals, 100));
	arrivals_add(&arrivals, NO_PROCESS + 1, 0, 0); /* unknown: before */
	assert_true(arrivals_wait(&arrivals, 100));
	run();
	assert_false(arrivals_wait(&arrivals, 100));
	arrivals_all(&arrivals);
	assert_true(arrivals_wait(&arrivals, 100));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_all_in_parts, reset),
		cmocka_unit_test_setup(test_first_who_waits, reset),
		cmocka_unit_test_setup(test_tried_again, reset),
		cmocka_unit_test_setup(test_told_once, reset),
		cmocka_unit_test_setup(test_new_before_retries, reset),
		cmocka_unit_test_setup(test_nobody_starves, reset),
		cmocka_unit_test_setup(test_users_take_turns, reset),
		cmocka_unit_test_setup(test_bounded, reset),
		cmocka_unit_test_setup(test_child, reset),
		cmocka_unit_test_setup(test_wait, reset),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
