/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One function per command; each prints what went wrong and returns the exit status. */
#ifndef GRADWATCH_CLI_COMMANDS_H
#define GRADWATCH_CLI_COMMANDS_H

#include "cli/options.h"

int command_watch(const struct options *options);
int command_release(const struct options *options);
int command_doctor(const struct options *options);
int command_record(const struct options *options);
int command_report(const struct options *options);
int command_check_config(const struct options *options);
int command_status(const struct options *options);
int command_verify(const struct options *options);

#endif
