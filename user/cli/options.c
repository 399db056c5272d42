// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/options.h"

#include <errno.h>
#include <getopt.h>
#include <string.h>

#include "base/str.h"
#include "cli/config.h"
#include "cli/enforcement.h"
#include "cli/filters.h"
#include "cli/option_table.h"

/* torch.compile deals with grad mode by itself, and a pre-dispatch trace records it. */
#define KINDS_DEFAULT (KINDS_ALL & ~(1u << TRACE_KIND_COMPILE) & ~(1u << TRACE_KIND_PRE_DISPATCH))

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
static int apply(struct options *options, int id, char *value, int *follow, struct err *err)
{
	switch (id) {
	case 'p':
		return add_pid(options, value, err);
	case OPT_IDLE:
		return set_idle(options, value, err);
	case OPT_KINDS:
		return set_kinds(options, value, err);
	case OPT_SUPPRESS:
		options->suppress_path = value;
		return 0;
	case OPT_PRINT_SUPPRESSIONS:
		options->print_suppressions = true;
		return 0;
	case OPT_BTF:
		options->btf_path = value;
		return 0;
	case OPT_RATE:
		return set_rate(options, value, err);
	case OPT_ON_VIOLATION:
		return enforcement_action(&options->enforcement, value, err);
	case OPT_ENFORCE_KINDS:
		return enforcement_kinds(&options->enforcement, value, err);
	case OPT_FALLBACK:
		return enforcement_fallback(&options->enforcement, value, err);
	case OPT_HOLD_TIMEOUT:
		return enforcement_timeout(&options->enforcement, value, err);
	case OPT_ESCALATE:
		options->enforcement.escalate = true;
		return 0;
	case OPT_DRY_RUN:
		options->enforcement.bpf.dry_run = true;
		return 0;
	case OPT_ENFORCE_USER:
		options->enforcement.user = value;
		return 0;
	case OPT_ENFORCE_COMMAND:
		options->enforcement.command = value;
		return 0;
	case OPT_ENFORCE_CGROUP:
		options->enforcement.cgroup = value;
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
		options->output_path = value;
		return 0;
	case OPT_LOG:
		options->log.segments.path = value;
		return 0;
	case OPT_LOG_LEVEL:
		return log_options_level(&options->log, value, err);
	case OPT_LOG_SYNC:
		return log_options_sync(&options->log, value, err);
	case OPT_LOG_ROTATE:
		return log_options_rotate(&options->log, value, err);
	case OPT_LOG_PLAIN:
		options->log.segments.plain = true;
		return 0;
	case OPT_SINCE:
		options->report.since = value;
		return report_options_time("--since", value, err);
	case OPT_UNTIL:
		options->report.until = value;
		return report_options_time("--until", value, err);
	case OPT_HOST:
		options->report.host = value;
		return 0;
	case OPT_TRACE:
		return report_options_trace(&options->report, value, err);
	case OPT_FAST:
		options->report.fast = true;
		return 0;
	case OPT_REPLAY:
		options->report.replay = true;
		return 0;
	case OPT_BASELINE:
		options->report.baseline = value;
		return 0;
	case OPT_HTML:
		options->report.html = value;
		return 0;
	case OPT_PERFETTO:
		options->report.perfetto = value;
		return 0;
	case OPT_TORCH_TRACE:
		options->report.torch_trace = value;
		return 0;
	case OPT_FAIL:
		if (!options->fail_on)
			options->fail_on = FAIL_DEFAULT;
		return 0;
	case OPT_FAIL_ON:
		return set_fail_on(options, value, err);
	case OPT_BEGAN:
		return set_began(options, value, err);
	case OPT_USER:
		return filters_add_user(&options->filter.only, "user", value, err);
	case OPT_COMM:
		return filters_add_comm(&options->filter.only, "comm", value, err);
	case OPT_CGROUP:
		return filters_add_cgroup(&options->filter.only, "cgroup", value, err);
	case OPT_EXCLUDE_USER:
		return filters_add_user(&options->filter.exclude, "exclude-user", value, err);
	case OPT_EXCLUDE_COMM:
		return filters_add_comm(&options->filter.exclude, "exclude-comm", value, err);
	case OPT_EXCLUDE_CGROUP:
		return filters_add_cgroup(&options->filter.exclude, "exclude-cgroup", value, err);
	case OPT_CONFIG:
		options->config_path = value;
		return 0;
	case OPT_CHECK_CONFIG:
		options->check_config = true;
		return 0;
	case OPT_SOCKET:
		options->serve.socket = value;
		return 0;
	case OPT_METRICS:
		options->serve.metrics = value;
		return 0;
	case OPT_METRICS_TEXTFILE:
		options->serve.textfile = value;
		return 0;
	case 'v':
		options->verbosity++;
		return 0;
	case 'h':
		options->about = options->command;
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
	for (size_t i = 0; i < option_count; i++) {
		const struct option_row *row = &option_rows[i];

		longs[i] = (struct option){row->name, row->value ? required_argument : no_argument,
					   NULL, row->id};
		if (row->id < 256) {
			*shorts++ = (char)row->id;
			if (row->value)
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

	for (size_t i = 0; i < option_count && word[length]; i++)
		if (!option_rows[i].value && strlen(option_rows[i].name) + 2 == length &&
		    !strncmp(word + 2, option_rows[i].name, length - 2))
			return err_set(err, -EINVAL, "--%s takes no value: give it without '%s'",
				       option_rows[i].name, word + length);
	return err_set(err, -EINVAL, "unknown option '%s' (see --help)", word);
}

/* "watching, record and report": who takes an option. */
static void list_commands(unsigned int commands, char *out, size_t size)
{
	size_t used = 0;

	commands &= (1u << COMMAND_HELP) - 1;
	out[0] = '\0';
	for (unsigned int i = 0; i < COMMAND_HELP; i++) {
		const char *word = i == COMMAND_WATCH ? "watching" : command_word(i);
		const char *before = !used ? "" : commands >> i >> 1 ? ", " : " and ";

		if (commands >> i & 1 && !str_format(out + used, size - used, "%s%s", before, word))
			used += strlen(out + used);
	}
}

/* An option that a command does not take would do nothing. */
static int check_commands(const struct options *options, const bool *given, struct err *err)
{
	char takers[128];

	for (size_t i = 0; i < option_count; i++) {
		if (!given[i] || option_rows[i].commands >> options->command & 1)
			continue;
		list_commands(option_rows[i].commands, takers, sizeof(takers));
		return err_set(err, -EINVAL, "--%s is not for %s: it is for %s",
			       option_rows[i].name,
			       options->command == COMMAND_WATCH ? "watching"
								 : command_word(options->command),
			       takers);
	}
	return 0;
}

/* Those that exclude each other. */
static int check_together(const struct options *options, struct err *err)
{
	if (options->json && options->print_suppressions)
		return err_set(
			err, -EINVAL,
			"--json and --print-suppressions both say what the events look like: "
			"use --log DIR for the first");
	if (options->report.fast && (options->report.trace || options->report.html ||
				     options->report.perfetto || options->report.torch_trace))
		return err_set(err, -EINVAL,
			       "--trace, --html, --perfetto and --torch-trace show stacks, and "
			       "--fast does not read them: leave one out");
	if (!options->all && !filter_is_empty(&options->filter))
		return err_set(err, -EINVAL,
			       "--user, --comm, --cgroup and what they exclude choose among the "
			       "processes of the host: give --all, too");
	if (options->command == COMMAND_REPORT && options->pid_count > 1)
		return err_set(err, -EINVAL, "report takes one --pid");
	return 0;
}

static void note_given(bool *given, int id)
{
	for (size_t i = 0; i < option_count; i++)
		given[i] |= option_rows[i].id == id;
}

static void set_defaults(struct options *options)
{
	memset(options, 0, sizeof(*options));
	options->idle_ns = 30000000000ull;
	options->rate = 1000;
	options->kinds = KINDS_DEFAULT;
	enforcement_defaults(&options->enforcement);
	log_options_defaults(&options->log);
}

/* The words of a command line that are options. From *follow on: see apply(). */
static int take_words(struct options *options, int argc, char **argv, bool *given, int *follow,
		      struct err *err)
{
	struct option longs[OPTIONS_MAX] = {0};
	char shorts[2 * OPTIONS_MAX + 3] =
		"+:"; /* stop at the first word; report a missing value */
	const char *known = shorts;
	int id, code = 0;

	build_getopt(longs, shorts + 2);
	optind = 0; /* of the GNU kind: begins anew, in either order */
	/* Where there is no command to be run, options may come behind files. */
	if (options->command == COMMAND_REPORT || options->command == COMMAND_VERIFY)
		known++;
	while (!code && (id = getopt_long(argc, argv, known, longs, NULL)) != -1) {
		if (id == ':')
			return err_set(err, -EINVAL, "%s needs a value (see --help)",
				       argv[optind - 1]);
		if (id == '?')
			return bad_option(argv[optind - 1], err);
		note_given(given, id);
		code = apply(options, id, optarg, follow, err);
	}
	return code;
}

/* The lines of the configuration; what is wrong is said with file and line. */
static int take_config(struct options *options, int *follow, struct err *err)
{
	char text[sizeof(err->text)];

	for (size_t i = 0; i < config_lines(options->config); i++) {
		const struct config_line *line = config_line(options->config, i);
		int code = apply(options, line->row->id, line->value, follow, err);

		if (!code)
			continue;
		memcpy(text, err->text, sizeof(text));
		return err_set(err, code, "%s:%u: %.900s", line->file, line->line, text);
	}
	return 0;
}

/* What the configuration says first, then the words again, which count more. */
static int add_config(struct options *options, int argc, char **argv, int *follow, struct err *err)
{
	char *path = options->config_path;
	const struct options words = *options;
	bool given[OPTIONS_MAX] = {0};
	int code;

	if (!path)
		path = CONFIG_FILE;
	set_defaults(options);
	options->command = words.command;
	options->argc = words.argc;
	options->argv = words.argv;
	options->config = config_read(path, err);
	if (!options->config)
		return err->code;
	code = take_config(options, follow, err);
	if (!code)
		code = take_words(options, argc, argv, given, follow, err);
	options->config_path = path;
	options->check_config = words.check_config;
	return code;
}

int options_parse(struct options *options, int argc, char **argv, struct err *err)
{
	bool given[OPTIONS_MAX] = {0};
	int follow = -1, code;

	set_defaults(options);
	options->argc = argc;
	options->argv = argv;
	options->command = argc > 1 ? command_of_word(argv[1]) : COMMAND_WATCH;
	if (options->command != COMMAND_WATCH) {
		argc--;
		argv++;
	}
	code = take_words(options, argc, argv, given, &follow, err);
	if (!code && (options->config_path || options->check_config) &&
	    options->command == COMMAND_WATCH)
		code = add_config(options, argc, argv, &follow, err);
	if (code || options->command == COMMAND_HELP || options->command == COMMAND_VERSION)
		return code;
	code = check_commands(options, given, err);
	if (!code)
		code = check_together(options, err);
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

void options_free(struct options *options)
{
	config_free(options->config);
	options->config = NULL;
}
