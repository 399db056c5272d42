// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/options.h"

#include <errno.h>
#include <getopt.h>
#include <string.h>

#include "base/str.h"
#include "cli/enforcement.h"

/* torch.compile deals with grad mode by itself, and a pre-dispatch trace records it. */
#define KINDS_DEFAULT (KINDS_ALL & ~(1u << TRACE_KIND_COMPILE) & ~(1u << TRACE_KIND_PRE_DISPATCH))

enum {
	OPT_ALL = 256,
	OPT_FOLLOW,
	OPT_NO_FOLLOW,
	OPT_JSON,
	OPT_LOG,
	OPT_LOG_LEVEL,
	OPT_LOG_SYNC,
	OPT_LOG_ROTATE,
	OPT_LOG_PLAIN,
	OPT_SINCE,
	OPT_UNTIL,
	OPT_HOST,
	OPT_TRACE,
	OPT_BASELINE,
	OPT_HTML,
	OPT_PERFETTO,
	OPT_TORCH_TRACE,
	OPT_FAST,
	OPT_REPLAY,
	OPT_FAIL,
	OPT_FAIL_ON,
	OPT_BEGAN,
	OPT_IDLE,
	OPT_RATE,
	OPT_KINDS,
	OPT_SUPPRESS,
	OPT_PRINT_SUPPRESSIONS,
	OPT_ON_VIOLATION,
	OPT_ENFORCE_KINDS,
	OPT_FALLBACK,
	OPT_HOLD_TIMEOUT,
	OPT_BTF,
	OPT_ESCALATE,
	OPT_DRY_RUN,
	OPT_ENFORCE_USER,
	OPT_ENFORCE_COMMAND,
	OPT_ENFORCE_CGROUP,
};

