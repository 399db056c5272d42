// SPDX-License-Identifier: GPL-2.0-or-later
/* user/output: events in, lines out. Lines are written out in full: they are an interface. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <jansson.h>
#include <cmocka.h>

#include "output/common.h"
#include "output/sink.h"
#include "output/text.h"

/* 2026-01-02T03:04:05.000000000Z is monotonic 0. */
static const struct sink_context context = {
	.identity = {.host = "box", .boot_id = "b", .run_id = "r"},
	.utc_offset = 1767323045000000000,
};

#define COMMON(type, time, mono)                                                                   \
	"{\"v\":2,\"type\":\"" type "\",\"time\":\"2026-01-02T03:04:" time "Z\",\"mono_ns\":" mono \
	",\"host\":\"box\",\"boot_id\":\"b\",\"run_id\":\"r\""
#define PROCESS                                                                                    \
	",\"pid\":4711,\"tid\":4712,\"ns_pid\":7,\"ns_tid\":8,\"start_ns\":9223372036850000000,"   \
	"\"comm\":\"python3\",\"uid\":1000,\"exe\":\"/usr/bin/python3\","                          \
	"\"cgroup\":null,\"unit\":null,\"container\":null,"                                        \
	"\"torch\":{\"file\":\"/opt/torch/lib/libc10.so\",\"version\":\"2.13.0\"}"

static const char *printed(const struct event *event, bool colour, int verbosity);

static struct event make_event(enum event_type type)
{
	struct event event = {
		.type = type,
		.time = 1118000001,
		.process = {.pid = 4711,
			    .tid = 4712,
			    .ns_pid = 7,
			    .ns_tid = 8,
			    .uid = 1000,
			    .start_time = INT64_MAX,
			    .comm = "python3",
			    .exe = "/usr/bin/python3"},
		.torch = {.file = "/opt/torch/lib/libc10.so", .version = "2.13.0"},
	};

	return event;
}

static const struct event_frame frames[] = {
	{"/lib/python3.11/site-packages/torch/autograd/grad_mode.py", "no_grad.__enter__", 83},
	{"/src/model.py", "Net.forward", 42},
};

#define STACK                                                                                      \
	",\"stack_status\":\"cut\","                                                               \
	"\"user\":{\"file\":\"/src/model.py\",\"function\":\"Net.forward\",\"line\":42},"          \
	"\"stack\":[{\"file\":\"/lib/python3.11/site-packages/torch/autograd/grad_mode.py\","      \
	"\"function\":\"no_grad.__enter__\",\"line\":83},"                                         \
	"{\"file\":\"/src/model.py\",\"function\":\"Net.forward\",\"line\":42}]"
#define NO_STACK ",\"stack_status\":\"whole\",\"user\":null,\"stack\":[]"

static struct event make_violation(void)
{
	struct event event = make_event(EVENT_CHANGE);

	event.change.trace = 7;
	event.change.from = true;
	event.change.began = GW_STATE_GRAD;
	event.change.kind = TRACE_KIND_EXPORT;
	event.stack = (struct event_stack){
		.status = GW_STACK_CUT, .count = 2, .frame = frames, .user = 1};
	event.change.certain = true;
	return event;
}

static struct event make_trace(enum event_type type)
{
	struct event event = make_event(type);

	event.trace = (struct event_trace){
		.id = 7,
		.first_push_ns = 1000000000,
		.last_push_ns = 1003000000,
		.last_pop_ns = 1003400000,
		.pushes = 13,
		.pops = 14,
		.operators = 12,
		.changes = 2,
		.seen_from_start = true,
		.reason = GW_END_GONE,
	};
	return event;
}

static void check_json(const struct event *event, const char *expected)
{
	size_t length = 0;
	char *text = event_to_json(&context, event, &length);

	assert_non_null(text);
	assert_int_equal(length, strlen(text));
	assert_string_equal(text, expected);
	free(text);
}

