// SPDX-License-Identifier: GPL-2.0-or-later
/* user/model: records and trace snapshots in, events and totals out. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "model/model.h"
#include "model/recent.h"

#define IDLE_NS    1000
#define MAX_EVENTS 32

/* The events of one test. More than fit are only counted. */
struct fixture {
	struct model *model;
	struct event event[MAX_EVENTS];
	unsigned int events;
};

static void take_event(void *context, const struct event *event)
{
	struct fixture *fixture = context;

	if (fixture->events < MAX_EVENTS)
		fixture->event[fixture->events] = *event;
	fixture->events++;
}

static void resolve_process(void *context, uint32_t pid, uint64_t start_time,
			    struct event_process *process)
{
	(void)context;
	assert_int_equal(pid, process->pid);
	assert_int_equal(start_time, process->start_time);
	strcpy(process->exe, "/usr/bin/python3");
}

static void resolve_torch(void *context, uint32_t file_id, struct event_torch *torch)
{
	(void)context;
	if (file_id == 5)
		strcpy(torch->version, "2.13.0");
}

static int setup(void **state)
{
	static const struct model_options options = {.idle_ns = IDLE_NS, .kinds = KINDS_ALL};
	static const struct model_resolver resolver = {
		.process = resolve_process,
		.torch = resolve_torch,
	};
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	if (!fixture)
		return -1;
	fixture->model = model_new(&options, &resolver, take_event, fixture);
	*state = fixture;
	return fixture->model ? 0 : -1;
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;

	model_free(fixture->model);
	free(fixture);
	return 0;
}

/* The types of all events so far, a letter each, in order. */
static const char *story(const struct fixture *fixture)
{
	static const char letter[] = {
		[EVENT_START] = '?',       [EVENT_ATTACHED] = '?',  [EVENT_SKIPPED] = '?',
		[EVENT_TRACE_BEGIN] = 'B', [EVENT_TRACE_END] = 'E', [EVENT_CHANGE] = 'V',
		[EVENT_LOST] = 'L',        [EVENT_END] = '.',       [EVENT_FINDING] = 'F',
		[EVENT_REPEATED] = 'R',
	};
	static char text[MAX_EVENTS + 1];
	unsigned int i;

	assert_true(fixture->events <= MAX_EVENTS);
	for (i = 0; i < fixture->events; i++)
		text[i] = letter[fixture->event[i].type];
	text[i] = '\0';
	return text;
}

static const struct event *last(const struct fixture *fixture)
{
	assert_true(fixture->events);
	return &fixture->event[fixture->events - 1];
}

static struct event_totals totals_of(const struct fixture *fixture)
{
	struct event_totals totals;

	model_totals(fixture->model, &totals);
	return totals;
}

static struct gw_event_record make_violation(uint64_t time, uint64_t trace, uint64_t lost)
{
	struct gw_event_record violation = {
		.header = {.type = GW_RECORD_CHANGE,
			   .version = GW_ABI_VERSION,
			   .size = sizeof(violation),
			   .time = time,
			   .lost = lost},
		.trace = trace,
		.start_time = 123000000000,
		.pid = 40,
		.tid = 41,
		.ns_pid = 2,
		.ns_tid = 3,
		.uid = 1000,
		.file_id = 5,
		.from = 1,
		.began = GW_STATE_GRAD,
		.certain = 1,
	};

	/* no NUL: a name may fill the field */
	memset(violation.comm, 'x', sizeof(violation.comm));
	return violation;
}

static struct gw_trace make_trace(uint64_t id)
{
	struct gw_trace trace = {
		.id = id,
		.start_time = 123000000000,
		.first_push = 100,
		.last_push = 200,
		.pushes = 12,
		.pops = 11,
		.operators = 10,
		.changes = 1,
		.pid = 40,
		.tid = 41,
		.file_id = 5,
		.seen_from_start = 1,
		.depth = 1,
		.comm = "python3",
	};

	return trace;
}

