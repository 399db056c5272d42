// SPDX-License-Identifier: GPL-2.0-or-later
/* base/clock and outputs: the clock of UTC is set while gradwatch runs. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/clock.h"
#include "cli/outputs.h"

#define NS_PER_SEC 1000000000ll
#define HOUR       (3600 * NS_PER_SEC)
#define NEAR       (NS_PER_SEC / 2) /* of a busy machine */

static int64_t shift; /* of the clock of UTC */
static unsigned int readings;

/* In place of the C library's. */
int clock_gettime(clockid_t id, struct timespec *time)
{
	int code = (int)syscall(SYS_clock_gettime, id, time);
	int64_t ns = time->tv_sec * NS_PER_SEC + time->tv_nsec;

	readings++;
	if (id == CLOCK_REALTIME)
		ns += shift;
	time->tv_sec = ns / NS_PER_SEC;
	time->tv_nsec = ns % NS_PER_SEC;
	return code;
}

static void test_between(void **state)
{
	(void)state;
	assert_int_equal(clock_between(5, 7), 2);
	assert_int_equal(clock_between(5, 5), 0);
	assert_int_equal(clock_between(7, 5), 0);
	assert_int_equal(clock_between(0, UINT64_MAX), UINT64_MAX);
	assert_int_equal(clock_between(UINT64_MAX, 0), 0);
}

static int reset(void **state)
{
	(void)state;
	shift = 0;
	return 0;
}

static void assert_near(int64_t a, int64_t b)
{
	assert_true(a - b < NEAR && b - a < NEAR);
}

static void test_steps_are_followed(void **state)
{
	const int64_t steps[] = {HOUR, -HOUR, 5000000, -5000000};
	int64_t first = clock_utc_offset(), offset = first;

	(void)state;
	for (int i = 0; i < 4; i++) {
		int64_t before;

		shift = 0;
		clock_follow_utc(&offset);
		before = offset;
		shift = steps[i];
		clock_follow_utc(&offset);
		assert_near(offset - before, steps[i]);
		assert_int_not_equal(offset, before);
	}
}

/* Times of events must not go to and fro by what measuring costs. */
static void test_it_is_still_without_a_step(void **state)
{
	int64_t offset = clock_utc_offset();
	unsigned int same = 0, before = readings;

	(void)state;
	for (int i = 0; i < 1000; i++) {
		int64_t was = offset;

		clock_follow_utc(&offset);
		same += offset == was;
	}
	assert_in_range(same, 900, 1000); /* another process may run between two readings */
	assert_in_range(readings - before, 2000, 2000 + 100 * 24);
}

/* Seconds since 1970 of the n-th line's time. */
static int64_t time_of_line(const char *path, int number)
{
	FILE *file = fopen(path, "r");
	struct tm tm = {0};
	char line[4096];

	assert_non_null(file);
	while (number-- >= 0)
		assert_non_null(fgets(line, sizeof(line), file));
	fclose(file);
	assert_non_null(strptime(strstr(line, "\"time\":\"") + 8, "%Y-%m-%dT%H:%M:%S", &tm));
	return timegm(&tm);
}

static void test_outputs(void **state)
{
	char path[] = "/tmp/gradwatch-clock-XXXXXX";
	struct options options = {.output_path = path, .json = true};
	struct event event = {.type = EVENT_LOST};
	struct outputs outputs;
	struct err err;
	int64_t between;

	(void)state;
	close(mkstemp(path));
	assert_int_equal(outputs_open(&outputs, &options, &err), 0);
	assert_int_equal(outputs_start(&outputs, &err), 0);
	event.time = clock_monotonic();
	outputs_event(&outputs, &event);
	shift = HOUR;
	event.time = clock_monotonic();
	outputs_event(&outputs, &event);
	outputs_finish(&outputs, true);
	outputs_close(&outputs);
	between = time_of_line(path, 1) - time_of_line(path, 0);
	assert_in_range(between, 3600, 3610);
	unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_between),
		cmocka_unit_test_setup(test_steps_are_followed, reset),
		cmocka_unit_test_setup(test_it_is_still_without_a_step, reset),
		cmocka_unit_test_setup(test_outputs, reset),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
