// SPDX-License-Identifier: GPL-2.0-or-later
/* user/report/replay: a log with inputs, written and read: the model says the same, to the byte. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/clock.h"
#include "log/logs.h"
#include "model/suppressions.h"
#include "model_scenario.h"
#include "output/sink.h"
#include "report/replay.h"

#define STEPS      3000
#define EVENTS_MAX 20000

static char directory[] = "/tmp/gradwatch-replay-XXXXXX";

/* A run with a log, and the lines of all its events. */
struct live {
	struct sink_context names;
	struct sink *log;
	char *line[EVENTS_MAX];
	size_t count;
};

static void on_event(void *context, const struct event *event)
{
	struct live *live = context;
	struct event end = *event;
	size_t length;

	if (event->type == EVENT_END) /* as the command does: it knows its outputs */
		end.totals.lost_output = 0;
	assert_true(live->count < EVENTS_MAX);
	live->line[live->count] = event_to_json(&live->names, &end, &length);
	assert_non_null(live->line[live->count++]);
	sink_event(live->log, &end);
}

static void on_input(void *context, const struct model_input *input)
{
	struct live *live = context;

	sink_log_input(live->log, input);
	live->names.utc_offset += input->type == MODEL_INPUT_COUNTERS;
}

static const struct log_identity identity = {
	.host = "box", .boot_id = "b", .run_id = "0123456789abcdef"};

/* no_changes: as the command does, which has no output that wants them. */
static void make_log(struct live *live, uint64_t seed, bool no_changes)
{
	static const char text[] = "# some\nmine make_fx */model.py Net.*\nother * * helper\n";
	struct err err;
	struct suppressions *suppressions = suppressions_parse(text, strlen(text), &err);
	const struct model_options options = {.idle_ns = 1000000,
					      .kinds = KINDS_ALL,
					      .began_on = seed % 2,
					      .for_log = true,
					      .no_changes = no_changes,
					      .each = !no_changes,
					      .suppressions = seed % 3 ? suppressions : NULL};
	const struct segments_config config = {.path = "log",
					       .owner = geteuid(),
					       .identity = &identity,
					       .level = "all",
					       .sync = SEGMENTS_SYNC_NONE,
					       .max_records = 40,
					       .plain = true};
	struct scenario scenario = {.dice = seed, .now = 1000};
	const struct model_resolver resolver = {scenario_process, scenario_torch, &scenario};
	struct segments *segments = segments_open(&config, &err);
	struct model *model = model_new(&options, &resolver, on_event, live);
	const char *what;

	assert_non_null(segments);
	live->names = (struct sink_context){.identity = identity,
					    .utc_offset = 1700000000000000000};
	live->log = sink_log(&live->names, LOG_DETAIL_ALL, segments, &err);
	assert_non_null(live->log);
	model_on_input(model, on_input, live);
	for (int i = 0; i < STEPS; i++) {
		scenario_step(&scenario, model);
		if (!scenario_random(&scenario, 20))
			sink_log_flush(live->log, scenario.now);
	}
	scenario_finish(&scenario, model);
	assert_true(writer_drain(live->log->writer, clock_monotonic() + 60000000000ull, NULL));
	assert_int_equal(sink_free(live->log, &what), 0);
	model_free(model);
	suppressions_free(suppressions);
}

/* What a replay has made. */
struct seen {
	size_t lines, logged; /* of the model's events; of those that were taken as they are */
	char why[REPLAY_WHY_SIZE];
	struct replay_result result;
};

static const char *text_of(const struct record *record)
{
	return log_types[record->type];
}

/* The event that comes next, by what it says of itself. */
static void check_event(const struct live *live, size_t n, const struct record *record)
{
	char type[64], time[64];

	assert_true(n < live->count);
	snprintf(type, sizeof(type), "\"type\":\"%s\"", text_of(record));
	snprintf(time, sizeof(time), "\"mono_ns\":%llu,",
		 (unsigned long long)record->field[FIELD_MONO_NS].number);
	assert_non_null(strstr(live->line[n], type));
	assert_non_null(strstr(live->line[n], time));
}

static struct seen replay_log(const struct live *live, const char *path)
{
	struct logs *logs = logs_new();
	struct replay *replay = replay_new();
	struct seen seen = {0};
	enum logs_item item;

