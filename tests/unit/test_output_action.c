// SPDX-License-Identifier: GPL-2.0-or-later
/* user/output: what was done about a violation, as text and as JSON. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "output/sink.h"
#include "output/text.h"

static const struct event_frame frame = {"/src/model.py", "Net.forward", 42};
static const struct sink_context context = {.identity = {.host = "box"}};
static char written[8192];

static struct event make_action(enum gw_action action, enum action_outcome outcome)
{
	struct event event = {.type = EVENT_ACTION, .stack = {.count = 1, .frame = &frame}};

	event.process = (struct event_process){.pid = 4711, .tid = 4711, .comm = "python3"};
	strcpy(event.torch.version, "2.13.0");
	event.action = (struct event_action){
		.trace = 7,
		.kind = TRACE_KIND_EXPORT,
		.from = true,
		.action = action,
		.outcome = outcome,
		.duration_ns = 85000,
		.hold_ns = 60000000000,
	};
	return event;
}

static void format(struct sink *sink, const struct event *event)
{
	char *text = NULL;
	size_t length = 0;

	assert_non_null(sink);
	assert_int_equal(sink->ops->format(sink, event, &text, &length), 0);
	assert_non_null(text);
	assert_true(length < sizeof(written));
	strcpy(written, text);
	free(text);
	sink_free(sink, NULL);
}

/* What a sink writes of an event, without the time and what comes before `from`. */
static const char *text_of(const struct event *event)
{
	format(sink_text(&context, NULL, false, 0), event);
	return strstr(written, "  ") + 2;
}

static const char *json_of(const struct event *event)
{
	format(sink_json(&context, NULL), event);
	assert_non_null(strstr(written, "\"trace\":7"));
	return strstr(written, "\"kind\"");
}

#define HEAD   "  export  python3[4711]  torch 2.13.0  trace 7\n"
#define CHANGE "    grad mode on -> off inside a trace: "
#define PLACE  "    at /src/model.py:42 in Net.forward\n"

static void test_performed(void **state)
{
	struct event event = make_action(GW_ACTION_RAISE, ACTION_PERFORMED);

	(void)state;
	assert_string_equal(text_of(&event),
			    "RAISED" HEAD CHANGE
			    "the call raised RuntimeError instead, after 85.0 us\n" PLACE);
	event = make_action(GW_ACTION_HOLD, ACTION_PERFORMED);
	assert_string_equal(text_of(&event),
			    "HELD" HEAD CHANGE
			    "the process is stopped before it, after 85.0 us\n" PLACE
			    "    look at it:  py-spy dump --pid 4711    gdb -p 4711\n"
			    "    let it go:   gradwatch release 4711\n"
			    "    end it:      kill -KILL 4711\n"
			    "    it goes on by itself in 60.0 s\n");
	event = make_action(GW_ACTION_SIGNAL, ACTION_PERFORMED);
	event.action.signal = SIGTERM;
	assert_string_equal(text_of(&event),
			    "ENDED" HEAD CHANGE
			    "the process was ended before it, by signal:TERM\n" PLACE);
	event = make_action(GW_ACTION_KILL, ACTION_PERFORMED);
	event.action.after_change = true;
	assert_string_equal(text_of(&event),
			    "KILLED" HEAD CHANGE "the process was ended after it, by kill\n" PLACE);
}

static void test_not_performed(void **state)
{
	struct event event = make_action(GW_ACTION_SIGNAL, ACTION_TOO_LATE);

	(void)state;
	event.action.signal = SIGINT;
	strcpy(event.action.detail, "it has a handler\033[m");
	assert_string_equal(text_of(&event),
			    "TOO LATE" HEAD CHANGE
			    "it was made all the same, in spite of signal:INT; it has a "
			    "handler\\x1b[m\n" PLACE);
	event = make_action(GW_ACTION_RAISE, ACTION_REFUSED);
	event.action.fallback = GW_ACTION_HOLD;
	strcpy(event.action.detail, "process 5 traces it already");
	assert_string_equal(text_of(&event),
			    "NOT DONE" HEAD CHANGE "not possible to raise, so hold; process 5 "
			    "traces it already\n" PLACE);
	event = make_action(GW_ACTION_RAISE, ACTION_DRY_RUN);
	assert_string_equal(text_of(&event),
			    "dry run" HEAD CHANGE
			    "without --dry-run, it would have been acted on by raise\n" PLACE);
	event = make_action(GW_ACTION_HOLD, ACTION_LET_GO);
	event.stack = (struct event_stack){.user = -1};
	strcpy(event.action.detail, "released by somebody");
	assert_string_equal(text_of(&event),
			    "let go" HEAD CHANGE "held for 85.0 us; released by somebody\n");
}

static void test_json(void **state)
{
	struct event event = make_action(GW_ACTION_RAISE, ACTION_REFUSED);

	(void)state;
	event.action.fallback = GW_ACTION_KILL;
	strcpy(event.action.detail, "why");
	assert_non_null(
		strstr(json_of(&event),
		       "\"kind\":\"export\",\"from\":true,\"to\":false,\"action\":\"raise\","
		       "\"outcome\":\"refused\",\"fallback\":\"kill\",\"signal\":null,"
		       "\"by_bpf\":false,\"after_change\":false,\"detail\":\"why\",\"duration_ns\":"
		       "85000,"));
	event = make_action(GW_ACTION_KILL, ACTION_PERFORMED);
	event.action.signal = SIGKILL;
	assert_non_null(
		strstr(json_of(&event),
		       "\"action\":\"kill\",\"outcome\":\"performed\",\"fallback\":null,"
		       "\"signal\":9,\"by_bpf\":false,\"after_change\":false,\"detail\":null,"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_performed),
		cmocka_unit_test(test_not_performed),
		cmocka_unit_test(test_json),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
