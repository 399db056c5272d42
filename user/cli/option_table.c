// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/option_table.h"

#include <string.h>

#define WATCH    (1u << COMMAND_WATCH)
#define WATCHING (WATCH | 1u << COMMAND_RECORD)
#define REPORT   (1u << COMMAND_REPORT)
#define DOCTOR   (1u << COMMAND_DOCTOR)
#define STATUS   (1u << COMMAND_STATUS)
#define ALL      ((1u << COMMAND_HELP) - 1)
#define CONFIG   OPTION_IN_CONFIG
#define RELOADS  (OPTION_IN_CONFIG | OPTION_RELOADS)

const struct option_row option_rows[] = {
	{"pid", "N", 'p', WATCH | DOCTOR | REPORT,
	 "watch process N, all its threads (may be given several times)"},
	{"all", NULL, OPT_ALL, WATCH | CONFIG, "watch every process of the host, now and later"},
	{"user", "NAME", OPT_USER, WATCH | RELOADS, "with --all: only processes of this user"},
	{"comm", "NAME", OPT_COMM, WATCH | RELOADS, "with --all: only of this name (a pattern)"},
	{"cgroup", "PATH", OPT_CGROUP, WATCH | RELOADS,
	 "with --all: only in this cgroup (a pattern)"},
	{"exclude-user", "NAME", OPT_EXCLUDE_USER, WATCH | RELOADS,
	 "with --all: none of this user; each of these six may be given several times"},
	{"exclude-comm", "NAME", OPT_EXCLUDE_COMM, WATCH | RELOADS,
	 "with --all: none of this name"},
	{"exclude-cgroup", "PATH", OPT_EXCLUDE_CGROUP, WATCH | RELOADS,
	 "with --all: none in this cgroup"},
	{"follow", NULL, OPT_FOLLOW, WATCHING, "watch forked children too (default with -- CMD)"},
	{"no-follow", NULL, OPT_NO_FOLLOW, WATCHING, "do not (default with --pid)"},
	{"output", "FILE", 'o', WATCHING | CONFIG,
	 "write events to FILE, '-' for standard output (default: standard error with -- CMD, "
	 "else standard output)"},
	{"json", NULL, OPT_JSON, WATCH | REPORT | STATUS | CONFIG,
	 "events as JSON Lines (schema: README)"},
	{"log", "DIR", OPT_LOG, WATCH | CONFIG,
	 "keep a log in folder DIR too, for 'gradwatch report DIR'; SIGHUP begins a new segment"},
	{"log-level", "LEVEL", OPT_LOG_LEVEL, WATCHING | CONFIG,
	 "what it keeps: findings; changes (default): each change and trace too; all: what report "
	 "--replay comes to the same again from"},
	{"log-sync", "WHEN", OPT_LOG_SYNC, WATCHING | CONFIG,
	 "when it is forced to the disk: none, interval (default: each second), each (record)"},
	{"log-rotate", "LIST", OPT_LOG_ROTATE, WATCHING | CONFIG,
	 "when a segment is closed, and how many are kept: size=64M (default), time=1h, records=N, "
	 "keep=N"},
	{"log-plain", NULL, OPT_LOG_PLAIN, WATCHING | CONFIG, "do not compress closed segments"},
	{"since", "TIME", OPT_SINCE, REPORT, "only from this time in UTC on, 2026-01-02T03:04"},
	{"until", "TIME", OPT_UNTIL, REPORT, "only before this time"},
	{"host", "NAME", OPT_HOST, REPORT, "only of this machine"},
	{"trace", "N", OPT_TRACE, REPORT, "trace N as a time line"},
	{"baseline", "FILE", OPT_BASELINE, REPORT,
	 "compare with this log or folder; --fail is about what is new"},
	{"html", "FILE", OPT_HTML, REPORT, "write a page with findings and time line to FILE too"},
	{"perfetto", "FILE", OPT_PERFETTO, REPORT,
	 "write a trace for ui.perfetto.dev to FILE too (Chrome's JSON)"},
	{"torch-trace", "DIR", OPT_TORCH_TRACE, REPORT,
	 "put findings into copies of the logs that TORCH_TRACE has written to DIR, for "
	 "tlparse"},
	{"fast", NULL, OPT_FAST, REPORT,
	 "trust the checksums of records: of stacks only what is shown is parsed"},
	{"replay", NULL, OPT_REPLAY, REPORT,
	 "give the model its inputs again (of --log-level all), and compare"},
	{"fail", NULL, OPT_FAIL, WATCHING | REPORT,
	 "the same as --fail-on violation,drift,unknown"},
	{"fail-on", "LIST", OPT_FAIL_ON, WATCHING | REPORT,
	 "exit with 3 if there was one of these that is not suppressed: violation, note, drift; or "
	 "unknown: if something could not be checked"},
	{"began", "MODE", OPT_BEGAN, WATCHING | RELOADS,
	 "any (default), or on: violations are only in traces that began with grad on"},
	{"idle", "SECONDS", OPT_IDLE, WATCHING | RELOADS,
	 "a trace has ended after so long without an operator (default 30)"},
	{"kinds", "LIST", OPT_KINDS, WATCHING | REPORT | RELOADS,
	 "kinds of trace whose changes are violations, joined by commas (default "
	 "export,decompose,make_fx,other,unknown)"},
	{"suppress", "FILE", OPT_SUPPRESS, WATCHING | REPORT | CONFIG,
	 "accept the known findings in FILE (format: README)"},
	{"print-suppressions", NULL, OPT_PRINT_SUPPRESSIONS, WATCHING,
	 "instead of events, write lines for such a file"},
	{"rate", "N", OPT_RATE, WATCHING | CONFIG,
	 "report at most N changes per second and thread, count the rest (default 1000; 0: no "
	 "limit)"},
	{"on-violation", "ACTION", OPT_ON_VIOLATION, WATCHING | CONFIG,
	 "report (default), hold, raise, signal:NAME or kill: before the change"},
	{"enforce-kinds", "LIST", OPT_ENFORCE_KINDS, WATCHING | CONFIG,
	 "kinds of trace in which to act (default export,decompose)"},
	{"fallback", "ACTION", OPT_FALLBACK, WATCHING | CONFIG,
	 "for what cannot be raised (default report)"},
	{"hold-timeout", "SECONDS", OPT_HOLD_TIMEOUT, WATCHING | CONFIG,
	 "a held process goes on after so long (default 60)"},
	{"escalate", NULL, OPT_ESCALATE, WATCHING | CONFIG, "kill what a signal has not stopped"},
	{"dry-run", NULL, OPT_DRY_RUN, WATCHING | CONFIG,
	 "do not enforce; report what would have been done"},
	{"enforce-user", "NAME", OPT_ENFORCE_USER, WATCHING | CONFIG,
	 "act only in processes of this user"},
	{"enforce-command", "NAME", OPT_ENFORCE_COMMAND, WATCHING | CONFIG,
	 "act only in processes of this name (a pattern)"},
	{"enforce-cgroup", "PATH", OPT_ENFORCE_CGROUP, WATCHING | CONFIG,
	 "act only in processes of this cgroup (a pattern)"},
	{"btf", "FILE", OPT_BTF, WATCHING | DOCTOR | CONFIG,
	 "types of this kernel, where it has none of its own (BTF)"},
	{"socket", "PATH", OPT_SOCKET, WATCH | STATUS | CONFIG,
	 "answer 'gradwatch status' there (default of status: /run/gradwatch/gradwatch.sock)"},
	{"metrics", "ADDR:PORT", OPT_METRICS, WATCH | CONFIG,
	 "serve metrics for Prometheus there, at /metrics (default address 127.0.0.1)"},
	{"metrics-textfile", "FILE", OPT_METRICS_TEXTFILE, WATCH | CONFIG,
	 "write them to FILE each 15 s, for node_exporter (its name ends with .prom)"},
	{"config", "FILE", OPT_CONFIG, WATCH,
	 "read options from FILE and FILE.d/*.conf, then those of the command line"},
	{"check-config", NULL, OPT_CHECK_CONFIG, WATCH,
	 "only check the options (default file: /etc/gradwatch/gradwatch.conf)"},
	{"verbose", NULL, 'v', ALL | CONFIG,
	 "full stacks, begin and end of traces, informational findings; twice: each change; three "
	 "times: libbpf's messages"},
	{"help", NULL, 'h', ALL, "this text"},
	{"version", NULL, 'V', ALL, "the version"},
};

const size_t option_count = sizeof(option_rows) / sizeof(option_rows[0]);

_Static_assert(sizeof(option_rows) / sizeof(option_rows[0]) < OPTIONS_MAX, "more rows");

static const char *const words[] = {
	[COMMAND_DOCTOR] = "doctor", [COMMAND_RELEASE] = "release", [COMMAND_RECORD] = "record",
	[COMMAND_REPORT] = "report", [COMMAND_VERIFY] = "verify",   [COMMAND_STATUS] = "status",
};

#define WORDS (sizeof(words) / sizeof(words[0]))

const char *command_word(enum command command)
{
	return (size_t)command < WORDS ? words[command] : NULL;
}

enum command command_of_word(const char *word)
{
	for (size_t i = 0; i < WORDS; i++)
		if (words[i] && !strcmp(word, words[i]))
			return (enum command)i;
	return COMMAND_WATCH;
}
