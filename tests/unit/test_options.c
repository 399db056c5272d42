// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cli/options.h"

#define MAX_ARGS 2048

static struct options options;
static struct err err;

/* Parses a command line given as NULL-ended words. */
static int parse(const char *first, ...)
{
	static char *argv[MAX_ARGS];
	va_list words;
	int argc = 0;

	argv[argc++] = "gradwatch";
	va_start(words, first);
	for (const char *word = first; word; word = va_arg(words, const char *))
		argv[argc++] = (char *)(uintptr_t)word;
	va_end(words);
	argv[argc] = NULL;
	memset(&err, 0, sizeof(err));
	return options_parse(&options, argc, argv, &err);
}

static void takes_pids(void **state)
{
	(void)state;
	assert_int_equal(parse("--pid", "12", "-p", "34", "--json", "-v", NULL), 0);
	assert_int_equal(options.pid_count, 2);
	assert_int_equal(options.pids[1], 34);
	assert_true(options.json);
	assert_int_equal(options.verbosity, 1);
	assert_false(options.follow);
}

static void takes_a_command(void **state)
{
	(void)state;
	assert_int_equal(parse("--fail", "--", "python", "--pid", "x", NULL), 0);
	assert_string_equal(options.child[0], "python");
	assert_string_equal(options.child[2], "x");
	assert_null(options.child[3]);
	assert_int_equal(options.fail_on, FAIL_VIOLATION | FAIL_DRIFT | FAIL_UNKNOWN);
	assert_true(options.follow);
	assert_int_equal(parse("--no-follow", "--", "true", NULL), 0);
	assert_false(options.follow);
}

static void takes_what_fails(void **state)
{
	(void)state;
	assert_int_equal(parse("--pid", "1", NULL), 0);
	assert_int_equal(options.fail_on, 0);
	assert_false(options.began_on);
	assert_int_equal(parse("--fail-on", "note", "--fail", "--pid", "1", NULL), 0);
	assert_int_equal(options.fail_on, FAIL_NOTE);
	assert_int_equal(parse("--fail", "--fail-on=unknown,violation", "--pid", "1", NULL), 0);
	assert_int_equal(options.fail_on, FAIL_UNKNOWN | FAIL_VIOLATION);
	assert_int_equal(parse("--fail-on", "drift,notes", "--pid", "1", NULL), -EINVAL);
	assert_non_null(strstr(err.text, "'notes'"));
	assert_int_equal(parse("--fail-on", "", "--pid", "1", NULL), -EINVAL);
	assert_int_equal(parse("--fail-on", "drift,", "--pid", "1", NULL), -EINVAL);
	assert_int_equal(parse("--began", "on", "--pid", "1", NULL), 0);
	assert_true(options.began_on);
	assert_int_equal(parse("--began", "any", "--pid", "1", NULL), 0);
	assert_false(options.began_on);
	assert_int_equal(parse("--began", "off", "--pid", "1", NULL), -EINVAL);
}

static void takes_doctor(void **state)
{
	(void)state;
	assert_int_equal(parse("doctor", NULL), 0);
	assert_int_equal(options.command, COMMAND_DOCTOR);
	assert_int_equal(parse("doctor", "libc10.so", NULL), 0);
	assert_string_equal(options.file, "libc10.so");
	assert_int_equal(parse("doctor", "--pid", "1", NULL), 0);
	assert_int_equal(parse("doctor", "--pid", "1", "x", NULL), -EINVAL);
	assert_int_equal(parse("doctor", "a", "b", NULL), -EINVAL);
	assert_int_equal(parse("doctor", "--all", NULL), -EINVAL);
}

static void refuses(const char *needle)
{
	assert_non_null(strstr(err.text, needle));
}

