// SPDX-License-Identifier: GPL-2.0-or-later
/* user/output: where lines go. Pipes, full disks, log files and what must not be taken for one. */
#include <errno.h>
#include <fcntl.h>
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
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "output/sink.h"

static const struct sink_context context = {.host = "box"};

static struct event make_violation(void)
{
	struct event event = {
		.type = EVENT_VIOLATION,
		.time = 1118000001,
		.process = {.pid = 4711, .tid = 4712, .comm = "python3"},
		.torch = {.file = "/opt/torch/lib/libc10.so", .version = "2.13.0"},
	};

	event.violation.trace = 7;
	return event;
}

static void test_text_errors(void **state)
{
	struct event event = make_violation();
	FILE *full = fopen("/dev/full", "w");
	struct sink *sink;

	(void)state;
	assert_non_null(full);
	sink = sink_text(&context, full, false, 2);
	assert_non_null(sink);
	assert_int_equal(sink_event(sink, &event), -ENOSPC);
	assert_int_equal(sink_event(sink, &event), -ENOSPC);
	sink_free(sink);
	fclose(full);
	sink_free(NULL);
	assert_int_equal(sink_event(NULL, &event), 0);
	assert_int_equal(sink_reopen(NULL), 0);
}

static void test_json_sink(void **state)
{
	struct event event = make_violation();
	struct sink *sink;
	size_t length = 0;
	char *expected = event_to_json(&context, &event, &length);
	char *got = calloc(1, 2 * length + 1);
	int packets[2];

	(void)state;
	assert_non_null(expected);
	assert_non_null(got);
	/* a pipe of packets keeps the writes apart: one for each event */
	assert_int_equal(pipe2(packets, O_DIRECT | O_CLOEXEC), 0);
	sink = sink_json(&context, packets[1]);
	assert_non_null(sink);
	assert_int_equal(sink_event(sink, &event), 0);
	assert_int_equal(sink_event(sink, &event), 0);
	assert_int_equal(sink_reopen(sink), 0);
	assert_int_equal(read(packets[0], got, 2 * length), length);
	assert_string_equal(got, expected);
	assert_int_equal(read(packets[0], got, 2 * length), length);

	close(packets[0]);
	assert_int_equal(sink_event(sink, &event), -EPIPE);
	close(packets[1]);
	assert_int_equal(sink_event(sink, &event), -EBADF);
	sink_free(sink);
	free(expected);
	free(got);
}

