// SPDX-License-Identifier: GPL-2.0-or-later
/* user/output: where lines go. Pipes, full disks, log files and what must not be taken for one. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/clock.h"
#include "output/sink.h"

static const struct sink_context context = {.identity = {.host = "box"}};

static struct event make_violation(void)
{
	struct event event = {
		.type = EVENT_CHANGE,
		.time = 1118000001,
		.process = {.pid = 4711, .tid = 4712, .comm = "python3"},
		.torch = {.file = "/opt/torch/lib/libc10.so", .version = "2.13.0"},
	};

	event.change.trace = 7;
	return event;
}

#define SECONDS(n) (clock_monotonic() + (n)*1000000000ull)

static void drain(struct writer *writer)
{
	assert_true(writer_drain(writer, SECONDS(60), NULL));
}

static struct writer_status status_of(struct writer *writer)
{
	struct writer_status status;

	writer_status(writer, &status);
	return status;
}

/* What cannot be written is counted, whatever the form; and the writer goes on. */
static void test_full_device(void **state)
{
	struct event event = make_violation();
	struct writer *writer = writer_new(open("/dev/full", O_WRONLY | O_CLOEXEC), true, 4096);
	struct sink *sink = sink_text(&context, writer, false, 2);

	(void)state;
	assert_non_null(sink);
	for (uint64_t i = 1; i <= 3; i++) {
		sink_event(sink, &event);
		drain(writer);
		assert_int_equal(status_of(writer).lost, i);
		assert_int_equal(status_of(writer).waiting, 0);
		assert_int_equal(status_of(writer).error, -ENOSPC);
		assert_false(status_of(writer).gone);
	}
	sink_free(sink, NULL);
	writer_free(writer);
	sink_free(NULL, NULL);
	sink_event(NULL, &event);
	sink_renew(NULL);
}

static void test_json_sink(void **state)
{
	struct event event = make_violation();
	struct writer *writer;
	struct sink *sink;
	size_t length = 0;
	char *line = event_to_json(&context, &event, &length);
	char *got = calloc(1, 2 * length + 1), expected[2][32768];
	int packets[2];

	(void)state;
	assert_non_null(line);
	assert_non_null(got);
	for (int i = 0; i < 2; i++) /* with its number */
		snprintf(expected[i], sizeof(expected[i]), "%.*s,\"seq\":%d}\n", (int)length - 2,
			 line, i);
	length = strlen(expected[0]);
	/* a pipe of packets keeps the writes apart: one for each event */
	assert_int_equal(pipe2(packets, O_DIRECT | O_CLOEXEC), 0);
	writer = writer_new(packets[1], true, 1 << 20);
	sink = sink_json(&context, writer);
	assert_non_null(sink);
	sink_event(sink, &event);
	sink_event(sink, &event);
	sink_renew(sink);
	assert_int_equal(read(packets[0], got, 2 * length), length);
	assert_string_equal(got, expected[0]);
	assert_int_equal(read(packets[0], got, 2 * length), length);
	assert_string_equal(got, expected[1]);
	drain(writer);

	/* a reader that has gone: counted, and not tried again */
	close(packets[0]);
	sink_event(sink, &event);
	drain(writer);
	sink_event(sink, &event);
	assert_true(status_of(writer).gone);
	assert_int_equal(status_of(writer).lost, 2);
	sink_free(sink, NULL);
	writer_free(writer);
	free(line);
	free(got);
}

