/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The configuration is read again, and what can be changed while gradwatch runs is. */
#ifndef GRADWATCH_CLI_RELOAD_H
#define GRADWATCH_CLI_RELOAD_H

#include "cli/options.h"
#include "watch/watch.h"

struct reload {
	const struct options *first; /* as at the start */
	struct options *now;         /* in force; NULL: the first are */
};

/*
 * Reads it and fills in *settings. A configuration that is wrong leaves the one before in force;
 * what takes effect at the next start only is logged.
 */
void reload_settings(struct reload *reload, struct watch_settings *settings);

void reload_free(struct reload *reload);

#endif