static int record(struct fixture *fixture, struct gw_event_record violation,
		  const struct gw_trace *trace)
{
	return model_record(fixture->model, &violation, sizeof(violation), trace, NULL);
}

static void test_violation(void **state)
{
	struct fixture *fixture = *state;
	const struct event *event;

	assert_int_equal(record(fixture, make_violation(500, 0, 0), NULL), 0);
	/* without a trace there is nothing to wait for */
	assert_string_equal(story(fixture), "VF");
	event = &fixture->event[0];
	assert_int_equal(event->time, 500);
	assert_int_equal(event->process.pid, 40);
	assert_int_equal(event->process.tid, 41);
	assert_int_equal(event->process.ns_pid, 2);
	assert_int_equal(event->process.ns_tid, 3);
	assert_int_equal(event->process.uid, 1000);
	assert_string_equal(event->process.comm, "xxxxxxxxxxxxxxxx");
	assert_string_equal(event->process.exe, "/usr/bin/python3");
	assert_string_equal(event->torch.version, "2.13.0");
	assert_string_equal(event->torch.file, "");
	assert_int_equal(event->change.trace, 0);
	assert_true(event->change.from);
	assert_false(event->change.to);
	assert_true(event->change.certain);
	assert_int_equal(totals_of(fixture).violations, 1);
	assert_int_equal(totals_of(fixture).traces, 0);
	assert_int_equal(totals_of(fixture).processes, 1);
}

/* Known by its mode, though the record of its begin was lost: else it would be a violation. */
static void test_pre_dispatch(void **state)
{
	static const struct model_options options = {.kinds = KINDS_ALL &
							      ~(1u << TRACE_KIND_PRE_DISPATCH)};
	struct fixture *fixture = *state;
	struct gw_event_record change = make_violation(500, 7, 0);
	struct gw_trace trace = make_trace(7);

	model_free(fixture->model);
	fixture->model = model_new(&options, NULL, take_event, fixture);
	assert_non_null(fixture->model);
	change.mode = trace.mode = GW_MODE_PRE_DISPATCH;
	trace.end_reason = GW_END_LEFT;
	trace.throttled = 3;
	for (int i = 0; i < 2; i++)
		assert_int_equal(record(fixture, change, &trace), 0);
	assert_true(model_trace(fixture->model, &trace, MODEL_MODE_UNKNOWN, 900));
	assert_string_equal(story(fixture), "BVVFE");
	for (unsigned int i = 1; i < 3; i++) {
		assert_int_equal(fixture->event[i].change.kind, TRACE_KIND_PRE_DISPATCH);
		assert_true(fixture->event[i].change.info);
	}
	assert_int_equal(fixture->event[0].trace.kind, TRACE_KIND_PRE_DISPATCH);
	/* PyTorch makes a region of it: a note, which is no violation. */
	assert_true(fixture->event[3].finding.severity == SEVERITY_NOTE);
	assert_int_equal(fixture->event[3].finding.advice, ADVICE_REGION);
	assert_true(fixture->event[3].finding.uncounted);
	assert_int_equal(totals_of(fixture).infos, 2 + 3);
	assert_int_equal(totals_of(fixture).violations, 0);
	assert_int_equal(totals_of(fixture).findings, 0);
	assert_int_equal(totals_of(fixture).notes, 1);
	/* Its repeat is as little for everyone as it is. */
	model_finish(fixture->model, 1000);
	assert_string_equal(story(fixture), "BVVFER.");
	assert_true(fixture->event[5].finding.severity == SEVERITY_NOTE);
}