/* A slow reader of a non-blocking pipe gets every line whole. */
static void test_json_slow_reader(void **state)
{
	enum { LINES = 300 };
	struct event event = make_violation();
	struct writer *writer;
	struct sink *sink;
	int pipes[2];

	(void)state;
	assert_int_equal(pipe2(pipes, O_NONBLOCK | O_CLOEXEC), 0);
	assert_true(fcntl(pipes[1], F_SETPIPE_SZ, 4096) >= 4096);
	memset(event.process.exe, '\x01', sizeof(event.process.exe) - 1); /* a line of 24 kB */
	writer = writer_new(pipes[1], true, WRITER_LIMIT);
	sink = sink_json(&context, writer);
	assert_non_null(sink);
	for (int i = 0; i < LINES; i++)
		sink_event(sink, &event);
	assert_int_equal(fcntl(pipes[0], F_SETFL, 0), 0);

	FILE *reader = fdopen(pipes[0], "r");
	size_t size = 0, length = 0;
	char *expected = event_to_json(&context, &event, &length), *line = NULL;

	assert_non_null(reader);
	assert_non_null(expected);
	for (int i = 0; i < LINES; i++) {
		char number[64];

		assert_true(getline(&line, &size, reader) > 0);
		snprintf(number, sizeof(number), ",\"seq\":%d}\n", i);
		assert_string_equal(line + length - 2, number);
		assert_memory_equal(line, expected, length - 2);
	}
	drain(writer);
	assert_int_equal(status_of(writer).lost, 0);
	sink_free(sink, NULL);
	writer_free(writer);
	fclose(reader);
	free(expected);
	free(line);
}

static bool at_once(void)
{
	return true;
}

/* Reads on until the writer has written all; returns all that was read. */
static const char *read_until_drained(struct writer *writer, int fd)
{
	static char text[1 << 17];
	size_t length = 0;
	bool drained;

	do {
		ssize_t got;

		drained = writer_drain(writer, SECONDS(0), NULL);
		while ((got = read(fd, text + length, sizeof(text) - 1 - length)) > 0)
			length += (size_t)got;
	} while (!drained);
	text[length] = '\0';
	return text;
}

/* How many lines are of the type, and with `count` the sum of those keys. */
static uint64_t lines_of(const char *text, const char *type, bool count)
{
	uint64_t found = 0;

	while ((text = strstr(text, type))) {
		text += strlen(type);
		found += count ? strtoull(strstr(text, "\"count\":") + 8, NULL, 10) : 1;
	}
	return found;
}

/*
 * A reader that stalls: nobody waits for it, what does not fit is counted, and the next line that
 * fits has the number before it. Waiting for it at the end is bounded.
 */
static void test_stalled_reader(void **state)
{
	static const char lost_output[] = "\"type\":\"lost_output\"", lost[] = "\"type\":\"lost\"";
	struct event event = {.type = EVENT_LOST, .lost = {.count = 7, .total = 7}};
	struct writer *writer;
	struct sink *sink;
	uint64_t put = 0, missing, begin = clock_monotonic();
	const char *text;
	int pipes[2];

	(void)state;
	assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
	assert_true(fcntl(pipes[1], F_SETPIPE_SZ, 4096) >= 4096);
	assert_int_equal(fcntl(pipes[0], F_SETFL, O_NONBLOCK), 0);
	writer = writer_new(pipes[1], true, 8192);
	sink = sink_json(&context, writer);
	assert_non_null(sink);
	for (; status_of(writer).lost < 100; put++) {
		sink_event(sink, &event);
		assert_true(put < 100000);
	}
	assert_true(status_of(writer).full);
	assert_false(writer_drain(writer, SECONDS(0), NULL));
	assert_false(writer_drain(writer, SECONDS(600), at_once));
	assert_true(clock_monotonic() - begin < 300000000000ull); /* and not for ever */

	/* All that was not lost arrives; the last notice is for what was lost since the one before.
	 */
	text = read_until_drained(writer, pipes[0]);
	assert_int_equal(lines_of(text, lost, false), put - 100);
	missing = 100 - lines_of(text, lost_output, true);
	assert_true(missing > 0);
	sink_event(sink, &event);
	text = read_until_drained(writer, pipes[0]);
	assert_int_equal(lines_of(text, lost_output, true), missing);
	assert_non_null(strstr(text, "\"total\":100,\"seq\":"));
	assert_int_equal(status_of(writer).notified, 100);
	sink_event(sink, &event);
	text = read_until_drained(writer, pipes[0]);
	assert_int_equal(lines_of(text, lost_output, false), 0);
	assert_int_equal(lines_of(text, lost, false), 1);
	sink_free(sink, NULL);
	writer_free(writer);
	close(pipes[0]);
}