static const struct row {
	const char *name;
	const char *value; /* NULL: a switch */
	int id;            /* a character is the short form */
	const char *help;
} rows[] = {
	{"pid", "N", 'p', "watch process N, all its threads (may be given several times)"},
	{"all", NULL, OPT_ALL, "watch every process of the host, now and later"},
	{"follow", NULL, OPT_FOLLOW, "watch forked children too (default with -- CMD)"},
	{"no-follow", NULL, OPT_NO_FOLLOW, "do not (default with --pid)"},
	{"output", "FILE", 'o',
	 "write events to FILE, '-' for standard output (default: standard error with -- CMD, "
	 "else standard output)"},
	{"json", NULL, OPT_JSON, "events as JSON Lines (schema: README)"},
	{"log", "DIR", OPT_LOG,
	 "keep a log in folder DIR too, for 'gradwatch report DIR'; SIGHUP begins a new segment"},
	{"log-level", "LEVEL", OPT_LOG_LEVEL,
	 "what it keeps: findings; changes (default): each change and trace too; all: what report "
	 "--replay comes to the same again from"},
	{"log-sync", "WHEN", OPT_LOG_SYNC,
	 "when it is forced to the disk: none, interval (default: each second), each (record)"},
	{"log-rotate", "LIST", OPT_LOG_ROTATE,
	 "when a segment is closed, and how many are kept: size=64M (default), time=1h, records=N, "
	 "keep=N"},
	{"log-plain", NULL, OPT_LOG_PLAIN, "do not compress closed segments"},
	{"since", "TIME", OPT_SINCE, "report: only from this time in UTC on, 2026-01-02T03:04"},
	{"until", "TIME", OPT_UNTIL, "report: only before this time"},
	{"host", "NAME", OPT_HOST, "report: only of this machine"},
	{"trace", "N", OPT_TRACE, "report: trace N as a time line"},
	{"baseline", "FILE", OPT_BASELINE,
	 "report: compare with this log or folder; --fail is about what is new"},
	{"html", "FILE", OPT_HTML, "report: write a page with findings and time line to FILE too"},
	{"perfetto", "FILE", OPT_PERFETTO,
	 "report: write a trace for ui.perfetto.dev to FILE too (Chrome's JSON)"},
	{"torch-trace", "DIR", OPT_TORCH_TRACE,
	 "report: put findings into copies of the logs that TORCH_TRACE has written to DIR, for "
	 "tlparse"},
	{"fast", NULL, OPT_FAST,
	 "report: trust the checksums of records: of stacks only what is shown is parsed"},
	{"replay", NULL, OPT_REPLAY,
	 "report: give the model its inputs again (of --log-level all), and compare"},
	{"fail", NULL, OPT_FAIL, "the same as --fail-on violation,drift,unknown"},
	{"fail-on", "LIST", OPT_FAIL_ON,
	 "exit with 3 if there was one of these that is not suppressed: violation, note, drift; or "
	 "unknown: if something could not be checked"},
	{"began", "MODE", OPT_BEGAN,
	 "any (default), or on: violations are only in traces that began with grad on"},
	{"idle", "SECONDS", OPT_IDLE,
	 "a trace has ended after so long without an operator (default 30)"},
	{"kinds", "LIST", OPT_KINDS,
	 "kinds of trace whose changes are violations, joined by commas (default "
	 "export,decompose,make_fx,other,unknown)"},
	{"suppress", "FILE", OPT_SUPPRESS, "accept the known findings in FILE (format: README)"},
	{"print-suppressions", NULL, OPT_PRINT_SUPPRESSIONS,
	 "instead of events, write lines for such a file"},
	{"rate", "N", OPT_RATE,
	 "report at most N changes per second and thread, count the rest (default 1000; 0: no "
	 "limit)"},
	{"on-violation", "ACTION", OPT_ON_VIOLATION,
	 "report (default), hold, raise, signal:NAME or kill: before the change"},
	{"enforce-kinds", "LIST", OPT_ENFORCE_KINDS,
	 "kinds of trace in which to act (default export,decompose)"},
	{"fallback", "ACTION", OPT_FALLBACK, "for what cannot be raised (default report)"},
	{"hold-timeout", "SECONDS", OPT_HOLD_TIMEOUT,
	 "a held process goes on after so long (default 60)"},
	{"escalate", NULL, OPT_ESCALATE, "kill what a signal has not stopped"},
	{"dry-run", NULL, OPT_DRY_RUN, "do not enforce; report what would have been done"},
	{"enforce-user", "NAME", OPT_ENFORCE_USER, "act only in processes of this user"},
	{"enforce-command", "NAME", OPT_ENFORCE_COMMAND,
	 "act only in processes of this name (a pattern)"},
	{"enforce-cgroup", "PATH", OPT_ENFORCE_CGROUP,
	 "act only in processes of this cgroup (a pattern)"},
	{"btf", "FILE", OPT_BTF, "types of this kernel, where it has none of its own (BTF)"},
	{"verbose", NULL, 'v',
	 "full stacks, begin and end of traces, informational findings; twice: each change; three "
	 "times: libbpf's messages"},
	{"help", NULL, 'h', "this text"},
	{"version", NULL, 'V', "the version"},
};

#define ROWS        (sizeof(rows) / sizeof(rows[0]))

#define HELP_COLUMN 27 /* where the second column begins */
#define HELP_WIDTH  80

/* The second column, broken at blanks. */
static void print_wrapped(FILE *stream, const char *text)
{
	size_t width = HELP_WIDTH - HELP_COLUMN;

	while (strlen(text) > width) {
		const char *blank = memrchr(text, ' ', width + 1);
		int length = (int)(blank ? blank - text : (long)width);

		fprintf(stream, "%.*s\n%*s", length, text, HELP_COLUMN, "");
		text += length + (blank != NULL);
	}
	fprintf(stream, "%s\n", text);
}

static void print_row(FILE *stream, const struct row *row)
{
	char left[64];
	int code, length;

	if (row->id < 256)
		code = str_format(left, sizeof(left), "  -%c, --%s", row->id, row->name);
	else
		code = str_format(left, sizeof(left), "      --%s", row->name);
	if (code)
		return;
	length = fprintf(stream, "%s%s%s", left, row->value ? " " : "",
			 row->value ? row->value : "");
	if (length >= HELP_COLUMN)
		fprintf(stream, "\n%*s", HELP_COLUMN, "");
	else
		fprintf(stream, "%*s", HELP_COLUMN - length, "");
	print_wrapped(stream, row->help);
}