/* No region: the mode that the trace began with, or a begin that is not known. */
static void test_no_region(void **state)
{
	static const struct model_options options = {.kinds = KINDS_ALL &
							      ~(1u << TRACE_KIND_PRE_DISPATCH)};
	static const uint8_t began[] = {0, GW_STATE_UNKNOWN};
	struct fixture *fixture = *state;

	for (unsigned int i = 0; i < 2; i++) {
		struct gw_event_record change = make_violation(500, 0, 0);

		model_free(fixture->model);
		fixture->model = model_new(&options, NULL, take_event, fixture);
		assert_non_null(fixture->model);
		change.mode = GW_MODE_PRE_DISPATCH;
		change.began = began[i];
		assert_int_equal(record(fixture, change, NULL), 0);
		assert_true(last(fixture)->finding.severity == SEVERITY_INFO);
		assert_int_equal(totals_of(fixture).notes, 0);
	}
}

/* With --began on, a trace that began with grad off has no violations; an unknown one has. */
static void test_began(void **state)
{
	static const struct model_options options = {.kinds = KINDS_ALL, .began_on = true};
	static const uint8_t began[] = {0, GW_STATE_UNKNOWN, GW_STATE_GRAD};
	struct fixture *fixture = *state;
	struct gw_trace trace = make_trace(7);
	struct event_totals totals;

	model_free(fixture->model);
	fixture->model = model_new(&options, NULL, take_event, fixture);
	assert_non_null(fixture->model);
	for (unsigned int i = 0; i < 3; i++) {
		struct gw_event_record change = make_violation(500, 0, 0);

		change.began = began[i];
		assert_int_equal(record(fixture, change, NULL), 0);
	}
	/* Changes that were not sent count by their trace's begin. */
	trace.end_reason = GW_END_LEFT;
	trace.throttled = 5;
	assert_true(model_trace(fixture->model, &trace, MODEL_MODE_UNKNOWN, 900));
	totals = totals_of(fixture);
	assert_int_equal(totals.infos, 1 + 5);
	assert_int_equal(totals.violations, 2);
	assert_true(fixture->event[0].change.info);
	assert_true(fixture->event[1].finding.severity == SEVERITY_INFO);
	assert_false(fixture->event[2].change.info);
	assert_int_equal(fixture->event[2].change.began, GW_STATE_UNKNOWN);
}

static void test_bad_records(void **state)
{
	struct fixture *fixture = *state;
	struct gw_event_record good = make_violation(500, 7, 3), bad;
	char unaligned[sizeof(good) + 1];

	for (size_t size = 0; size < sizeof(good); size++) {
		/* from the heap, so that ASan sees a read beyond the size */
		void *cut = malloc(size + !size);

		assert_non_null(cut);
		memcpy(cut, &good, size);
		assert_int_equal(model_record(fixture->model, cut, size, NULL, NULL), -EBADMSG);
		free(cut);
	}
	bad = good;
	bad.header.type = 0;
	assert_int_equal(record(fixture, bad, NULL), -EBADMSG);
	bad = good;
	bad.header.version = GW_ABI_VERSION + 1;
	assert_int_equal(record(fixture, bad, NULL), -EBADMSG);
	bad = good;
	bad.header.size--;
	assert_int_equal(record(fixture, bad, NULL), -EBADMSG);
	bad.header.size = UINT32_MAX;
	assert_int_equal(record(fixture, bad, NULL), -EBADMSG);

	assert_int_equal(model_bad_records(fixture->model), sizeof(good) + 4);
	assert_int_equal(fixture->events, 0);
	assert_int_equal(totals_of(fixture).lost, 0);

	memcpy(unaligned + 1, &good, sizeof(good));
	assert_int_equal(model_record(fixture->model, unaligned + 1, sizeof(good), NULL, NULL), 0);
	assert_string_equal(story(fixture), "LBV");
}