	assert_non_null(replay);
	assert_int_equal(logs_add(logs, path), 0);
	while ((item = logs_next(logs)) != LOGS_END) {
		const struct record *made;
		const char *line;
		size_t length;
		int code;

		if (item != LOGS_RECORD)
			continue;
		line = logs_line(logs, &length);
		code = replay_take(replay, logs_run(logs), logs_record(logs), line, length);
		assert_true(code >= 0);
		seen.logged += !code;
		while ((made = replay_next(replay))) {
			if (live)
				check_event(live, seen.lines, made);
			seen.lines++;
		}
	}
	replay_finish(replay, logs);
	assert_int_equal(logs_runs(logs), 1);
	assert_non_null(replay_result(replay, 0));
	assert_null(replay_result(replay, 1));
	seen.result = *replay_result(replay, 0);
	replay_free(replay);
	logs_free(logs);
	return seen;
}

static void forget(struct live *live)
{
	for (size_t i = 0; i < live->count; i++)
		free(live->line[i]);
	free(live);
	assert_int_equal(system("rm -r log"), 0);
}

/* The events that both sides are asked for: not each change, and each occurrence of a finding. */
static size_t count_compared(const struct live *live)
{
	size_t count = 0;

	for (size_t i = 0; i < live->count; i++)
		count += !strstr(live->line[i], "\"type\":\"change\"") &&
			 !strstr(live->line[i], "\"type\":\"again\"");
	return count;
}

static void check_same(uint64_t seed, bool no_changes)
{
	struct live *live = calloc(1, sizeof(*live));
	struct seen seen;
	size_t compared;

	make_log(live, seed, no_changes);
	seen = replay_log(no_changes ? NULL : live, "log");
	compared = count_compared(live);
	assert_string_equal(seen.result.why, "");
	if (seen.result.differences)
		fail_msg("%s\n%s", seen.result.shown[0].logged, seen.result.shown[0].made);
	assert_int_equal(seen.result.compared, compared);
	assert_true(compared > 100 && compared < seen.lines);
	assert_true(seen.result.inputs > STEPS / 2);
	if (no_changes)
		assert_int_equal(compared, live->count);
	else
		assert_int_equal(seen.lines, live->count);
	forget(live);
}

static void test_the_same(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 6; seed++)
		check_same(seed, false);
}

static void test_the_same_without_changes(void **state)
{
	(void)state;
	for (uint64_t seed = 7; seed <= 12; seed++)
		check_same(seed, true);
}

/* Copies the log's segments but for one, with something replaced in each line of it. */
static void copy_log(const char *without, const char *from, const char *to)
{
	char command[512];

	snprintf(command, sizeof(command),
		 "rm -rf copy; mkdir copy; cp log/*.jsonl copy/; rm -f copy/*%s; "
		 "sed -i 's/%s/%s/' copy/*.jsonl",
		 without, from, to);
	assert_int_equal(system(command), 0);
}

static void test_missing_segments(void **state)
{
	struct live *live = calloc(1, sizeof(*live));
	struct seen seen;

	(void)state;
	make_log(live, 4, true);
	copy_log("-000001.jsonl", "x", "x");
	seen = replay_log(NULL, "copy");
	assert_int_equal(seen.result.inputs, 0);
	assert_int_equal(strncmp(seen.result.why, "inputs are missing: after 0 ", 28), 0);
	assert_true(seen.logged > 100);

	copy_log("-000003.jsonl", "x", "x");
	seen = replay_log(NULL, "copy");
	assert_true(seen.result.inputs > 0 && seen.lines > 10);
	assert_int_equal(strncmp(seen.result.why, "inputs are missing: after ", 26), 0);
	assert_true(seen.logged > 50);

	/* The last ones: no number is missing between two records. */
	copy_log("-000003.jsonl copy/*-00000[4-9].jsonl copy/*-0000[1-9]?.jsonl", "x", "x");
	seen = replay_log(NULL, "copy");
	assert_true(seen.result.inputs > 0);
	assert_string_equal(seen.result.why, "it has no end: what came last cannot be compared");
	assert_int_equal(seen.result.differences, 0);
	forget(live);
	assert_int_equal(system("rm -r copy"), 0);
}

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
		cmocka_unit_test(test_the_same),
		cmocka_unit_test(test_the_same_without_changes),
		cmocka_unit_test(test_missing_segments),
	};

	return cmocka_run_group_tests(tests, enter_directory, leave_directory);
}