static void test_json_plain(void **state)
{
	struct event event = make_event(EVENT_START);

	(void)state;
	check_json(&event, COMMON("start", "06.118000001", "1118000001") "}\n");

	event = make_event(EVENT_LOST);
	event.lost.count = 2;
	event.lost.total = UINT64_MAX;
	check_json(&event,
		   COMMON("lost", "06.118000001", "1118000001") ",\"count\":2,"
								"\"total\":9223372036854775807}\n");

	event = make_event(EVENT_END);
	event.totals = (struct event_totals){.processes = 1, .traces = 2, .violations = 3};
	event.totals.lost = 4;
	event.totals.lost_output = 8;
	event.totals.infos = 5;
	event.totals.findings = 6;
	event.totals.coverage = (struct event_coverage){41, 42, 43, 44, 45, 46, 47};
	event.totals.notes = 9;
	event.totals.suppressed = 7;
	for (uint64_t i = 0; i < GW_STACK_MAX; i++)
		event.totals.stacks[i] = 50 + i;
	for (uint64_t i = 0; i < ACTION_OUTCOME_MAX; i++)
		event.totals.actions[i] = 31 + i;
	for (uint64_t i = 0; i < GW_COUNTER_MAX; i++)
		event.totals.counter[i] = 10 + i;
	check_json(&event,
		   COMMON("end", "06.118000001",
			  "1118000001") ",\"processes\":1,\"traces\":2,\"violations\":3,"
					"\"infos\":5,\"findings\":6,\"notes\":9,\"suppressed\":7,"
					"\"findings_"
					"forgotten\":0,"
					"\"drifts\":17,\"lost\":4,\"lost_output\":8,"
					"\"actions\":{\"performed\":31,\"too_late\":32,"
					"\"refused\":33,\"dry_run\":34,\"let_go\":35},"
					"\"stacks\":{\"whole\":50,\"cut\":51,\"no_python\":52,"
					"\"unsupported_python\":53,\"no_thread\":54,"
					"\"unreadable\":55,\"busy\":56},"
					"\"ledger\":{\"hits\":10,\"reported\":11,\"redundant\":12,"
					"\"outside_trace\":13,\"filtered\":14,\"lost\":15,"
					"\"throttled\":16},"
					"\"counters\":{\"unreadable\":18,\"threads_full\":19,"
					"\"traces_full\":20,\"nesting_full\":21,\"processes_"
					"full\":22,\"codes_lost\":23,\"traces_lost\":24,"
					"\"drifts_lost\":25,\"names_lost\":26,\"asks_lost\":27,"
					"\"interpreters_full\":28,\"enforced_full\":29,"
					"\"decisions_full\":30,\"forks_lost\":31},"
					"\"coverage\":{\"probed\":41,\"missed\":42,"
					"\"mappings_lost\":43,\"refused\":44,"
					"\"files_refused\":45,\"unarmed\":46,"
					"\"bad_records\":47}}\n");
}

static void test_json_attached(void **state)
{
	struct event event = make_event(EVENT_ATTACHED);

	(void)state;
	event.attached.sites = 5;
	event.attached.certain = true;
	event.attached.armed_after_ns = 99;
	check_json(&event, COMMON("attached", "06.118000001", "1118000001") PROCESS
		   ",\"sites\":5,\"certain\":true,\"doubt\":null,\"armed_after_ns\":99,\"too_"
		   "late\":false}\n");
	event.attached.certain = false;
	strcpy(event.attached.doubt, "no \"tls\"");
	check_json(&event, COMMON("attached", "06.118000001", "1118000001") PROCESS
		   ",\"sites\":5,\"certain\":false,\"doubt\":\"no \\\"tls\\\"\","
		   "\"armed_after_ns\":99,\"too_late\":false}\n");
	event.attached.too_late = true;
	assert_non_null(strstr(printed(&event, false, 0), "too late: the process has ended"));
	event.type = EVENT_SKIPPED;
	check_json(&event, COMMON("skipped", "06.118000001", "1118000001") PROCESS
		   ",\"reason\":\"no \\\"tls\\\"\"}\n");
}

static void test_json_trace(void **state)
{
	static const char *const reason[] = {"unknown", "left", "gone",     "replaced", "exit",
					     "exec",    "idle", "detached", "unknown"};
	struct event event = make_trace(EVENT_TRACE_BEGIN);
	char expected[128];

	(void)state;
	event.time = 1000000000;
	event.trace.last_pop_ns = 0;
	event.trace.depth = 255;
	check_json(&event, COMMON("trace_begin", "06.000000000", "1000000000") PROCESS
		   ",\"trace\":7,\"kind\":\"unknown\",\"depth\":255,\"seen_from_start\":true,"
		   "\"first_push\":\"2026-01-02T03:04:06.000000000Z\",\"first_push_ns\":1000000000,"
		   "\"last_push_ns\":1003000000,\"last_pop\":null,\"last_pop_ns\":null,"
		   "\"pushes\":13,\"pops\":14,\"operators\":12,\"changes\":2" NO_STACK "}\n");
	event = make_trace(EVENT_TRACE_END);
	event.trace.kind = TRACE_KIND_MAKE_FX;
	check_json(&event, COMMON("trace_end", "06.118000001", "1118000001") PROCESS
		   ",\"trace\":7,\"kind\":\"make_fx\",\"depth\":0,\"seen_from_start\":true,"
		   "\"first_push\":\"2026-01-02T03:04:06.000000000Z\",\"first_push_ns\":1000000000,"
		   "\"last_push_ns\":1003000000,"
		   "\"last_pop\":\"2026-01-02T03:04:06.003400000Z\",\"last_pop_ns\":1003400000,"
		   "\"pushes\":13,\"pops\":14,\"operators\":12,\"changes\":2,"
		   "\"reason\":\"gone\"}\n");
	for (unsigned int i = 0; i <= GW_END_MAX; i++) {
		size_t length;
		char *text;

		event.trace.reason = (enum gw_end_reason)i;
		text = event_to_json(&context, &event, &length);
		assert_non_null(text);
		snprintf(expected, sizeof(expected), "\"reason\":\"%s\"}\n", reason[i]);
		assert_non_null(strstr(text, expected));
		free(text);
	}
}