/* A reader that stalls is waited for so long, and again when it has read something. */
static void test_full(void **state)
{
	enum { LENGTH = 100, LIMIT = 8192 };
	static const uint64_t patience = 50000000;
	static const char line[LENGTH] = "x";
	char buffer[4096];
	struct writer *writer;
	uint64_t begin;
	int pipes[2];

	(void)state;
	assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
	assert_true(fcntl(pipes[1], F_SETPIPE_SZ, 4096) >= 4096);
	writer = writer_new(pipes[1], true, LIMIT);
	for (int i = 0; i < 4096 / LENGTH; i++)
		assert_int_equal(writer_put(writer, line, LENGTH), 0);
	drain(writer); /* into the pipe, which is full then */
	assert_false(writer_is_full(writer, patience));
	begin = clock_monotonic();
	while (!writer_is_full(writer, patience))
		assert_int_equal(writer_put(writer, line, LENGTH), 0);
	while (writer_is_full(writer, patience))
		usleep(1000);
	assert_true(clock_monotonic() - begin >= patience);
	assert_int_equal(writer_put(writer, line, LENGTH), 0); /* there is room still */
	assert_false(writer_is_full(writer, patience));
	assert_true(read(pipes[0], buffer, sizeof(buffer)) > 0); /* which the writer fills again */
	while (status_of(writer).waiting > LIMIT / LENGTH / 2)
		usleep(1000);
	while (!writer_is_full(writer, patience))
		assert_int_equal(writer_put(writer, line, LENGTH), 0);
	writer_free(writer);
	close(pipes[0]);
}

/* Nobody is waited for who is gone. */
static void test_not_full_without_reader(void **state)
{
	static const char line[8000] = "x";
	struct writer *writer;
	int pipes[2];

	(void)state;
	assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
	assert_true(fcntl(pipes[1], F_SETPIPE_SZ, 4096) >= 4096);
	writer = writer_new(pipes[1], true, 9000);
	assert_int_equal(writer_put(writer, line, sizeof(line)), 0);
	assert_true(writer_is_full(writer, UINT64_MAX)); /* a part of it is in the pipe */
	close(pipes[0]);
	drain(writer);
	assert_false(writer_is_full(writer, UINT64_MAX));
	writer_free(writer);
}

/* The thread of a writer whose reader never comes back ends all the same. */
static void test_free_while_stalled(void **state)
{
	static const char line[100000] = "x";
	struct writer *writer;
	int pipes[2];

	(void)state;
	assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
	writer = writer_new(pipes[1], true, WRITER_LIMIT);
	assert_non_null(writer);
	for (int i = 0; i < 3; i++)
		assert_int_equal(writer_put(writer, line, sizeof(line)), 0);
	assert_int_equal(status_of(writer).waiting, 3);
	writer_free(writer);
	assert_int_equal(fcntl(pipes[1], F_GETFD), -1); /* closed */
	close(pipes[0]);
}

/* Where others write too, each line begins at the start of a line. */
static void test_begin_lines(void **state)
{
	char text[64] = "";
	struct writer *writer;
	int pipes[2];

	(void)state;
	assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
	writer = writer_new(pipes[1], true, 4096);
	writer_put(writer, "a\n", 2);
	writer_begin_lines(writer, true);
	writer_put(writer, "b\n", 2);
	writer_begin_lines(writer, false);
	writer_put(writer, "c\n", 2);
	drain(writer);
	assert_int_equal(read(pipes[0], text, sizeof(text) - 1), 7);
	assert_string_equal(text, "a\n\nb\nc\n");
	writer_free(writer);
	close(pipes[0]);
}

static char directory[] = "/tmp/gradwatch-test-XXXXXX";

static int enter_directory(void **state)
{
	(void)state;
	return mkdtemp(directory) ? chdir(directory) : -1;
}

static int leave_directory(void **state)
{
	(void)state;
	return chdir("/") || rmdir(directory) ? -1 : 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_full_device),
		cmocka_unit_test(test_json_sink),
		cmocka_unit_test(test_json_slow_reader),
		cmocka_unit_test(test_stalled_reader),
		cmocka_unit_test(test_free_while_stalled),
		cmocka_unit_test(test_full),
		cmocka_unit_test(test_not_full_without_reader),
		cmocka_unit_test(test_begin_lines),
	};

	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	return cmocka_run_group_tests(tests, enter_directory, leave_directory);
}