void options_help(FILE *stream)
{
	fputs("gradwatch: reports code that changes PyTorch's grad mode while a graph is traced\n\n"
	      "  gradwatch [OPTIONS] --pid N          a running process\n"
	      "  gradwatch [OPTIONS] -- CMD ARGS      a command, from its start\n"
	      "  gradwatch [OPTIONS] --all            every process of the host\n"
	      "  gradwatch release PID ...            resume what --on-violation hold stopped\n"
	      "  gradwatch doctor                     can this machine do it?\n"
	      "  gradwatch doctor --pid N | FILE      what can be seen in this libtorch?\n"
	      "  gradwatch record -o DIR -- CMD ARGS  a command, with a log and a report in DIR\n"
	      "  gradwatch report FILE|DIR ...        what logs say\n"
	      "  gradwatch verify FILE|DIR ...        are these logs whole?\n\n",
	      stream);
	for (size_t i = 0; i < ROWS; i++)
		print_row(stream, &rows[i]);
	fputs("\nexit status: the command's with -- CMD; 0; 2 bad use or nothing could be\n"
	      "watched; 3 with --fail-on; 126, 127 the command could not be run or found\n",
	      stream);
}

static int add_pid(struct options *options, const char *text, struct err *err)
{
	uint64_t pid;

	if (str_to_u64(text, 1, 4194304, &pid)) /* PID_MAX_LIMIT */
		return err_set(err, -EINVAL, "a process id is a number from 1 to 4194304, not '%s'",
			       text);
	if (options->pid_count == OPTIONS_MAX_PIDS)
		return err_set(err, -EINVAL, "more than %d --pid; use --all", OPTIONS_MAX_PIDS);
	options->pids[options->pid_count++] = (uint32_t)pid;
	return 0;
}

static int set_idle(struct options *options, const char *text, struct err *err)
{
	uint64_t seconds;

	if (str_to_u64(text, 1, 86400, &seconds))
		return err_set(err, -EINVAL, "--idle wants seconds from 1 to 86400, not '%s'",
			       text);
	options->idle_ns = seconds * 1000000000ull;
	return 0;
}

static int set_kinds(struct options *options, const char *text, struct err *err)
{
	char word[64], all[KINDS_TEXT_SIZE];

	options->kinds_given = true;
	if (!kinds_parse(text, &options->kinds, word, sizeof(word)))
		return 0;
	kinds_text(all);
	return err_set(err, -EINVAL, "--kinds knows no '%s': all, or some of %s", word, all);
}

#define FAIL_DEFAULT (FAIL_VIOLATION | FAIL_DRIFT | FAIL_UNKNOWN)

static int set_fail_on(struct options *options, const char *list, struct err *err)
{
	static const char *const name[] = {"violation", "note", "drift", "unknown"};

	options->fail_on = 0;
	for (;; list++) {
		size_t length = strcspn(list, ","), i = 0;

		while (i < 4 && (strlen(name[i]) != length || memcmp(name[i], list, length) != 0))
			i++;
		if (i == 4)
			return err_set(err, -EINVAL,
				       "--fail-on knows no '%.*s': some of violation, note, drift, "
				       "unknown",
				       (int)length, list);
		options->fail_on |= 1u << i;
		list += length;
		if (!*list)
			return 0;
	}
}

static int set_began(struct options *options, const char *mode, struct err *err)
{
	options->began_on = !strcmp(mode, "on");
	if (options->began_on || !strcmp(mode, "any"))
		return 0;
	return err_set(err, -EINVAL, "--began knows no '%s': any or on", mode);
}