static void test_json_violation(void **state)
{
	struct event event = make_violation();

	(void)state;
	check_json(&event, COMMON("change", "06.118000001", "1118000001") PROCESS
		   ",\"trace\":7,\"kind\":\"export\",\"from\":true,\"to\":false,"
		   "\"certain\":true,\"info\":false,"
		   "\"began\":{\"grad\":true,\"inference\":false}" STACK "}\n");

	/* what could not be read */
	event = (struct event){.type = EVENT_CHANGE};
	event.change.to = true;
	event.change.began = GW_STATE_UNKNOWN;
	check_json(&event,
		   COMMON("change", "05.000000000",
			  "0") ",\"pid\":0,\"tid\":0,\"ns_pid\":0,\"ns_tid\":0,\"start_ns\":0,"
			       "\"comm\":\"\",\"uid\":0,\"exe\":null,"
			       "\"cgroup\":null,\"unit\":null,\"container\":null,"
			       "\"torch\":{\"file\":null,\"version\":null},"
			       "\"trace\":null,\"kind\":\"unknown\",\"from\":false,\"to\":true,"
			       "\"certain\":false,\"info\":false,\"began\":null" NO_STACK "}\n");
}

/* Of a process in a container, and of one in a group without. */
static void test_cgroup(void **state)
{
	struct event event = make_event(EVENT_SKIPPED);
	size_t length;
	char *line;

	(void)state;
	event.process.tid = event.process.pid;
	event.process.cgroup = (struct event_cgroup){
		.path = "/kubepods/pod1/0123456789abcdef",
		.container = "0123456789abcdef",
		.runtime = "cri-o",
		.pod = "1",
		.unit = "",
	};
	line = event_to_json(&context, &event, &length);
	assert_non_null(strstr(line,
			       ",\"cgroup\":\"/kubepods/pod1/0123456789abcdef\",\"unit\":null,"
			       "\"container\":{\"id\":\"0123456789abcdef\",\"runtime\":\"cri-o\","
			       "\"pod_uid\":\"1\"},\"torch\":"));
	free(line);
	assert_non_null(strstr(printed(&event, false, 0),
			       "python3[4711] in container cri-o 0123456789ab (pid 7 there)"));
	event.process.cgroup.runtime = "lxc";
	event.process.ns_pid = event.process.pid;
	assert_non_null(strstr(printed(&event, false, 0),
			       "python3[4711] in container lxc 0123456789abcdef"));
	event.process.cgroup = (struct event_cgroup){.path = "/a.service", .unit = "a.service"};
	line = event_to_json(&context, &event, &length);
	assert_non_null(strstr(line, ",\"cgroup\":\"/a.service\",\"unit\":\"a.service\","
				     "\"container\":null,\"torch\":"));
	free(line);
	assert_null(strstr(printed(&event, false, 0), "container"));
}

/* Whatever is in the strings: one line, which a parser reads back. */
/* A frame with a cut name says so, others say nothing. */
static void test_json_cut(void **state)
{
	struct event_frame cut[] = {{"/a" EVENT_CUT, "f", 1, .file_cut = true}, {"/b", "g", 2}};
	struct event event = make_violation();

	(void)state;
	event.stack.frame = cut;
	for (int i = 0; i < 2; i++) {
		size_t length;
		char *text = event_to_json(&context, &event, &length);

		assert_non_null(strstr(text, "{\"file\":\"/a" EVENT_CUT "\",\"function\":\"f\","
					     "\"line\":1,\"cut\":true},{\"file\":\"/b\","
					     "\"function\":\"g\",\"line\":2}]"));
		free(text);
		cut[0].file_cut = false;
		cut[0].function_cut = true;
	}
}