/* A slow reader of a non-blocking pipe gets every line whole. */
static void test_json_slow_reader(void **state)
{
	enum { LINES = 300 };
	struct event event = make_violation();
	struct sink *sink;
	int pipes[2], status = 0;
	pid_t child;

	(void)state;
	assert_int_equal(pipe2(pipes, O_NONBLOCK | O_CLOEXEC), 0);
	assert_true(fcntl(pipes[1], F_SETPIPE_SZ, 4096) >= 4096);
	memset(event.process.exe, '\x01', sizeof(event.process.exe) - 1); /* a line of 24 kB */
	child = fork();
	if (child == 0) {
		/* no asserts here: this is not the test's process */
		close(pipes[0]);
		sink = sink_json(&context, pipes[1]);
		for (int i = 0; sink && i < LINES; i++) {
			if (sink_event(sink, &event))
				_exit(1);
		}
		_exit(sink ? 0 : 1);
	}
	assert_true(child > 0);
	close(pipes[1]);
	assert_int_equal(fcntl(pipes[0], F_SETFL, 0), 0);

	FILE *reader = fdopen(pipes[0], "r");
	size_t size = 0, lines = 0, length = 0;
	char *expected = event_to_json(&context, &event, &length), *line = NULL;

	assert_non_null(reader);
	assert_non_null(expected);
	while (getline(&line, &size, reader) > 0) {
		assert_string_equal(line, expected);
		lines++;
	}
	assert_int_equal(lines, LINES);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	fclose(reader);
	free(expected);
	free(line);
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

/* The whole of a small file, until the next call. */
static const char *contents(const char *path)
{
	static char text[65536];
	FILE *file = fopen(path, "r");
	size_t length;

	assert_non_null(file);
	length = fread(text, 1, sizeof(text) - 1, file);
	text[length] = '\0';
	fclose(file);
	return text;
}

static unsigned int count_lines(const char *path)
{
	unsigned int lines = 0;

	for (const char *at = contents(path); (at = strchr(at, '\n')); at++)
		lines++;
	return lines;
}

static void test_log_append(void **state)
{
	struct event event = make_violation();
	struct stat status;
	struct sink *sink;
	int error = 1;

	(void)state;
	for (unsigned int run = 1; run <= 2; run++) {
		sink = sink_log(&context, "log", &error);
		assert_non_null(sink);
		assert_int_equal(error, 0);
		assert_int_equal(sink_event(sink, &event), 0);
		sink_free(sink);
		assert_int_equal(count_lines("log"), run);
	}
	assert_int_equal(stat("log", &status), 0);
	assert_int_equal(status.st_mode & 07777, 0600);
	unlink("log");
}

static void test_log_reopen(void **state)
{
	struct event event = make_violation();
	int error;
	struct sink *sink = sink_log(&context, "log", &error);

	(void)state;
	assert_non_null(sink);
	assert_int_equal(sink_event(sink, &event), 0);
	assert_int_equal(rename("log", "log.1"), 0);
	assert_int_equal(sink_event(sink, &event), 0);
	assert_int_equal(sink_reopen(sink), 0);
	assert_int_equal(sink_event(sink, &event), 0);
	assert_int_equal(count_lines("log.1"), 2);
	assert_int_equal(count_lines("log"), 1);

	/* a path that cannot be opened: the old file goes on */
	assert_int_equal(rename("log", "log.2"), 0);
	assert_int_equal(mkdir("log", 0700), 0);
	assert_int_equal(sink_reopen(sink), -EISDIR);
	assert_int_equal(sink_event(sink, &event), 0);
	assert_int_equal(count_lines("log.2"), 2);
	sink_free(sink);
	rmdir("log");
	unlink("log.1");
	unlink("log.2");
}

static void check_refused(const char *path, int expected)
{
	int error = 0;

	assert_null(sink_log(&context, path, &error));
	assert_int_equal(error, expected);
}

static void test_log_refused(void **state)
{
	int reader;

	(void)state;
	assert_int_equal(symlink("target", "link"), 0);
	check_refused("link", -ELOOP);
	assert_int_equal(access("target", F_OK), -1);
	unlink("link");

	assert_int_equal(mkfifo("fifo", 0600), 0);
	check_refused("fifo", -EINVAL);
	reader = open("fifo", O_RDONLY | O_NONBLOCK);
	assert_true(reader >= 0);
	check_refused("fifo", -EINVAL);
	close(reader);
	unlink("fifo");

	check_refused("/dev/null", -EINVAL);
	check_refused(".", -EISDIR);
	check_refused("none/log", -ENOENT);
	check_refused("", -ENOENT);
}

/* A file that may not grow takes a part of a line: the next event begins a line of its own. */
static void test_log_torn(void **state)
{
	struct event event = make_violation();
	struct rlimit old, limit;
	struct sink *sink;
	size_t length = 0;
	char *line = event_to_json(&context, &event, &length);
	const char *text;
	int error;

	(void)state;
	assert_non_null(line);
	sink = sink_log(&context, "log", &error);
	assert_non_null(sink);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	limit = old;
	limit.rlim_cur = 100;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	assert_int_equal(sink_event(sink, &event), -EFBIG);
	assert_int_equal(sink_event(sink, &event), -EFBIG);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	assert_int_equal(sink_event(sink, &event), 0);
	assert_int_equal(sink_event(sink, &event), 0);

	text = contents("log");
	assert_int_equal(strlen(text), 100 + 1 + 2 * length);
	assert_memory_equal(text, line, 100);
	assert_int_equal(text[100], '\n');
	assert_memory_equal(text + 101, line, length);
	assert_string_equal(text + 101 + length, line);
	sink_free(sink);
	unlink("log");
	free(line);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text_errors),      cmocka_unit_test(test_json_sink),
		cmocka_unit_test(test_json_slow_reader), cmocka_unit_test(test_log_append),
		cmocka_unit_test(test_log_reopen),       cmocka_unit_test(test_log_refused),
		cmocka_unit_test(test_log_torn),
	};

	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	return cmocka_run_group_tests(tests, enter_directory, leave_directory);
}