static int set_rate(struct options *options, const char *text, struct err *err)
{
	uint64_t rate;

	if (str_to_u64(text, 0, 1000000, &rate))
		return err_set(err, -EINVAL,
			       "--rate wants changes per second from 1 to 1000000, or 0 for no "
			       "limit, not '%s'",
			       text);
	options->rate = (uint32_t)rate;
	return 0;
}

/* follow: -1 not said, 0 no, 1 yes */
static int apply(struct options *options, int id, int *follow, struct err *err)
{
	switch (id) {
	case 'p':
		return add_pid(options, optarg, err);
	case OPT_IDLE:
		return set_idle(options, optarg, err);
	case OPT_KINDS:
		return set_kinds(options, optarg, err);
	case OPT_SUPPRESS:
		options->suppress_path = optarg;
		return 0;
	case OPT_PRINT_SUPPRESSIONS:
		options->print_suppressions = true;
		return 0;
	case OPT_BTF:
		options->btf_path = optarg;
		return 0;
	case OPT_RATE:
		return set_rate(options, optarg, err);
	case OPT_ON_VIOLATION:
		return enforcement_action(&options->enforcement, optarg, err);
	case OPT_ENFORCE_KINDS:
		return enforcement_kinds(&options->enforcement, optarg, err);
	case OPT_FALLBACK:
		return enforcement_fallback(&options->enforcement, optarg, err);
	case OPT_HOLD_TIMEOUT:
		return enforcement_timeout(&options->enforcement, optarg, err);
	case OPT_ESCALATE:
		options->enforcement.escalate = true;
		return 0;
	case OPT_DRY_RUN:
		options->enforcement.bpf.dry_run = true;
		return 0;
	case OPT_ENFORCE_USER:
		options->enforcement.user = optarg;
		return 0;
	case OPT_ENFORCE_COMMAND:
		options->enforcement.command = optarg;
		return 0;
	case OPT_ENFORCE_CGROUP:
		options->enforcement.cgroup = optarg;
		return 0;
	case OPT_ALL:
		options->all = true;
		return 0;
	case OPT_FOLLOW:
	case OPT_NO_FOLLOW:
		*follow = id == OPT_FOLLOW;
		return 0;
	case OPT_JSON:
		options->json = true;
		return 0;
	case 'o':
		options->output_path = optarg;
		return 0;
	case OPT_LOG:
		options->log.segments.path = optarg;
		return 0;
	case OPT_LOG_LEVEL:
		return log_options_level(&options->log, optarg, err);
	case OPT_LOG_SYNC:
		return log_options_sync(&options->log, optarg, err);
	case OPT_LOG_ROTATE:
		return log_options_rotate(&options->log, optarg, err);
	case OPT_LOG_PLAIN:
		options->log.segments.plain = true;
		return 0;
	case OPT_SINCE:
		options->report.since = optarg;
		return report_options_time("--since", optarg, err);
	case OPT_UNTIL:
		options->report.until = optarg;
		return report_options_time("--until", optarg, err);
	case OPT_HOST:
		options->report.host = optarg;
		return 0;
	case OPT_TRACE:
		return report_options_trace(&options->report, optarg, err);
	case OPT_FAST:
		options->report.fast = true;
		return 0;
	case OPT_REPLAY:
		options->report.replay = true;
		return 0;
	case OPT_BASELINE:
		options->report.baseline = optarg;
		return 0;
	case OPT_HTML:
		options->report.html = optarg;
		return 0;
	case OPT_PERFETTO:
		options->report.perfetto = optarg;
		return 0;
	case OPT_TORCH_TRACE:
		options->report.torch_trace = optarg;
		return 0;
	case OPT_FAIL:
		if (!options->fail_on)
			options->fail_on = FAIL_DEFAULT;
		return 0;
	case OPT_FAIL_ON:
		return set_fail_on(options, optarg, err);
	case OPT_BEGAN:
		return set_began(options, optarg, err);
	case 'v':
		options->verbosity++;
		return 0;
	case 'h':
		options->command = COMMAND_HELP;
		return 0;
	case 'V':
		options->command = COMMAND_VERSION;
		return 0;
	default:
		return -EINVAL;
	}
}