static void test_json_hostile(void **state)
{
	struct event event = make_violation();
	json_t *parsed, *comm, *exe;
	size_t length = 0;
	char *text;

	(void)state;
	memset(event.process.comm, '\n', sizeof(event.process.comm));
	strcpy(event.process.comm, "\",\"a\":\n\x1b\xff\\");
	memset(event.process.exe, '\xff', sizeof(event.process.exe)); /* and no NUL */
	memset(event.torch.file, '\x01', sizeof(event.torch.file));
	memset(event.torch.version, '"', sizeof(event.torch.version));
	text = event_to_json(&context, &event, &length);
	assert_non_null(text);
	assert_ptr_equal(strchr(text, '\n'), text + length - 1);
	assert_null(strchr(text, '\x1b'));

	parsed = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
	assert_non_null(parsed);
	comm = json_object_get(parsed, "comm");
	assert_string_equal(json_string_value(comm), "\",\"a\":\n\x1b\xef\xbf\xbd\\");
	exe = json_object_get(parsed, "exe");
	assert_int_equal(json_string_length(exe), 3 * sizeof(event.process.exe));
	json_decref(parsed);
	free(text);
}

/* What a text sink prints for an event; freed by the next call. */
static const char *printed(const struct event *event, bool colour, int verbosity)
{
	static char *text;
	size_t size = 0;
	struct sink *sink;

	free(text);
	text = NULL;
	if (!event)
		return NULL;
	sink = sink_text(&context, NULL, colour, verbosity);
	assert_non_null(sink);
	assert_int_equal(sink->ops->format(sink, event, &text, &size), 0);
	sink_renew(sink);
	sink_free(sink, NULL);
	return text ? text : "";
}

/* Each single change: only on request. */
static void test_text_violation(void **state)
{
	struct event event = make_violation();

	(void)state;
	assert_string_equal(printed(&event, false, 1), "");
	assert_string_equal(printed(&event, false, 2),
			    "03:04:06.118  change  grad mode on -> off inside a trace  "
			    "python3[4711] thread 4712 (pid 7 in its namespace)  torch 2.13.0  "
			    "trace 7\n");
	event.change = (struct event_change){.to = true};
	event.process.tid = event.process.ns_pid = 0;
	event.torch.version[0] = '\0';
	assert_string_equal(printed(&event, false, 2),
			    "03:04:06.118  change  grad mode off -> on inside a trace  "
			    "python3[4711]  torch of unknown version  trace unknown  uncertain\n");
}

static struct event make_finding(void)
{
	struct event event = make_event(EVENT_FINDING);

	event.process.tid = event.process.ns_pid = event.process.pid;
	event.stack = (struct event_stack){
		.status = GW_STACK_WHOLE, .count = 2, .frame = frames, .user = 1};
	event.finding = (struct event_finding){
		.number = 3,
		.count = 1,
		.trace = 7,
		.kind = TRACE_KIND_MAKE_FX,
		.category = FINDING_SCOPE,
		.from = GW_STATE_GRAD,
		.began = GW_STATE_GRAD,
		.advice = ADVICE_PRE_DISPATCH,
		.certain = true,
		.restored = RESTORED_YES,
		.duration_ns = 214000,
		.operators = 3,
		.manager = "no_grad",
		.fingerprint = "fp1:0123456789abcdef",
	};
	return event;
}

#define HEAD   "  make_fx  python3[4711]  torch 2.13.0  trace 7  finding 3\n"
#define REMEDY "    the graph does not record this: trace with pre_dispatch=True\n"

static void test_text_finding(void **state)
{
	static const struct event_frame decorated = {"/src/rope.py", "Rotary.forward", 9};
	static const struct event_frame caller = {"/src/main.py", "main", 1};
	struct event event = make_finding();

	(void)state;
	assert_string_equal(
		printed(&event, true, 0),
		"\033[2m03:04:06.118\033[0m  \033[1;31mVIOLATION\033[0m" HEAD
		"    grad mode on -> off inside a trace, back on 214.0 us and 3 operators later: "
		"restored\n"
		"    /src/model.py:42 in Net.forward\n" REMEDY);
	event.finding.decorator = true;
	event.finding.restored = RESTORED_NO;
	event.finding.operators = 1;
	assert_string_equal(
		printed(&event, false, 0),
		"03:04:06.118  VIOLATION" HEAD
		"    grad mode on -> off inside a trace, not put back before the trace ended, "
		"1 operator later\n"
		"    a function decorated with @no_grad, called at /src/model.py:42 in "
		"Net.forward\n" REMEDY);
	event.finding.decorated = &decorated;
	event.finding.caller = &caller;
	event.finding.restored = RESTORED_UNKNOWN;
	assert_string_equal(
		printed(&event, false, 1),
		"03:04:06.118  VIOLATION" HEAD
		"    grad mode on -> off inside a trace, whether it was put back is not known\n"
		"    Rotary.forward (@no_grad), called at /src/model.py:42 in Net.forward, used at "
		"/src/main.py:1 in main\n" REMEDY
		"      /lib/python3.11/site-packages/torch/autograd/grad_mode.py:83 in "
		"no_grad.__enter__\n"
		"      /src/model.py:42 in Net.forward\n");
}

