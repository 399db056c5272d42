/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The command line. One table of options (option_table.c) is what is parsed and what help shows.
 */
#ifndef GRADWATCH_CLI_OPTIONS_H
#define GRADWATCH_CLI_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/err.h"
#include "cli/log_options.h"
#include "cli/report_options.h"
#include "enforce/policy.h"
#include "model/event.h"
#include "serve/serve.h"
#include "watch/filter.h"

/* Exit statuses. With `-- CMD` the command's own comes first. */
enum exit_status {
	EXIT_OK = 0,
	EXIT_DAMAGED = 1,    /* verify */
	EXIT_BAD_USE = 2,    /* bad input, or this machine cannot do it: one line says why */
	EXIT_VIOLATIONS = 3, /* --fail, and there were some */
	EXIT_COMMAND_NOT_RUN = 126,
	EXIT_COMMAND_NOT_FOUND = 127,
};

/* What --fail-on can name. */
enum fail {
	FAIL_VIOLATION = 1,
	FAIL_NOTE = 2,
	FAIL_DRIFT = 4,
	FAIL_UNKNOWN = 8, /* something was not seen */
};

enum command {
	COMMAND_WATCH,
	COMMAND_DOCTOR,
	COMMAND_RELEASE,
	COMMAND_RECORD,
	COMMAND_REPORT,
	COMMAND_VERIFY,
	COMMAND_STATUS,
	COMMAND_HELP, /* from here on there are no words */
	COMMAND_VERSION,
};

#define OPTIONS_MAX_PIDS 1024

struct options {
	enum command command;
	enum command about; /* HELP: about this one */
	uint32_t pids[OPTIONS_MAX_PIDS];
	size_t pid_count;
	bool all;
	struct filter filter; /* of all */
	bool follow;
	bool json;
	unsigned int fail_on; /* set of FAIL_: what is found ends with EXIT_VIOLATIONS */
	int verbosity;
	uint64_t idle_ns;
	bool began_on;      /* only traces that began with grad on have violations */
	unsigned int kinds; /* set of model/kinds.h: others are only informed of */
	bool kinds_given;
	uint32_t rate;           /* changes reported per second and thread, 0: no limit */
	const char *output_path; /* of events, "-": standard output; NULL: the default */
	struct log_options log;
	struct report_options report;
	struct serve_options serve;
	char *config_path;     /* NULL: none */
	struct config *config; /* what it says: its strings are in use */
	bool check_config;     /* and do nothing else */
	int argc;              /* what it was made of */
	char **argv;
	const char *suppress_path; /* NULL: none */
	bool print_suppressions;
	const char *btf_path; /* NULL: the kernel's own */
	struct enforce_policy enforcement;
	const char *file;   /* doctor FILE */
	char *const *files; /* report, verify: ended by NULL */
	char *const *child; /* after "--", NULL: none */
};

/* 0, or -EINVAL with a line that says what to do instead. Strings stay argv's. */
int options_parse(struct options *options, int argc, char **argv, struct err *err);

/* Frees what the configuration file said. */
void options_free(struct options *options);

/* Help about a command; of COMMAND_WATCH: about all. */
void options_help(FILE *stream, enum command command);

#endif