static void build_getopt(struct option *longs, char *shorts)
{
	for (size_t i = 0; i < ROWS; i++) {
		longs[i] = (struct option){rows[i].name,
					   rows[i].value ? required_argument : no_argument, NULL,
					   rows[i].id};
		if (rows[i].id < 256) {
			*shorts++ = (char)rows[i].id;
			if (rows[i].value)
				*shorts++ = ':';
		}
	}
	*shorts = '\0';
}

/* release PID ... */
static int take_pids(struct options *options, int argc, char **argv, struct err *err)
{
	int code = 0;

	for (int i = optind; i < argc && !code; i++)
		code = add_pid(options, argv[i], err);
	if (!code && !options->pid_count)
		code = err_set(err, -EINVAL, "release whom? gradwatch release PID");
	return code;
}

/* What remains after the options: nothing, FILE for doctor, or a command after "--". */
static int take_rest(struct options *options, int argc, char **argv, struct err *err)
{
	bool after_dashes = optind > 1 && !strcmp(argv[optind - 1], "--");

	if (options->command == COMMAND_RELEASE)
		return take_pids(options, argc, argv, err);
	if (options->command == COMMAND_VERIFY || options->command == COMMAND_REPORT) {
		options->files = argv + optind;
		return optind < argc ? 0
				     : err_set(err, -EINVAL,
					       "which log? gradwatch report FILE or folder");
	}
	if (optind >= argc)
		return after_dashes ? err_set(err, -EINVAL, "no command after '--'") : 0;
	if (options->command == COMMAND_DOCTOR) {
		options->file = argv[optind];
		if (optind + 1 < argc)
			return err_set(err, -EINVAL, "doctor takes one file, not also '%s'",
				       argv[optind + 1]);
		return 0;
	}
	if (!after_dashes)
		return err_set(err, -EINVAL,
			       "unexpected '%s'; to run a command: gradwatch -- %s ...",
			       argv[optind], argv[optind]);
	options->child = argv + optind;
	return 0;
}

static int check_targets(const struct options *options, struct err *err)
{
	int ways = (options->pid_count > 0) + options->all + (options->child != NULL);

	if (options->command == COMMAND_DOCTOR) {
		if (options->all || options->child || (options->file && options->pid_count) ||
		    options->pid_count > 1)
			return err_set(err, -EINVAL, "doctor takes --pid N or a file, one of them");
		return 0;
	}
	if (options->command == COMMAND_RECORD)
		return options->child && ways == 1 && options->output_path
			       ? 0
			       : err_set(err, -EINVAL,
					 "record wants a folder and a command: gradwatch record -o "
					 "DIR -- CMD");
	if (options->command != COMMAND_WATCH || ways == 1)
		return 0;
	if (!ways)
		return err_set(err, -EINVAL,
			       "whom to watch? one of: --pid N, --all, -- CMD (see --help)");
	return err_set(err, -EINVAL, "--pid, --all and -- CMD exclude each other: give one");
}

/* getopt gives '?' for a name that it does not know, and for a switch with a value. */
static int bad_option(const char *word, struct err *err)
{
	size_t length = strcspn(word, "=");

	for (size_t i = 0; i < ROWS && word[length]; i++)
		if (!rows[i].value && strlen(rows[i].name) + 2 == length &&
		    !strncmp(word + 2, rows[i].name, length - 2))
			return err_set(err, -EINVAL, "--%s takes no value: give it without '%s'",
				       rows[i].name, word + length);
	return err_set(err, -EINVAL, "unknown option '%s' (see --help)", word);
}

