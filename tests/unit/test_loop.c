// SPDX-License-Identifier: GPL-2.0-or-later
/* user/base/loop: who is served in a turn, in which order, and when. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/clock.h"
#include "base/loop.h"

#define NS_PER_MS 1000000ull

static struct loop *loop;
static char order[64]; /* the names of those that were served */

struct client {
	char name;
	bool more;
	int fd;
	struct loop_source *source;
	void (*act)(struct client *client);
};

static bool serve(void *context)
{
	struct client *client = context;

	order[strlen(order)] = client->name;
	if (client->act)
		client->act(client);
	return client->more;
}

static void add(struct client *client, int place)
{
	client->source = loop_add(loop, client->fd, place, serve, client);
	assert_non_null(client->source);
}

static int ready_fd(void)
{
	int fd = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);

	assert_true(fd >= 0);
	return fd;
}

/* The names of those that a turn serves. */
static const char *turn(void)
{
	memset(order, 0, sizeof(order));
	assert_int_equal(loop_turn(loop), 0);
	return order;
}

static int open_loop(void **state)
{
	(void)state;
	loop = loop_new();
	return loop ? 0 : -1;
}

static int close_loop(void **state)
{
	(void)state;
	loop_free(loop);
	return 0;
}

/* Those that are always ready do not keep the others waiting. */
static void test_each_once_in_order(void **state)
{
	struct client last = {'c', true, ready_fd()}, first = {'a', true, ready_fd()};
	struct client between = {'b', false, ready_fd()}, later = {'d', false, ready_fd()};

	(void)state;
	add(&last, 3);
	add(&first, 1);
	add(&between, 2);
	add(&later, 3);
	for (int i = 0; i < 10; i++)
		assert_string_equal(turn(), "abcd");
	for (int i = 0; i < 4; i++)
		close((int[]){last.fd, first.fd, between.fd, later.fd}[i]);
}

/* One that has more to do is served again without its descriptor, and nobody waits. */
static void test_more(void **state)
{
	struct client busy = {'b', true, -1};

	(void)state;
	add(&busy, 1);
	loop_wake_at(busy.source, 1);
	assert_string_equal(turn(), "b");
	assert_string_equal(turn(), "b");
	busy.more = false;
	assert_string_equal(turn(), "b");
	loop_wake_at(busy.source, clock_monotonic() + NS_PER_MS);
	assert_string_equal(turn(), "b");
}

static void test_time(void **state)
{
	struct client early = {'e', false, -1}, late = {'l', false, -1};
	uint64_t now = clock_monotonic();

	(void)state;
	add(&late, 1);
	add(&early, 2);
	loop_wake_at(late.source, now + 400 * NS_PER_MS); /* the machine may be busy */
	loop_wake_at(early.source, now + 10 * NS_PER_MS);
	assert_string_equal(turn(), "e");
	assert_true(clock_monotonic() >= now + 10 * NS_PER_MS);
	assert_string_equal(turn(), "l"); /* the early one once only */
	assert_true(clock_monotonic() >= now + 400 * NS_PER_MS);
}

static struct client *victim;

static void remove_victim(struct client *client)
{
	(void)client;
	loop_remove(loop, victim->source);
	close(victim->fd);
}

/* Also its own source, and one that is ready in the same turn. */
static void test_removed(void **state)
{
	struct client first = {'a', false, ready_fd(), NULL, remove_victim};
	struct client other = {'b', true, ready_fd()}, own = {'c', true, ready_fd()};

	(void)state;
	add(&first, 1);
	add(&other, 2);
	add(&own, 3);
	victim = &other;
	assert_string_equal(turn(), "ac");
	first.act = NULL;
	own.act = remove_victim;
	victim = &own;
	assert_string_equal(turn(), "ac");
	assert_string_equal(turn(), "a");
	close(first.fd);
}

static void pause_itself(struct client *client)
{
	loop_pause(loop, client->source, true);
	loop_wake_at(client->source, clock_monotonic() + 20 * NS_PER_MS);
}

/* What is paused is ready only by time, until it goes on. */
static void test_paused(void **state)
{
	struct client client = {'p', false, ready_fd(), NULL, pause_itself};
	uint64_t begin = clock_monotonic();

	(void)state;
	add(&client, 1);
	assert_string_equal(turn(), "p");
	assert_string_equal(turn(), "p");
	assert_true(clock_monotonic() >= begin + 20 * NS_PER_MS);
	client.act = NULL;
	loop_pause(loop, client.source, false);
	loop_pause(loop, client.source, false);
	assert_string_equal(turn(), "p");
	close(client.fd);
}

static void end_it(struct client *client)
{
	(void)client;
	loop_end(loop);
}

static void test_end(void **state)
{
	struct client first = {'a', true, ready_fd(), NULL, end_it},
		      other = {'b', true, ready_fd()};

	(void)state;
	add(&first, 1);
	add(&other, 2);
	assert_false(loop_has_ended(loop));
	assert_string_equal(turn(), "a");
	assert_true(loop_has_ended(loop));
	assert_string_equal(turn(), "");
	close(first.fd);
	close(other.fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_each_once_in_order, open_loop, close_loop),
		cmocka_unit_test_setup_teardown(test_more, open_loop, close_loop),
		cmocka_unit_test_setup_teardown(test_time, open_loop, close_loop),
		cmocka_unit_test_setup_teardown(test_removed, open_loop, close_loop),
		cmocka_unit_test_setup_teardown(test_paused, open_loop, close_loop),
		cmocka_unit_test_setup_teardown(test_end, open_loop, close_loop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
