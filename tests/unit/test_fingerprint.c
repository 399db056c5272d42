// SPDX-License-Identifier: GPL-2.0-or-later
/* user/model/fingerprint.c: one name for one finding, wherever and whenever it is found. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "model/fingerprint.h"

#define EVENTS 4 /* at one time */

static struct event_frame stacks[EVENTS][2];
static struct event_origin origins[2];

/* A finding at file and function; script: the file of the outermost frame, "": it is no module. */
static struct event at(const char *file, const char *function, const char *script)
{
	static size_t turn;
	struct event_frame *frames = stacks[turn++ % EVENTS];
	struct event event = {.type = EVENT_FINDING};

	frames[0] = (struct event_frame){file, function, 42, false, false};
	frames[1] = (struct event_frame){*script ? script : "/usr/bin/tool",
					 *script ? "<module>" : "main", 1, false, false};
	origins[0] = origins[1] = (struct event_origin){.whose = ORIGIN_USER};
	event.stack = (struct event_stack){.count = 2, .frame = frames, .origin = origins};
	event.finding.kind = TRACE_KIND_EXPORT;
	return event;
}

static const char *of(const struct event event)
{
	static char text[2][FINGERPRINT_SIZE];
	static int turn;

	turn ^= 1;
	fingerprint(&event, text[turn]);
	return text[turn];
}

static void test_it_never_changes(void **state)
{
	(void)state;
	/* An interface: baselines of earlier versions have it. */
	assert_string_equal(of(at("/a/site-packages/m/net.py", "Net.forward", "")),
			    "fp1:c494db377817c0d3");
}

static void test_where_the_root_is_does_not_count(void **state)
{
	(void)state;
	assert_string_equal(of(at("/a/lib/python3.11/site-packages/m/net.py", "f", "/x/run.py")),
			    of(at("/home/u/.venv/lib/python3.13/site-packages/m/net.py", "f", "")));
	assert_string_equal(of(at("/home/a/project/models/net.py", "f", "/home/a/project/run.py")),
			    of(at("/ci/17/models/net.py", "f", "/ci/17/train.py")));
	assert_string_equal(of(at("/a/b/c/d/e.py", "f", "")), of(at("/x/c/d/e.py", "f", "")));
}

static void test_lines_and_processes_do_not_count(void **state)
{
	struct event event = at("/a/b/c/e.py", "f", "");

	(void)state;
	((struct event_frame *)event.stack.frame)->line = 7;
	event.process.pid = 9;
	event.finding.trace = 8;
	assert_string_equal(of(event), of(at("/a/b/c/e.py", "f", "")));
}

static void test_what_counts(void **state)
{
	struct event event = at("/a/b/c/e.py", "f", "");

	(void)state;
	assert_string_not_equal(of(event), of(at("/a/b/c/e.py", "g", "")));
	assert_string_not_equal(of(event), of(at("/a/b/c/d.py", "f", "")));
	assert_string_not_equal(of(event), of(at("/a/b/x/e.py", "f", "")));
	event = at("/a/b/c/e.py", "f", "");
	event.finding.kind = TRACE_KIND_MAKE_FX;
	assert_string_not_equal(of(event), of(at("/a/b/c/e.py", "f", "")));
	event = at("/a/b/c/e.py", "f", "");
	event.finding.category = FINDING_DRIFT;
	assert_string_not_equal(of(event), of(at("/a/b/c/e.py", "f", "")));
}

static void test_file(void **state)
{
	struct event event = at("/p/models/net.py", "f", "/p/run.py");

	(void)state;
	assert_string_equal(fingerprint_file(&event, "/p/models/net.py"), "models/net.py");
	assert_string_equal(fingerprint_file(&event, "/q/models/net.py"), "q/models/net.py");
	assert_string_equal(fingerprint_file(&event, "net.py"), "net.py");
	assert_string_equal(fingerprint_file(&event, ""), "");
	event = at("/p/models/net.py", "f", "run.py");
	assert_string_equal(fingerprint_file(&event, "/a/b/models/net.py"), "b/models/net.py");
}

static void test_unknown_place(void **state)
{
	struct event event = at("", "", "");

	(void)state;
	event.stack.user = -1;
	assert_memory_equal(of(event), "fp1:", 4);
	assert_int_equal(strlen(of(event)), FINGERPRINT_SIZE - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_it_never_changes),
		cmocka_unit_test(test_where_the_root_is_does_not_count),
		cmocka_unit_test(test_lines_and_processes_do_not_count),
		cmocka_unit_test(test_what_counts),
		cmocka_unit_test(test_file),
		cmocka_unit_test(test_unknown_place),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