/* Who uses torch.compile knows of no trace, and a graph's code is not the line that runs it. */
static void test_text_compiled(void **state)
{
	static const struct event_frame stack[] = {
		{"/lib/torch/fx/interpreter.py", "Interpreter.run_node", 1},
		{"/src/model.py", "main", 42}};
	static const struct event_origin origin[] = {{ORIGIN_TORCH, "torch/fx/interpreter.py"},
						     {ORIGIN_USER, NULL}};
	static const struct event_origin generated[] = {{ORIGIN_GENERATED, NULL},
							{ORIGIN_USER, NULL}};
	struct event event = make_finding();
	const char *text;

	(void)state;
	event.stack.frame = stack;
	event.stack.origin = origin;
	event.finding.kind = TRACE_KIND_COMPILE;
	event.finding.advice = ADVICE_COMPILE;
	event.finding.began = 0;
	text = printed(&event, false, 0);
	assert_non_null(strstr(text,
			       "    grad mode on -> off inside compiled code, back on 214.0 us "
			       "and 3 operators later: restored\n"
			       "    compiled code, called at /src/model.py:42 in main\n"
			       "    the compiled code began with grad off\n"));
	assert_null(strstr(text, "the trace"));
	assert_null(strstr(text, "graph"));
	event.finding.operators = 0;
	event.finding.restored = RESTORED_NO;
	event.stack.origin = generated;
	event.stack.user = -1;
	text = printed(&event, false, 0);
	assert_non_null(strstr(text,
			       ", not put back before the compiled code ended, 0 operators "
			       "later\n    no operator was traced in it, so the compiled code "
			       "is not affected\n    compiled code, which has no line of the "
			       "user's\n"));
	event.finding.category = FINDING_UNBALANCED;
	event.stack.user = 1;
	text = printed(&event, false, 0);
	assert_non_null(strstr(text, "    the compiled code began with grad mode on and ended with "
				     "it off\n    traced at /src/model.py:42 in main\n"));
	event.finding.category = FINDING_SCOPE;
	event.finding.kind = TRACE_KIND_DECOMPOSE;
	assert_non_null(strstr(printed(&event, false, 0),
			       "    a graph's code, run at /src/model.py:42 in main\n"));
	/* what the graph calls is the user's own again */
	event.stack.user = 0;
	assert_null(strstr(printed(&event, false, 0), "a graph's code"));
}

static void test_text_finding_kinds(void **state)
{
	struct event event = make_finding();

	(void)state;
	event.finding.operators = 0;
	assert_non_null(strstr(printed(&event, false, 0),
			       "empty scope" HEAD "    grad mode on -> off inside a trace, back on "
			       "214.0 us and 0 operators later: restored\n"
			       "    no operator was traced in it, so the graph is not affected\n"
			       "    /src/model.py:42 in Net.forward\n"));
	event.finding.category = FINDING_DRIFT;
	event.finding.to = GW_STATE_INFERENCE;
	event.finding.operators = 1;
	assert_non_null(strstr(printed(&event, false, 0),
			       "DRIFT" HEAD
			       "    grad mode (with inference mode) on -> off inside a "
			       "trace (not by the setter: seen at the next operator)"));
	event.finding.category = FINDING_UNBALANCED;
	assert_non_null(strstr(printed(&event, false, 0),
			       "UNBALANCED" HEAD "    the trace began with grad mode on and ended "
			       "with it off\n    traced at /src/model.py:42 in Net.forward\n"));
	event.finding.severity = SEVERITY_INFO;
	assert_string_equal(printed(&event, false, 0), "");
	assert_non_null(strstr(printed(&event, false, 1), "info" HEAD));
	event.finding.suppression = "known";
	assert_string_equal(printed(&event, false, 0), "");
	assert_non_null(strstr(printed(&event, false, 1), "    accepted by known\n"));
	event = make_finding();
	event.stack = (struct event_stack){
		.status = GW_STACK_UNSUPPORTED, .count = 0, .frame = NULL, .user = -1};
	assert_non_null(strstr(printed(&event, false, 0),
			       "    place unknown: gradwatch does not know the stacks of this "
			       "version of Python\n"));
	event.type = EVENT_REPEATED;
	event.finding.count = 10;
	assert_string_equal(printed(&event, false, 0),
			    "03:04:06.118  finding 3 again: 10 times in all\n");
	event.finding.severity = SEVERITY_INFO; /* as little for everyone as the finding was */
	assert_string_equal(printed(&event, false, 0), "");
	assert_string_equal(printed(&event, false, 1),
			    "03:04:06.118  finding 3 again: 10 times in all\n");
}

