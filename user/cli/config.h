/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The configuration file of the service: the names of options, one a line.
 *
 *	# a comment
 *	all
 *	log = /var/log/gradwatch
 *	exclude-user = nobody
 *
 * Beside FILE the files FILE.d/NAME.conf are read, in the order of their names: a later line counts
 * more than an earlier one where an option can be given only once.
 */
#ifndef GRADWATCH_CLI_CONFIG_H
#define GRADWATCH_CLI_CONFIG_H

#include <stddef.h>

#include "base/err.h"
#include "cli/option_table.h"

#define CONFIG_FILE       "/etc/gradwatch/gradwatch.conf"
#define CONFIG_MAX_BYTES  (1u << 20) /* of a file */
#define CONFIG_MAX_FILES  256        /* in the folder */
#define CONFIG_MAX_LINES  4096       /* settings in all */
#define CONFIG_PLACE_SIZE 4200

struct config_line {
	const struct option_row *row;
	char *value;      /* NULL: a switch */
	const char *file; /* where it is, for messages */
	unsigned int line;
};

struct config;

/* NULL with the cause, "FILE:LINE: what is wrong, and the fix". */
struct config *config_read(const char *path, struct err *err);
void config_free(struct config *config);

size_t config_lines(const struct config *config);
const struct config_line *config_line(const struct config *config, size_t i);

/* For tests: the lines of a text, as if it were a file of that name. */
struct config *config_parse(const char *file, const char *text, size_t size, struct err *err);

#endif
