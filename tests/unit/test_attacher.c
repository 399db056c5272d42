// SPDX-License-Identifier: GPL-2.0-or-later
/* user/watch/attacher: in which order files are probed, and what becomes of those that are not. */
#include <errno.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/clock.h"
#include "inspect/machine.h"
#include "watch/attacher.h"

#define MAX_FILES  64
#define ONE_USER   1000u
#define OTHER_USER 2000u

/* In place of the probes: what was asked for, in this order. */
static uint32_t opened[MAX_FILES];
static unsigned int opened_count, closed_count, closings;
static sem_t may_open, has_opened;
static struct probes *const some_probes = (struct probes *)&opened;

int probes_open(struct probes **probes, struct plans *plans, const struct inspect_plan *plan,
		uint32_t file_id, int fd, unsigned int *placed, struct err *err)
{
	(void)plans;
	(void)plan;
	(void)fd;
	(void)err;
	sem_wait(&may_open);
	opened[opened_count++] = file_id;
	*placed = 1;
	*probes = some_probes;
	sem_post(&has_opened);
	return 0;
}

void probes_close(struct probes *probes)
{
	closings += probes != NULL;
	closed_count += probes != NULL;
}

bool probes_close_next(struct probes *probes)
{
	probes_close(probes);
	return false;
}

void probes_queue_add(struct probes_queue *queue, struct probes *probes)
{
	queue->first = probes;
	queue->count++;
}

struct probes *probes_queue_take(struct probes_queue *queue)
{
	return queue->count-- ? queue->first : NULL;
}

void probes_close_all(struct probes_queue *queue)
{
	closings += queue->count != 0;
	closed_count += (unsigned int)queue->count;
	queue->count = 0;
}

bool plans_use_perf_events(const struct plans *plans)
{
	(void)plans;
	return false;
}

static struct attacher *attacher;

static void add(uint32_t file_id, uint32_t uid)
{
	struct attach_job *job = calloc(1, sizeof(*job));

	assert_non_null(job);
	job->file_id = file_id;
	job->work.uid = uid;
	job->fd = -1;
	job->inspected = true;
	job->inspection.plan.machine = inspect_own_machine();
	attacher_add(attacher, job);
}

static void let_open(unsigned int count)
{
	for (unsigned int i = 0; i < count; i++) {
		sem_post(&may_open);
		sem_wait(&has_opened);
	}
}

static int start(void **state)
{
	(void)state;
	opened_count = closed_count = closings = 0;
	sem_init(&may_open, 0, 0);
	sem_init(&has_opened, 0, 0);
	attacher = attacher_new(NULL);
	return attacher ? 0 : -1;
}

static unsigned int place_of(uint32_t file_id)
{
	for (unsigned int i = 0; i < opened_count; i++)
		if (opened[i] == file_id)
			return i;
	return MAX_FILES;
}

/* Many files of one user, the first of which is under way, do not keep another's waiting. */
static void test_users_take_turns(void **state)
{
	enum { MANY = 40 };
	struct attach_job *job;

	(void)state;
	for (uint32_t i = 0; i < MANY; i++)
		add(i, ONE_USER);
	add(100, OTHER_USER);
	add(101, OTHER_USER);
	add(200, 0);
	let_open(MANY + 3);
	assert_true(place_of(100) <= 3 && place_of(200) <= 3);
	assert_true(place_of(101) <= 5);
	for (uint32_t i = 1; i < MANY; i++)
		assert_true(place_of(i - 1) < place_of(i));
	for (unsigned int taken = 0; taken < MANY + 3;) {
		job = attacher_next(attacher);
		taken += job != NULL;
		attacher_drop(attacher, job);
	}
	attacher_free(attacher);
	assert_int_equal(closed_count, MANY + 3);
}

static void test_busy(void **state)
{
	uint64_t before = clock_monotonic(), between;
	struct attach_job *job;

	(void)state;
	assert_false(attacher_is_busy(attacher, UINT64_MAX));
	add(1, ONE_USER);
	between = clock_monotonic();
	add(2, ONE_USER);
	assert_false(attacher_is_busy(attacher, before));
	assert_true(attacher_is_busy(attacher, between));
	let_open(1);
	while (!(job = attacher_next(attacher)))
		assert_true(attacher_is_busy(attacher, between)); /* done, but not taken */
	attacher_drop(attacher, job);
	assert_false(attacher_is_busy(attacher, between));
	assert_true(attacher_is_busy(attacher, clock_monotonic()));
	let_open(1);
	attacher_free(attacher);
}

/* What was done and not taken is removed at once; what was not begun is dropped. */
static void test_stopped(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < 20; i++)
		add(i, ONE_USER);
	let_open(10);
	attacher_stop(attacher);
	add(50, ONE_USER);
	sem_post(&may_open); /* one may be under way */
	attacher_free(attacher);
	assert_in_range(opened_count, 10, 11);
	assert_int_equal(closed_count, opened_count);
	assert_int_equal(closings, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_users_take_turns, start),
		cmocka_unit_test_setup(test_busy, start),
		cmocka_unit_test_setup(test_stopped, start),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