/* The operators of a pre-dispatch trace are not seen, which is not the same as none. */
static void test_text_uncounted(void **state)
{
	struct event event = make_finding();

	(void)state;
	event.finding.kind = TRACE_KIND_PRE_DISPATCH;
	event.finding.operators = 0;
	event.finding.uncounted = true;
	event.finding.advice = ADVICE_RECORDED;
	assert_string_equal(
		printed(&event, false, 0),
		"03:04:06.118  VIOLATION  pre_dispatch  python3[4711]  torch 2.13.0  "
		"trace 7  finding 3\n"
		"    grad mode on -> off inside a trace, back on 214.0 us later: restored\n"
		"    /src/model.py:42 in Net.forward\n"
		"    a pre-dispatch trace records this by itself\n");
	event.finding.restored = RESTORED_NO;
	assert_non_null(
		strstr(printed(&event, false, 0), ", not put back before the trace ended\n"));
}

static void test_text_note(void **state)
{
	struct event event = make_finding();

	(void)state;
	event.finding.kind = TRACE_KIND_PRE_DISPATCH;
	event.finding.uncounted = true;
	event.finding.severity = SEVERITY_NOTE;
	event.finding.advice = ADVICE_REGION;
	event.finding.decorator = true;
	assert_string_equal(
		printed(&event, false, 0),
		"03:04:06.118  NOTE  pre_dispatch  python3[4711]  torch 2.13.0  trace 7  finding "
		"3\n"
		"    grad mode on -> off inside a trace, back on 214.0 us later: restored\n"
		"    a function decorated with @no_grad, called at /src/model.py:42 in "
		"Net.forward\n"
		"    the graph has a region of its own (wrap_with_set_grad_enabled) for all of the "
		"decorated function\n"
		"    quantizers, delegates and other passes that do not look into regions skip it: "
		"take the change out of the exported code, or make it around the whole export\n");
	event.finding.decorator = false;
	assert_non_null(strstr(printed(&event, false, 0), "for all that ran in between\n"));
	event.finding.restored = RESTORED_NO;
	event.finding.began = 0;
	assert_non_null(strstr(printed(&event, false, 0),
			       "    the trace began with grad off\n    the graph has a region of "
			       "its own (wrap_with_set_grad_enabled) for all that ran from there "
			       "on\n"));
}

static void test_json_finding(void **state)
{
	struct event event = make_finding();

	(void)state;
	event.process = make_event(EVENT_START).process;
	event.stack.status = GW_STACK_CUT;
	check_json(&event, COMMON("finding", "06.118000001", "1118000001") PROCESS
		   ",\"finding\":3,\"count\":1,\"fingerprint\":\"fp1:0123456789abcdef\","
		   "\"category\":\"scope\","
		   "\"severity\":\"violation\",\"trace\":7,\"kind\":\"make_fx\","
		   "\"from\":{\"grad\":true,\"inference\":false},"
		   "\"to\":{\"grad\":false,\"inference\":false},"
		   "\"began\":{\"grad\":true,\"inference\":false},\"certain\":true,"
		   "\"restored\":true,\"duration_ns\":214000,\"operators\":3,\"empty\":false,"
		   "\"before_attach\":false,"
		   "\"manager\":\"no_grad\",\"advice\":\"pre_dispatch\",\"whose\":\"user\","
		   "\"decorator\":false,"
		   "\"decorated\":null,\"caller\":null,\"suppressed_by\":null" STACK "}\n");
	event.type = EVENT_REPEATED;
	check_json(&event, COMMON("repeated", "06.118000001",
				  "1118000001") ",\"finding\":3,\"count\":1,\"throttled\":0}\n");
}

static void test_text_hostile(void **state)
{
	struct event event = make_violation();
	const char *line;

	(void)state;
	event.process.tid = event.process.ns_pid = event.process.pid;
	strcpy(event.process.comm, "\x1b[2J\n\xc2\x9b\xff");
	strcpy(event.torch.version, "\xe2\x80\xae");
	assert_string_equal(printed(&event, false, 2),
			    "03:04:06.118  change  grad mode on -> off inside a trace  "
			    "\\x1b[2J\\x0a\\xc2\\x9b\\xff[4711]  torch \\xe2\\x80\\xae  trace 7\n");

	/* arrays without NUL */
	event = make_event(EVENT_SKIPPED);
	memset(event.process.comm, '\n', sizeof(event.process.comm));
	memset(event.torch.file, '\n', sizeof(event.torch.file));
	memset(event.attached.doubt, '\n', sizeof(event.attached.doubt));
	line = printed(&event, false, 0);
	assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
	event.type = EVENT_ATTACHED;
	line = printed(&event, false, 0);
	assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
}