static void refuses_nonsense_with_the_fix(void **state)
{
	(void)state;
	assert_int_equal(parse(NULL), -EINVAL);
	refuses("--pid N, --all, -- CMD");
	assert_int_equal(parse("--pid", NULL), -EINVAL);
	refuses("--pid needs a value");
	assert_int_equal(parse("--nonsense", NULL), -EINVAL);
	refuses("'--nonsense'");
	assert_int_equal(parse("--", NULL), -EINVAL);
	refuses("no command");
	assert_int_equal(parse("python", "x.py", NULL), -EINVAL);
	refuses("gradwatch -- python");
	assert_int_equal(parse("--pid", "1", "--all", NULL), -EINVAL);
	refuses("exclude");
	assert_int_equal(parse("--pid", "1", "--", "true", NULL), -EINVAL);
	assert_int_equal(parse("--idle", "0", "--all", NULL), -EINVAL);
}

static void takes_an_output(void **state)
{
	(void)state;
	assert_int_equal(parse("--pid", "5", NULL), 0);
	assert_null(options.output_path);
	assert_int_equal(parse("-o", "file", "--json", "--", "true", NULL), 0);
	assert_string_equal(options.output_path, "file");
	assert_int_equal(parse("--output", "-", "--", "true", NULL), 0);
	assert_string_equal(options.output_path, "-");
	assert_int_equal(parse("-o", NULL), -EINVAL);
	refuses("-o needs a value");
	assert_int_equal(parse("--json", "--print-suppressions", "--all", NULL), -EINVAL);
	refuses("--log DIR");
	assert_int_equal(parse("--json=1", "--all", NULL), -EINVAL);
	refuses("--json takes no value");
	assert_int_equal(parse("--jsonx=1", "--all", NULL), -EINVAL);
	refuses("unknown option '--jsonx=1'");
	assert_int_equal(parse("doctor", "--json", NULL), -EINVAL);
	refuses("--json");
	assert_int_equal(parse("doctor", "-o", "x", NULL), -EINVAL);
	assert_int_equal(parse("release", "--log", "x", "5", NULL), -EINVAL);
}

static void takes_a_log(void **state)
{
	const struct segments_config *log = &options.log.segments;

	(void)state;
	assert_int_equal(parse("--all", NULL), 0);
	assert_null(log->path);
	assert_int_equal(parse("--log", "dir", "--all", NULL), 0);
	assert_string_equal(log->path, "dir");
	assert_int_equal(log->max_bytes, 64 << 20);
	assert_int_equal(options.log.level, LOG_DETAIL_CHANGES);
	assert_int_equal(log->sync, SEGMENTS_SYNC_INTERVAL);
	assert_int_equal(parse("--log-level", "findings", "--log-sync", "each", "--log-plain",
			       "--log-rotate", "time=90m,records=5,keep=7", "--all", NULL),
			 0);
	assert_int_equal(options.log.level, LOG_DETAIL_FINDINGS);
	assert_int_equal(log->sync, SEGMENTS_SYNC_EACH);
	assert_true(log->plain);
	assert_int_equal(log->max_bytes, 0);
	assert_int_equal(log->max_age_ns, 5400 * 1000000000ull);
	assert_int_equal(log->max_records, 5);
	assert_int_equal(log->keep, 7);
	assert_int_equal(parse("--log-rotate", "size=2G", "--all", NULL), 0);
	assert_int_equal(log->max_bytes, 2ull << 30);
	assert_int_equal(parse("--log-level", "more", "--all", NULL), -EINVAL);
	refuses("findings, changes or all");
	assert_int_equal(parse("--log-level", "all", "--all", NULL), 0);
	assert_int_equal(options.log.level, LOG_DETAIL_ALL);
	assert_int_equal(parse("--replay", "--all", NULL), -EINVAL);
	refuses("--replay");
	assert_int_equal(parse("report", "--replay", "dir", NULL), 0);
	assert_true(options.report.replay);
	assert_int_equal(parse("verify", "--replay", "dir", NULL), -EINVAL);
	assert_int_equal(parse("--log-sync", "", "--all", NULL), -EINVAL);
	refuses("none, interval or each");
	for (size_t i = 0; i < 10; i++) {
		static const char *const wrong[] = {
			"",        "size",     "size=",    "size=x",  "size=0",
			"size=1X", "size=1M,", "number=1", "time=1M", "size=99999999999G"};

		assert_int_equal(parse("--log-rotate", wrong[i], "--all", NULL), -EINVAL);
		refuses("size=64M");
	}
}

