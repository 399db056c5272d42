// SPDX-License-Identifier: GPL-2.0-or-later
/* user/watch/relay: which signals the command has not got by itself. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "watch/relay.h"

#define SIGNAL 15
#define NOW    1000000000000ull
#define DUE    (NOW + RELAY_NS)

static struct gw_signals signals;
static struct relay relay;

static int reset(void **state)
{
	(void)state;
	signals = (struct gw_signals){.own_pid = 10, .command_pid = 11};
	relay = (struct relay){.signals = &signals};
	return 0;
}

static void send_own(uint64_t time, uint32_t sender)
{
	signals.own[SIGNAL] = (struct gw_sent){.time = time, .sender = sender};
	relay_take(&relay, SIGNAL, time);
}

static void send_command(uint64_t time, uint32_t sender)
{
	signals.command[SIGNAL] = (struct gw_sent){.time = time, .sender = sender};
}

static void test_none(void **state)
{
	(void)state;
	assert_int_equal(relay_due(&relay), 0);
	assert_int_equal(relay_next(&relay, NOW), 0);
}

/* Once, and not before it can be known. */
static void test_alone(void **state)
{
	(void)state;
	send_own(NOW, 5);
	assert_int_equal(relay_next(&relay, NOW), 0);
	assert_int_equal(relay_due(&relay), DUE);
	assert_int_equal(relay_next(&relay, DUE), SIGNAL);
	assert_int_equal(relay_next(&relay, DUE), 0);
	assert_int_equal(relay_due(&relay), 0);
}

/* One after the other, in any order. */
static void test_both(void **state)
{
	(void)state;
	send_command(NOW - 1000, 5);
	send_own(NOW, 5);
	assert_int_equal(relay_next(&relay, DUE), 0);
	send_own(2 * NOW, 5);
	send_command(2 * NOW + 1000, 5);
	assert_int_equal(relay_next(&relay, 3 * NOW), 0);
	assert_int_equal(relay_due(&relay), 0);
}

/* What the command has got was something else. */
static void test_another(void **state)
{
	(void)state;
	send_command(NOW - 1000, 6); /* from somebody else */
	send_own(NOW, 5);
	assert_int_equal(relay_next(&relay, DUE), SIGNAL);
	send_command(2 * NOW - RELAY_NS, 5); /* long before */
	send_own(2 * NOW, 5);
	assert_int_equal(relay_next(&relay, 2 * NOW + RELAY_NS), SIGNAL);
	signals.command[SIGNAL + 1] = (struct gw_sent){.time = 3 * NOW, .sender = 5};
	send_own(3 * NOW, 5); /* another number */
	assert_int_equal(relay_next(&relay, 3 * NOW + RELAY_NS), SIGNAL);
}

/* A number that is not kept is no index. */
static void test_real_time_signal(void **state)
{
	(void)state;
	relay_take(&relay, 64, NOW);
	assert_int_equal(relay_due(&relay), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_none, reset),
		cmocka_unit_test_setup(test_alone, reset),
		cmocka_unit_test_setup(test_both, reset),
		cmocka_unit_test_setup(test_another, reset),
		cmocka_unit_test_setup(test_real_time_signal, reset),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