static void test_begin_from_trace(void **state)
{
	struct fixture *fixture = *state;
	struct gw_trace trace = make_trace(7);
	const struct event *event = &fixture->event[0];

	record(fixture, make_violation(500, 7, 0), &trace);
	record(fixture, make_violation(501, 7, 0), &trace);
	assert_string_equal(story(fixture), "BVVF"); /* the first was put back unseen */
	assert_int_equal(event->time, 100);
	assert_int_equal(event->trace.id, 7);
	assert_int_equal(event->trace.first_push_ns, 100);
	assert_int_equal(event->trace.last_push_ns, 200);
	assert_int_equal(event->trace.last_pop_ns, 0);
	assert_int_equal(event->trace.pushes, 12);
	assert_int_equal(event->trace.pops, 11);
	assert_int_equal(event->trace.operators, 10);
	assert_int_equal(event->trace.changes, 1);
	assert_int_equal(event->trace.depth, 1);
	assert_true(event->trace.seen_from_start);
	assert_int_equal(event->trace.reason, GW_END_NONE);
	assert_string_equal(event->process.comm, "python3");
	assert_string_equal(event->torch.version, "2.13.0");
	assert_int_equal(fixture->event[2].change.trace, 7);
	assert_int_equal(totals_of(fixture).traces, 1);
	assert_int_equal(totals_of(fixture).processes, 1);
}

static void test_begin_from_violation(void **state)
{
	struct fixture *fixture = *state;
	struct gw_trace other = make_trace(8);

	record(fixture, make_violation(500, 7, 0), NULL);
	assert_string_equal(story(fixture), "BV");
	assert_int_equal(fixture->event[0].time, 500);
	assert_int_equal(fixture->event[0].trace.id, 7);
	assert_int_equal(fixture->event[0].trace.first_push_ns, 500);
	assert_false(fixture->event[0].trace.seen_from_start);

	/* a snapshot of another trace says nothing about this one */
	record(fixture, make_violation(500, 9, 0), &other);
	assert_string_equal(story(fixture), "BVBV");
	assert_int_equal(fixture->event[2].trace.id, 9);
	assert_false(fixture->event[2].trace.seen_from_start);
}

static void test_lost(void **state)
{
	struct fixture *fixture = *state;
	uint64_t counter[GW_COUNTER_MAX] = {0};

	record(fixture, make_violation(500, 7, 5), NULL);
	assert_string_equal(story(fixture), "LBV");
	assert_int_equal(fixture->event[0].time, 500);
	assert_int_equal(fixture->event[0].lost.count, 5);
	assert_int_equal(fixture->event[0].lost.total, 5);

	/* another CPU's record, a little older */
	record(fixture, make_violation(499, 7, 2), NULL);
	record(fixture, make_violation(501, 7, 5), NULL);
	assert_string_equal(story(fixture), "LBVVFV");
	record(fixture, make_violation(502, 7, 6), NULL);
	assert_string_equal(story(fixture), "LBVVFVLV");
	assert_int_equal(fixture->event[6].lost.count, 1);
	assert_int_equal(fixture->event[6].lost.total, 6);

	/* the counters tell what no record did */
	counter[GW_LOST] = 6;
	model_counters(fixture->model, counter, 600);
	assert_string_equal(story(fixture), "LBVVFVLV");
	counter[GW_LOST] = 9;
	counter[GW_HITS] = 12;
	model_counters(fixture->model, counter, 601);
	assert_string_equal(story(fixture), "LBVVFVLVL");
	assert_int_equal(last(fixture)->time, 601);
	assert_int_equal(last(fixture)->lost.count, 3);
	assert_int_equal(last(fixture)->lost.total, 9);
	assert_int_equal(totals_of(fixture).lost, 9);
	assert_int_equal(totals_of(fixture).violations, 4);
	assert_int_equal(totals_of(fixture).counter[GW_HITS], 12);
}

static void test_trace_open(void **state)
{
	struct fixture *fixture = *state;
	struct gw_trace trace = make_trace(7);

	/* pushed: not over, whatever is said of the mode, however long it takes */
	assert_false(model_trace(fixture->model, &trace, MODEL_MODE_UNKNOWN, 300));
	assert_false(model_trace(fixture->model, &trace, MODEL_MODE_GONE, 1000000));
	trace.last_pop = 199;
	assert_false(model_trace(fixture->model, &trace, MODEL_MODE_GONE, 1000000));
	/* popped, but its mode is there and it was just busy; the snapshot may be younger than now
	 */
	trace.last_pop = 300;
	assert_false(model_trace(fixture->model, &trace, MODEL_MODE_ALIVE, 300 + IDLE_NS));
	assert_false(model_trace(fixture->model, &trace, MODEL_MODE_UNKNOWN, 299));
	assert_string_equal(story(fixture), "B");
	assert_int_equal(last(fixture)->time, 100);
}