static void takes_what_is_to_be_read(void **state)
{
	(void)state;
	assert_int_equal(parse("report", "a", "b", NULL), 0);
	assert_int_equal(options.command, COMMAND_REPORT);
	assert_string_equal(options.files[0], "a");
	assert_string_equal(options.files[1], "b");
	assert_null(options.files[2]);
	assert_false(options.kinds_given);
	assert_int_equal(parse("report", "--kinds", "make_fx", "--pid", "5", "--json", "--fail",
			       "--host", "h", "--trace", "9", "--baseline", "old", "--html", "p",
			       "--perfetto", "t", "--torch-trace", "d", "a", NULL),
			 0);
	assert_true(options.kinds_given);
	assert_int_equal(options.report.trace, 9);
	assert_string_equal(options.report.host, "h");
	assert_string_equal(options.report.baseline, "old");
	assert_string_equal(options.report.html, "p");
	assert_string_equal(options.report.perfetto, "t");
	assert_string_equal(options.report.torch_trace, "d");
	assert_int_equal(parse("report", "a", "--json", "b", NULL), 0);
	assert_true(options.json);
	assert_string_equal(options.files[1], "b");
	assert_int_equal(parse("verify", "a", NULL), 0);
	assert_int_equal(options.command, COMMAND_VERIFY);
	assert_int_equal(parse("report", NULL), -EINVAL);
	refuses("which log?");
	assert_int_equal(parse("verify", "--json", "a", NULL), -EINVAL);
	assert_int_equal(parse("report", "--all", "a", NULL), -EINVAL);
	assert_int_equal(parse("verify", "--html", "p", "a", NULL), -EINVAL);
	assert_int_equal(parse("report", "--pid", "1", "--pid", "2", "a", NULL), -EINVAL);
	refuses("one --pid");
	assert_int_equal(parse("report", "--trace", "x", "a", NULL), -EINVAL);
	refuses("number of a trace");
	assert_int_equal(parse("--trace", "1", "--all", NULL), -EINVAL);
	refuses("--trace is not for watching: it is for report");
	assert_int_equal(parse("record", "-o", "d", "--", "true", NULL), 0);
	assert_int_equal(options.command, COMMAND_RECORD);
	assert_int_equal(parse("record", "--", "true", NULL), -EINVAL);
	refuses("-o DIR -- CMD");
	assert_int_equal(parse("record", "-o", "d", "--json", "--", "true", NULL), -EINVAL);
	refuses("--json is not for record: it is for watching, report and status");
}

static void takes_times(void **state)
{
	static const char *const good[][2] = {
		{"2026-01-02", "2026-01-02"},
		{"2026-01-02T03", "2026-01-02T03"},
		{"2026-01-02 03:04", "2026-01-02T03:04"},
		{"2026-01-02T03:04:05Z", "2026-01-02T03:04:05"},
		{"2026-01-02T03:04:05.678901234Z", "2026-01-02T03:04:05.678901234"},
	};
	static const char *const bad[] = {"",
					  "2026",
					  "2026-1-2",
					  "yesterday",
					  "2026-01-02T",
					  "2026-01-02T03:0",
					  "2026-01-02X03",
					  "2026-01-02T03:04:05.",
					  "03:04"};

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		char text[64];

		snprintf(text, sizeof(text), "%s", good[i][0]);
		assert_int_equal(parse("report", "--since", text, "a", NULL), 0);
		assert_string_equal(options.report.since, good[i][1]);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		char text[64];

		snprintf(text, sizeof(text), "%s", bad[i]);
		assert_int_equal(parse("report", "--until", text, "a", NULL), -EINVAL);
		refuses("--until wants a time in UTC");
	}
}