/* With doctor and release nothing is watched: an option that is about that would do nothing. */
static int check_outputs(const struct options *options, struct err *err)
{
	if (options->json && options->print_suppressions)
		return err_set(
			err, -EINVAL,
			"--json and --print-suppressions both say what the events look like: "
			"use --log DIR for the first");
	if (options->command != COMMAND_REPORT &&
	    (options->report.since || options->report.until || options->report.host ||
	     options->report.trace || options->report.baseline || options->report.html ||
	     options->report.perfetto || options->report.torch_trace || options->report.fast ||
	     options->report.replay))
		return err_set(err, -EINVAL,
			       "--since, --until, --host, --trace, --baseline, --html, "
			       "--perfetto, --torch-trace, --replay and --fast are for report");
	if (options->report.fast && (options->report.trace || options->report.html ||
				     options->report.perfetto || options->report.torch_trace))
		return err_set(err, -EINVAL,
			       "--trace, --html, --perfetto and --torch-trace show stacks, and "
			       "--fast does not read them: leave one out");
	if (options->command == COMMAND_RECORD && (options->json || options->log.segments.path))
		return err_set(err, -EINVAL,
			       "record has a log of its own, in the folder of --output; --json and "
			       "--log are for watching without it");
	if (options->command == COMMAND_WATCH || options->command == COMMAND_RECORD)
		return 0;
	if (options->command == COMMAND_REPORT || options->command == COMMAND_VERIFY) {
		bool report = options->command == COMMAND_REPORT;

		if (options->all || options->print_suppressions || options->output_path ||
		    options->log.segments.path || options->pid_count > report ||
		    (!report && (options->json || options->fail_on || options->suppress_path)))
			return err_set(
				err, -EINVAL,
				"report takes --json, --fail, --fail-on, --suppress, "
				"--kinds, one --pid, --since, --until, --host, --trace, "
				"--baseline, --html, --perfetto, --torch-trace, --replay and "
				"--fast; verify takes none");
		return 0;
	}
	if (options->json || options->print_suppressions || options->output_path ||
	    options->log.segments.path || options->fail_on)
		return err_set(
			err, -EINVAL,
			"doctor and release print text to standard output: --json, --output, "
			"--log, --print-suppressions and --fail-on are for watching");
	return 0;
}

/* The first word, if it is a command. */
static bool take_command(struct options *options, const char *word)
{
	static const struct {
		const char *name;
		enum command command;
	} commands[] = {
		{"doctor", COMMAND_DOCTOR}, {"release", COMMAND_RELEASE},
		{"record", COMMAND_RECORD}, {"report", COMMAND_REPORT},
		{"verify", COMMAND_VERIFY},
	};

	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (!strcmp(word, commands[i].name)) {
			options->command = commands[i].command;
			return true;
		}
	return false;
}

int options_parse(struct options *options, int argc, char **argv, struct err *err)
{
	struct option longs[ROWS + 1] = {0};
	char shorts[2 * ROWS + 3] = "+:"; /* stop at the first word; report a missing value */
	const char *known = shorts;
	int follow = -1, id, code;

	memset(options, 0, sizeof(*options));
	options->idle_ns = 30000000000ull;
	options->rate = 1000;
	options->kinds = KINDS_DEFAULT;
	enforcement_defaults(&options->enforcement);
	log_options_defaults(&options->log);
	build_getopt(longs, shorts + 2);
	if (argc > 1 && take_command(options, argv[1])) {
		argc--;
		argv++;
	}
	optind = 0; /* of the GNU kind: begins anew, in either order */
	/* Where there is no command to be run, options may come behind files. */
	if (options->command == COMMAND_REPORT || options->command == COMMAND_VERIFY)
		known++;
	while ((id = getopt_long(argc, argv, known, longs, NULL)) != -1) {
		if (id == ':')
			return err_set(err, -EINVAL, "%s needs a value (see --help)",
				       argv[optind - 1]);
		if (id == '?')
			return bad_option(argv[optind - 1], err);
		code = apply(options, id, &follow, err);
		if (code)
			return code;
	}
	if (options->command == COMMAND_HELP || options->command == COMMAND_VERSION)
		return 0;
	code = check_outputs(options, err);
	if (code)
		return code;
	code = take_rest(options, argc, argv, err);
	if (!code)
		code = check_targets(options, err);
	if (!code)
		code = enforcement_check(&options->enforcement, options->all, options->kinds, err);
	options->follow = follow >= 0 ? follow : options->child != NULL;
	return code;
}
