// SPDX-License-Identifier: GPL-2.0-or-later
/* user/enforce/pending: what is told of a signal, however the clock was read. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>
#include <cmocka.h>

#include "enforce/holds.h"
#include "enforce/pending.h"
#include "target/procfs.h"

struct told {
	unsigned int count;
	enum action_outcome outcome;
	uint64_t duration_ns;
	bool file_cut, function_cut, line;
};

static bool ran_on(void *context, uint32_t tid, uint64_t asked)
{
	(void)context;
	(void)tid;
	(void)asked;
	return true;
}

static void note(struct told *told, const struct event *event)
{
	told->count++;
	told->outcome = event->action.outcome;
	told->duration_ns = event->action.duration_ns;
	told->file_cut = event->stack.frame[0].file_cut;
	told->function_cut = event->stack.frame[0].function_cut;
	told->line = event->stack.frame[0].line == 12;
	assert_null(event->stack.origin); /* it was the sender's */
}

static void on_decided(void *context, const struct target *target, struct event *event)
{
	assert_int_equal(target->pid, getpid());
	note(context, event);
}

static struct target make_target(void)
{
	struct target target = {.pid = getpid(), .pidfd = -1};

	assert_int_equal(procfs_start_time(getpid(), &target.start_time), 0);
	return target;
}

static struct event make_event(bool cut)
{
	static struct event_frame frame;
	static struct event_origin origin;
	struct event event = {.type = EVENT_ACTION};

	frame = (struct event_frame){.file = "a.py", .function = "f", .line = 12};
	frame.file_cut = cut;
	frame.function_cut = !cut;
	event.process.tid = (uint32_t)getpid();
	event.action.signal = SIGUSR1;
	event.stack.count = 1;
	event.stack.frame = &frame;
	event.stack.origin = &origin;
	return event;
}

/* now: relative to when the signal was sent; a signal sent within a look is later than the look. */
static void check_signal(int now, uint64_t duration, bool cut)
{
	struct told told = {0};
	const struct pending_rules rules = {ran_on, on_decided, &told};
	struct pending *pending = pending_new(&rules);
	const struct target target = make_target();
	const struct event event = make_event(cut);

	assert_non_null(pending);
	assert_int_equal(pending_add(pending, &target, &event, 1, 1000), 0);
	pending_tick(pending, (uint64_t)(1000 + now));
	assert_int_equal(told.count, 1);
	assert_int_equal(told.outcome, ACTION_TOO_LATE);
	assert_int_equal(told.duration_ns, duration);
	assert_int_equal(told.file_cut, cut);
	assert_int_equal(told.function_cut, !cut);
	assert_true(told.line);
	pending_free(pending);
}

static void test_signals(void **state)
{
	(void)state;
	check_signal(500, 500, false);
	check_signal(0, 0, true);
	check_signal(-500, 0, true);
}

static void on_let_go(void *context, struct event *event)
{
	note(context, event);
}

/*
 * A hold that began after the clock was read is not over. The process runs, so it was released, or
 * it has been killed: which of these is seen after a while.
 */
static void test_holds(void **state)
{
	const struct stops none = {-1, -1};
	const struct target target = make_target();
	const struct event event = make_event(true);
	struct told told = {0};
	struct holds *holds = holds_new(10000000000, &none, on_let_go, &told);

	(void)state;
	assert_non_null(holds);
	assert_int_equal(holds_add(holds, &target, &event, 1000), 0);
	holds_tick(holds, 500);
	assert_int_equal(told.count, 0);
	holds_tick(holds, 400000000);
	assert_int_equal(told.count, 0);
	holds_tick(holds, 600000000);
	assert_int_equal(told.count, 1);
	assert_int_equal(told.outcome, ACTION_LET_GO);
	assert_int_equal(told.duration_ns, 600000000 - 1000);
	holds_free(holds);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_signals),
		cmocka_unit_test(test_holds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