static void test_trace_gone(void **state)
{
	struct fixture *fixture = *state;
	struct gw_trace trace = make_trace(7);

	trace.last_pop = 200; /* the same tick as the push */
	assert_true(model_trace(fixture->model, &trace, MODEL_MODE_GONE, 400));
	assert_string_equal(story(fixture), "BE");
	assert_int_equal(last(fixture)->time, 400);
	assert_int_equal(last(fixture)->trace.reason, GW_END_GONE);
	assert_int_equal(last(fixture)->trace.last_pop_ns, 200);
	assert_int_equal(last(fixture)->trace.operators, 10);
	assert_string_equal(last(fixture)->torch.version, "2.13.0");

	/* still in the map: told once, and to be removed */
	assert_true(model_trace(fixture->model, &trace, MODEL_MODE_ALIVE, 500));
	/* a record that was under way does not begin it again */
	record(fixture, make_violation(200, 7, 0), &trace);
	record(fixture, make_violation(200, 7, 0), NULL);
	assert_string_equal(story(fixture), "BEVFV");
	assert_int_equal(totals_of(fixture).traces, 1);
}

static void test_trace_idle(void **state)
{
	struct fixture *fixture = *state;
	struct gw_trace trace = make_trace(7);

	trace.last_pop = 300;
	assert_true(model_trace(fixture->model, &trace, MODEL_MODE_ALIVE, 301 + IDLE_NS));
	assert_string_equal(story(fixture), "BE");
	assert_int_equal(last(fixture)->trace.reason, GW_END_IDLE);
	assert_int_equal(last(fixture)->time, 301 + IDLE_NS);
}

static void test_trace_ended_by_bpf(void **state)
{
	struct fixture *fixture = *state;
	struct gw_trace trace = make_trace(7);

	trace.end_reason = GW_END_EXIT; /* while pushed */
	trace.changes = 0;
	trace.end = 250;
	record(fixture, make_violation(150, 7, 0), &trace);
	assert_true(model_trace(fixture->model, &trace, MODEL_MODE_UNKNOWN, 9000));
	assert_string_equal(story(fixture), "BVFE");
	assert_int_equal(fixture->event[2].finding.restored, RESTORED_NO);
	assert_int_equal(last(fixture)->time, 250);
	assert_int_equal(last(fixture)->trace.reason, GW_END_EXIT);
	assert_int_equal(last(fixture)->trace.last_push_ns, 200);
}

static void test_detach(void **state)
{
	struct fixture *fixture = *state;
	struct gw_trace open = make_trace(7), ended = make_trace(8);

	model_trace_detach(fixture->model, &open, 300);
	assert_string_equal(story(fixture), "BE");
	assert_int_equal(last(fixture)->time, 300);
	assert_int_equal(last(fixture)->trace.reason, GW_END_DETACHED);
	model_trace_detach(fixture->model, &open, 301);
	assert_string_equal(story(fixture), "BE");

	ended.end_reason = GW_END_REPLACED;
	ended.end = 280;
	model_trace_detach(fixture->model, &ended, 300);
	assert_string_equal(story(fixture), "BEBE");
	assert_int_equal(last(fixture)->time, 280);
	assert_int_equal(last(fixture)->trace.reason, GW_END_REPLACED);
}

