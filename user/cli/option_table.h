/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The table of options: what is parsed, which command takes it, and what help shows. */
#ifndef GRADWATCH_CLI_OPTION_TABLE_H
#define GRADWATCH_CLI_OPTION_TABLE_H

#include <stddef.h>

#include "cli/options.h"

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
	OPT_USER,
	OPT_COMM,
	OPT_CGROUP,
	OPT_EXCLUDE_USER,
	OPT_EXCLUDE_COMM,
	OPT_EXCLUDE_CGROUP,
	OPT_SOCKET,
	OPT_CONFIG,
	OPT_CHECK_CONFIG,
	OPT_METRICS,
	OPT_METRICS_TEXTFILE,
};

struct option_row {
	const char *name;
	const char *value;     /* NULL: a switch */
	int id;                /* a character is the short form */
	unsigned int commands; /* a set of bits 1 << enum command: who takes it */
	const char *help;
};

extern const struct option_row option_rows[];
extern const size_t option_count;

/* In the set of commands: it may be in the configuration file. */
#define OPTION_IN_CONFIG (1u << 31)
/* And a change of it there takes effect at SIGHUP. */
#define OPTION_RELOADS (1u << 30)

#define OPTIONS_MAX    128 /* rows */

/* "report", ...; NULL: watching, which has no word of its own, and what is no command. */
const char *command_word(enum command command);

/* The command of that word; COMMAND_WATCH: it is none. */
enum command command_of_word(const char *word);

#endif