/* Every line fits into a terminal, and every option that has a default names it. */
static void help_fits(void **state)
{
	char *text = NULL, kinds[128] = "", *at;
	size_t size = 0;
	FILE *stream = open_memstream(&text, &size);

	(void)state;
	assert_non_null(stream);
	options_help(stream, COMMAND_WATCH);
	fclose(stream);
	for (at = text; *at; at = strchr(at, '\n') + 1)
		assert_true(strchr(at, '\n') - at <= 80);
	assert_int_equal(parse("--all", NULL), 0);
	for (int i = 1; i <= TRACE_KIND_MAX; i++) {
		int kind = i % TRACE_KIND_MAX; /* unknown is the last */

		if (options.kinds & 1u << kind)
			snprintf(kinds + strlen(kinds), sizeof(kinds) - strlen(kinds), "%s%s",
				 kinds[0] ? "," : "", kind_name(kind));
	}
	assert_non_null(strstr(text, kinds));
	free(text);
}

static void refuses_numbers_that_are_none(void **state)
{
	static const char *const bad[] = {
		"", "0", "-1", "1x", " 1", "0x10", "4194305", "1.5", "99999999999999999999"};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(parse("--pid", bad[i], NULL), -EINVAL);
		refuses(bad[i]);
	}
}

static void has_room_for_so_many_pids(void **state)
{
	static char *argv[2 * OPTIONS_MAX_PIDS + 4];
	int argc = 0;

	(void)state;
	argv[argc++] = "gradwatch";
	for (int i = 0; i < OPTIONS_MAX_PIDS + 1; i++) {
		argv[argc++] = "--pid";
		argv[argc++] = "7";
	}
	argv[argc] = NULL;
	assert_int_equal(options_parse(&options, argc, argv, &err), -EINVAL);
	refuses("--all");
	argv[argc - 2] = NULL;
	assert_int_equal(options_parse(&options, argc - 2, argv, &err), 0);
	assert_int_equal(options.pid_count, OPTIONS_MAX_PIDS);
}

static void takes_enforcement(void **state)
{
	(void)state;
	assert_int_equal(parse("--pid", "5", NULL), 0);
	assert_int_equal(options.enforcement.bpf.action, GW_ACTION_REPORT);
	assert_int_equal(options.enforcement.kinds,
			 1u << TRACE_KIND_EXPORT | 1u << TRACE_KIND_DECOMPOSE);
	assert_int_equal(options.enforcement.hold_ns, 60000000000);
	assert_int_equal(parse("--pid", "5", "--on-violation", "raise", "--fallback", "signal:USR1",
			       "--enforce-kinds", "make_fx", "--dry-run", NULL),
			 0);
	assert_int_equal(options.enforcement.bpf.action, GW_ACTION_RAISE);
	assert_int_equal(options.enforcement.bpf.fallback, GW_ACTION_SIGNAL);
	assert_int_equal(options.enforcement.bpf.signal, 10);
	assert_int_equal(options.enforcement.kinds, 1u << TRACE_KIND_MAKE_FX);
	assert_true(options.enforcement.bpf.dry_run);
	assert_int_equal(parse("--pid", "5", "--on-violation", "signal:KILL", NULL), 0);
	assert_int_equal(options.enforcement.bpf.action, GW_ACTION_KILL);
	assert_int_equal(options.enforcement.bpf.signal, 9);
	assert_int_equal(parse("--pid", "5", "--on-violation", "signal:SIGTERM", NULL), 0);
	assert_int_equal(options.enforcement.bpf.signal, 15);
	assert_int_equal(parse("--all", "--on-violation", "hold", "--enforce-user", "ci", NULL), 0);
	assert_string_equal(options.enforcement.user, "ci");
	assert_int_equal(parse("release", "5", "6", NULL), 0);
	assert_int_equal(options.command, COMMAND_RELEASE);
	assert_int_equal(options.pids[1], 6);
}