static void test_text_attached(void **state)
{
	struct event event = make_event(EVENT_ATTACHED);

	(void)state;
	event.process.tid = event.process.ns_pid = event.process.pid;
	event.attached.sites = 5;
	event.attached.certain = true;
	assert_string_equal(printed(&event, false, 0),
			    "03:04:06.118  attached  libc10.so  torch 2.13.0  python3[4711]  "
			    "5 probes\n");
	event.attached.sites = 1;
	event.attached.certain = false;
	strcpy(event.attached.doubt, "no TLS offsets");
	strcpy(event.torch.file, "libc10.so");
	event.process.pid = 0;
	assert_string_equal(printed(&event, false, 0),
			    "03:04:06.118  attached  libc10.so  torch 2.13.0  1 probe  "
			    "uncertain: no TLS offsets\n");
	event = make_event(EVENT_SKIPPED);
	event.process.pid = 0;
	strcpy(event.attached.doubt, "not an ELF file");
	assert_string_equal(printed(&event, false, 0),
			    "03:04:06.118  skipped  /opt/torch/lib/libc10.so  not an ELF file\n");
}

static void test_text_traces(void **state)
{
	struct event event = make_trace(EVENT_TRACE_BEGIN);

	(void)state;
	event.process.tid = event.process.ns_pid = event.process.pid;
	assert_string_equal(printed(&event, false, 0), "");
	assert_string_equal(printed(&event, false, 1), "03:04:06.118  trace 7 began  python3[4711]"
						       "  torch 2.13.0\n");
	event.trace.depth = 1;
	assert_string_equal(printed(&event, false, 1),
			    "03:04:06.118  trace 7 began (inside 1 other)  python3[4711]"
			    "  torch 2.13.0\n");
	event.trace.seen_from_start = false;
	assert_string_equal(printed(&event, false, 1),
			    "03:04:06.118  trace 7 began (first seen in the middle)  python3[4711]"
			    "  torch 2.13.0\n");

	event.type = EVENT_TRACE_END;
	assert_string_equal(printed(&event, false, 0), "");
	assert_string_equal(printed(&event, false, 1),
			    "03:04:06.118  trace 7 ended (gone): 12 operators, 2 changes, "
			    "3.4 ms  python3[4711]\n");
	event.trace.operators = event.trace.changes = 1;
	event.trace.last_pop_ns = 0; /* never popped: until the event */
	event.trace.reason = GW_END_EXIT;
	event.time = 3500000000;
	assert_string_equal(printed(&event, false, 1),
			    "03:04:08.500  trace 7 ended (exit): 1 operator, 1 change, "
			    "2.5 s  python3[4711]\n");
	event.time = 0; /* before its beginning: a damaged record */
	assert_string_equal(printed(&event, false, 1),
			    "03:04:05.000  trace 7 ended (exit): 1 operator, 1 change, "
			    "0.0 us  python3[4711]\n");
}

static void test_text_others(void **state)
{
	struct event event = make_event(EVENT_LOST);

	(void)state;
	event.lost.count = 1;
	event.lost.total = 12;
	assert_string_equal(printed(&event, false, 0),
			    "03:04:06.118  LOST  1 violation lost here, 12 in all\n");
	event.lost.count = 12;
	assert_string_equal(printed(&event, false, 0),
			    "03:04:06.118  LOST  12 violations lost here, 12 in all\n");
	event.type = EVENT_LOST_OUTPUT;
	assert_string_equal(printed(&event, false, 0),
			    "03:04:06.118  LOST  12 lines of this output lost here, 12 in all\n");
	check_json(&event, COMMON("lost_output", "06.118000001", "1118000001") ",\"count\":12,"
									       "\"total\":12}\n");
	event.type = EVENT_START;
	assert_string_equal(printed(&event, false, 9), "");
	event.type = EVENT_END;
	assert_string_equal(printed(&event, false, 9), "");
	printed(NULL, false, 0);
}