static void test_processes(void **state)
{
	struct fixture *fixture = *state;
	struct gw_trace trace = make_trace(7);

	/* 123 s as /proc has it, and as BPF has it */
	model_process(fixture->model, 40, 123000000000);
	trace.start_time = 123009999999;
	model_trace(fixture->model, &trace, MODEL_MODE_UNKNOWN, 300);
	assert_int_equal(totals_of(fixture).processes, 1);
	/* the same pid again, later */
	model_process(fixture->model, 40, 123010000000);
	model_process(fixture->model, 41, 123000000000);
	model_process(fixture->model, 41, 123000000000);
	assert_int_equal(totals_of(fixture).processes, 3);
}

static void test_finish(void **state)
{
	struct fixture *fixture = *state;
	struct gw_trace trace = make_trace(7);
	uint64_t counter[GW_COUNTER_MAX] = {[GW_HITS] = 3, [GW_REPORTED] = 1, [GW_LOST] = 2};

	record(fixture, make_violation(500, 7, 2), &trace);
	model_counters(fixture->model, counter, 600);
	model_finish(fixture->model, 700);
	assert_string_equal(story(fixture), "LBV.");
	assert_int_equal(last(fixture)->time, 700);
	assert_int_equal(last(fixture)->totals.processes, 1);
	assert_int_equal(last(fixture)->totals.traces, 1);
	assert_int_equal(last(fixture)->totals.violations, 1);
	assert_int_equal(last(fixture)->totals.lost, 2);
	assert_memory_equal(last(fixture)->totals.counter, counter, sizeof(counter));

	/* nothing after that */
	record(fixture, make_violation(500, 8, 3), NULL);
	assert_false(model_trace(fixture->model, &trace, MODEL_MODE_GONE, 9000));
	model_trace_detach(fixture->model, &trace, 9000);
	counter[GW_LOST] = 9;
	model_counters(fixture->model, counter, 9000);
	model_process(fixture->model, 99, 1);
	model_finish(fixture->model, 9000);
	assert_string_equal(story(fixture), "LBV.");
	assert_int_equal(totals_of(fixture).lost, 2);
	assert_int_equal(totals_of(fixture).processes, 1);
}

/* Far more traces than are remembered: every one told once. */
static void test_many_traces(void **state)
{
	struct fixture *fixture = *state;
	const unsigned int traces = 3 * GW_MAX_TRACES;

	for (unsigned int i = 1; i <= traces; i++) {
		struct gw_trace trace = make_trace(i);

		assert_false(model_trace(fixture->model, &trace, MODEL_MODE_ALIVE, 300));
		assert_false(model_trace(fixture->model, &trace, MODEL_MODE_ALIVE, 301));
		trace.end_reason = GW_END_GONE;
		assert_true(model_trace(fixture->model, &trace, MODEL_MODE_ALIVE, 302));
	}
	assert_int_equal(fixture->events, 2 * traces);
	assert_int_equal(totals_of(fixture).traces, traces);
}

static void test_without_resolver(void **state)
{
	struct fixture *fixture = *state;
	struct model_options options = {0};
	struct model *model = model_new(&options, NULL, take_event, fixture);
	struct gw_event_record violation = make_violation(1, 0, 0);

	assert_non_null(model);
	assert_int_equal(model_record(model, &violation, sizeof(violation), NULL, NULL), 0);
	assert_string_equal(last(fixture)->process.exe, "");
	model_free(model);
	model_free(NULL);
}

static void test_balance(void **state)
{
	uint64_t counter[GW_COUNTER_MAX] = {0};

	(void)state;
	assert_true(model_ledger_balances(counter));
	for (unsigned int i = GW_REPORTED; i <= GW_LOST; i++) {
		counter[i] = i;
		assert_false(model_ledger_balances(counter));
		counter[GW_HITS] += i;
		assert_true(model_ledger_balances(counter));
	}
	/* the others are no part of it */
	counter[GW_UNREADABLE] = 1;
	counter[GW_PROCESSES_FULL] = 1;
	assert_true(model_ledger_balances(counter));
}