static void refuses_enforcement(void **state)
{
	(void)state;
	assert_int_equal(parse("--all", "--on-violation", "kill", NULL), -EINVAL);
	assert_int_equal(parse("--pid", "5", "--on-violation", "signal:", NULL), -EINVAL);
	assert_int_equal(parse("--pid", "5", "--on-violation", "signal", NULL), -EINVAL);
	assert_int_equal(parse("--pid", "5", "--on-violation", "signal:CONT", NULL), -EINVAL);
	assert_int_equal(parse("--pid", "5", "--on-violation", "signal:99", NULL), -EINVAL);
	assert_int_equal(parse("--pid", "5", "--fallback", "kill", NULL), -EINVAL);
	assert_int_equal(parse("--pid", "5", "--escalate", NULL), -EINVAL);
	assert_int_equal(parse("release", NULL), -EINVAL);
	assert_int_equal(parse("release", "x", NULL), -EINVAL);
}

static void refuses_what_has_no_effect(void **state)
{
	static const char *const alone[][2] = {
		{"--enforce-kinds", "make_fx"}, {"--hold-timeout", "5"},
		{"--enforce-user", "root"},     {"--enforce-command", "python3"},
		{"--enforce-cgroup", "/x"},     {"--fallback", "kill"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(alone) / sizeof(alone[0]); i++) {
		assert_int_equal(parse("--pid", "5", alone[i][0], alone[i][1], NULL), -EINVAL);
		refuses(alone[i][0]);
	}
	assert_int_equal(parse("--pid", "5", "--on-violation", "kill", "--hold-timeout", "5", NULL),
			 -EINVAL);
	assert_int_equal(parse("--pid", "5", "--on-violation", "raise", "--fallback", "hold",
			       "--hold-timeout", "5", NULL),
			 0);
}

/* A kind is acted in, or the options are refused. */
static void takes_kinds_that_can_be_acted_in(void **state)
{
	(void)state;
	assert_int_equal(parse("--pid", "5", "--on-violation", "raise", "--kinds",
			       "pre_dispatch,make_fx", "--enforce-kinds", "pre_dispatch,make_fx",
			       NULL),
			 -EINVAL);
	refuses("pre_dispatch");
	assert_int_equal(parse("--pid", "5", "--on-violation", "raise", "--enforce-kinds",
			       "compile,make_fx", NULL),
			 -EINVAL);
	refuses("--enforce-kinds compile");
	assert_int_equal(parse("--pid", "5", "--on-violation", "raise", "--kinds", "make_fx", NULL),
			 -EINVAL);
	refuses("--enforce-kinds");
	assert_int_equal(parse("--pid", "5", "--on-violation", "raise", "--kinds",
			       "make_fx,pre_dispatch", "--enforce-kinds", "all", NULL),
			 0);
	assert_int_equal(options.enforcement.kinds, 1u << TRACE_KIND_MAKE_FX);
	assert_int_equal(parse("--all", "--on-violation", "kill", "--dry-run", NULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes_pids),
		cmocka_unit_test(takes_an_output),
		cmocka_unit_test(takes_a_log),
		cmocka_unit_test(takes_what_is_to_be_read),
		cmocka_unit_test(takes_times),
		cmocka_unit_test(help_fits),
		cmocka_unit_test(takes_enforcement),
		cmocka_unit_test(refuses_enforcement),
		cmocka_unit_test(refuses_what_has_no_effect),
		cmocka_unit_test(takes_kinds_that_can_be_acted_in),
		cmocka_unit_test(takes_a_command),
		cmocka_unit_test(takes_what_fails),
		cmocka_unit_test(takes_doctor),
		cmocka_unit_test(refuses_nonsense_with_the_fix),
		cmocka_unit_test(refuses_numbers_that_are_none),
		cmocka_unit_test(has_room_for_so_many_pids),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