/* Two files of one name are told apart by the directories above them: three components in all. */
static void test_text_places(void **state)
{
	static const struct {
		const char *file, *shown;
	} cases[] = {
		{"/lib/site-packages/transformers/models/llama/modeling_llama.py",
		 "models/llama/modeling_llama.py"},
		{"/home/a/one/utils.py", "a/one/utils.py"},
		{"/home/a/two/utils.py", "a/two/utils.py"},
		{"/a/b.py", "/a/b.py"},
		{"/a/b/c.py", "a/b/c.py"},
		{"a/b/c.py", "a/b/c.py"},
		{"<string>", "<string>"},
		{"", ""},
		{"/", "/"},
		{"a/b/c/", "b/c/"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct event_frame frame = {cases[i].file, "f", 3};
		char expected[128], *text = NULL;
		size_t size = 0;
		FILE *stream = open_memstream(&text, &size);

		assert_non_null(stream);
		output_place(stream, &frame);
		fclose(stream);
		snprintf(expected, sizeof(expected), "%s:3 in f", cases[i].shown);
		assert_string_equal(text, expected);
		free(text);
	}
}

static void check_totals(const struct event_totals *totals, const char *expected)
{
	char *text = NULL;
	size_t size = 0;
	FILE *stream = open_memstream(&text, &size);

	assert_non_null(stream);
	text_totals(stream, totals);
	fclose(stream);
	assert_string_equal(text, expected);
	free(text);
}

static void test_totals(void **state)
{
	struct event_totals totals = {.processes = 1, .traces = 3, .violations = 4, .findings = 1};

	(void)state;
	totals.counter[GW_HITS] = 570;
	totals.counter[GW_REPORTED] = 3;
	totals.counter[GW_THROTTLED] = 1;
	totals.counter[GW_REDUNDANT] = 10;
	totals.counter[GW_OUTSIDE] = 556;
	check_totals(&totals, "1 process, 3 traces, 4 violations, 0 lost, 1 finding\n"
			      "ledger: 570 hits = 3 reported + 10 redundant + 556 outside-trace + "
			      "0 filtered + 0 lost + 1 throttled\n");
	totals.counter[GW_HITS] = totals.counter[GW_REPORTED] = 1;
	totals.counter[GW_THROTTLED] = totals.counter[GW_REDUNDANT] = 0;
	totals.counter[GW_OUTSIDE] = 0;
	check_totals(&totals, "1 process, 3 traces, 4 violations, 0 lost, 1 finding\n"
			      "ledger: 1 hit = 1 reported + 0 redundant + 0 outside-trace + "
			      "0 filtered + 0 lost + 0 throttled\n");
	totals = (struct event_totals){.traces = 1, .violations = 1, .lost = 1};
	totals.counter[GW_HITS] = 2;
	totals.counter[GW_REPORTED] = totals.counter[GW_LOST] = 1;
	totals.counter[GW_THREADS_FULL] = 2;
	totals.counter[GW_NESTING_FULL] = 3;
	check_totals(&totals, "0 processes, 1 trace, 1 violation, 1 lost, 0 findings\n"
			      "ledger: 2 hits = 1 reported + 0 redundant + 0 outside-trace + "
			      "0 filtered + 1 lost + 0 throttled\n"
			      "warning: thread map full: 2; "
			      "traces nested too deep: 3\n");
	totals.infos = 1;
	totals.lost_output = 6;
	check_totals(&totals, "0 processes, 1 trace, 1 violation, 1 lost, 0 findings, "
			      "1 change for information\n"
			      "ledger: 2 hits = 1 reported + 0 redundant + 0 outside-trace + "
			      "0 filtered + 1 lost + 0 throttled\n"
			      "warning: thread map full: 2; "
			      "traces nested too deep: 3; lines of output lost: 6\n");
	totals = (struct event_totals){.processes = 2};
	totals.counter[GW_HITS] = 2;
	totals.counter[GW_REPORTED] = totals.counter[GW_UNREADABLE] = 1;
	totals.notes = 2;
	check_totals(&totals, "2 processes, 0 traces, 0 violations, 0 lost, 0 findings, 2 notes\n"
			      "ledger: 2 hits = 1 reported + 0 redundant + 0 outside-trace + "
			      "0 filtered + 0 lost + 0 throttled\n"
			      "warning: the ledger does not balance, so findings may be missing; "
			      "thread state unreadable, so judged by tracking: 1\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_json_plain),
		cmocka_unit_test(test_json_attached),
		cmocka_unit_test(test_json_trace),
		cmocka_unit_test(test_json_violation),
		cmocka_unit_test(test_json_cut),
		cmocka_unit_test(test_cgroup),
		cmocka_unit_test(test_json_hostile),
		cmocka_unit_test(test_text_violation),
		cmocka_unit_test(test_text_hostile),
		cmocka_unit_test(test_text_attached),
		cmocka_unit_test(test_text_traces),
		cmocka_unit_test(test_text_others),
		cmocka_unit_test(test_totals),
		cmocka_unit_test(test_text_finding),
		cmocka_unit_test(test_json_finding),
		cmocka_unit_test(test_text_compiled),
		cmocka_unit_test(test_text_finding_kinds),
		cmocka_unit_test(test_text_uncounted),
		cmocka_unit_test(test_text_places),
		cmocka_unit_test(test_text_note),
	};

	setenv("TZ", "UTC", 1);
	tzset();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