/* The bounded set against the plainest one: an array from old to young. */
/* What is known of a process goes 2 s after its end: late records still have their frames. */
static void test_process_ended(void **state)
{
	const uint64_t second = 1000000000;
	struct fixture *fixture = *state;
	struct {
		struct gw_event_record record;
		struct gw_frame frame;
	} change = {.record = make_violation(500, 0, 0), .frame = {.code = 9}};
	struct gw_code_record code = {
		.header = {.type = GW_RECORD_CODE, .version = GW_ABI_VERSION},
		.id = 9,
		.pid = 40,
		.start_time = change.record.start_time,
		.file_kind = 1,
		.name_kind = 1,
		.name_bytes = 1,
		.name = "f",
	};
	const uint64_t counter[GW_COUNTER_MAX] = {0};

	change.record.frames = 1;
	change.record.header.size = sizeof(change);
	model_record(fixture->model, &code, sizeof(code), NULL, NULL);
	model_process(fixture->model, 40, change.record.start_time);
	for (int n = 0; n < 2; n++)
		model_process_ended(fixture->model, 40, change.record.start_time, second);
	for (uint64_t now = second; now <= 3 * second; now += second) {
		model_counters(fixture->model, counter, now);
		fixture->events = 0;
		assert_int_equal(model_record(fixture->model, &change, sizeof(change), NULL, NULL),
				 0);
		assert_string_equal(fixture->event[0].stack.frame[0].function,
				    now < 3 * second ? "f" : "?");
	}
	assert_int_equal(totals_of(fixture).processes, 2); /* a record that came too late */
}

static void test_recent(void **state)
{
	enum { CAPACITY = 13, KEYS = 40 };
	struct recent *set = recent_new(CAPACITY);
	uint64_t plain[CAPACITY];
	unsigned int size = 0;
	uint32_t random = 1;

	(void)state;
	assert_non_null(set);
	for (int step = 0; step < 20000; step++) {
		random = random * 1664525 + 1013904223;
		uint64_t value = (random >> 16) % KEYS;
		struct recent_key key = {.first = value % 5, .second = value / 5};
		unsigned int at = 0;

		while (at < size && plain[at] != value)
			at++;
		assert_int_equal(recent_contains(set, key), at < size);
		if (random >> 31) {
			assert_int_equal(recent_add(set, key), at == size);
			if (at < size)
				continue;
			if (size == CAPACITY)
				memmove(plain, plain + 1, --size * sizeof(*plain));
			plain[size++] = value;
		} else {
			assert_int_equal(recent_remove(set, key), at < size);
			if (at == size)
				continue;
			memmove(plain + at, plain + at + 1, (size - at - 1) * sizeof(*plain));
			size--;
		}
	}
	recent_free(set);

	set = recent_new(1);
	assert_non_null(set);
	assert_true(recent_add(set, (struct recent_key){.first = 1}));
	assert_true(recent_add(set, (struct recent_key){.first = 2}));
	assert_false(recent_contains(set, (struct recent_key){.first = 1}));
	assert_true(recent_remove(set, (struct recent_key){.first = 2}));
	assert_false(recent_remove(set, (struct recent_key){.first = 2}));
	recent_free(set);
}

#define MODEL_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		MODEL_TEST(test_violation),
		MODEL_TEST(test_pre_dispatch),
		MODEL_TEST(test_no_region),
		MODEL_TEST(test_began),
		MODEL_TEST(test_bad_records),
		MODEL_TEST(test_begin_from_trace),
		MODEL_TEST(test_begin_from_violation),
		MODEL_TEST(test_lost),
		MODEL_TEST(test_trace_open),
		MODEL_TEST(test_trace_gone),
		MODEL_TEST(test_trace_idle),
		MODEL_TEST(test_trace_ended_by_bpf),
		MODEL_TEST(test_detach),
		MODEL_TEST(test_processes),
		MODEL_TEST(test_finish),
		MODEL_TEST(test_many_traces),
		MODEL_TEST(test_without_resolver),
		cmocka_unit_test(test_balance),
		MODEL_TEST(test_process_ended),
		cmocka_unit_test(test_recent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
