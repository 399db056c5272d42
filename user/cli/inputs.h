/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The logs that a command reads. */
#ifndef GRADWATCH_CLI_INPUTS_H
#define GRADWATCH_CLI_INPUTS_H

#include "log/logs.h"

/*
 * Opens files and folders; files ends with NULL. The caller frees what is returned (logs_free()).
 * NULL: an argument names nothing that can be read, or there is no memory; it was logged.
 */
struct logs *inputs_open(char *const *files);

#endif
