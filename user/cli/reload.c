// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/reload.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "cli/config.h"

static bool is_same(const struct config_line *one, const struct config_line *other)
{
	return one->row == other->row &&
	       (!one->value || !other->value || !strcmp(one->value, other->value));
}

static bool has(const struct config *config, const struct config_line *wanted)
{
	for (size_t i = 0; i < config_lines(config); i++)
		if (is_same(config_line(config, i), wanted))
			return true;
	return false;
}

/* A setting that one has and the other has not, and that is not changed while it runs; NULL: none.
 */
static const char *find_change(const struct config *one, const struct config *other)
{
	for (size_t i = 0; i < config_lines(one); i++) {
		const struct config_line *line = config_line(one, i);

		if (!(line->row->commands & OPTION_RELOADS) && !has(other, line))
			return line->row->name;
	}
	return NULL;
}

static void log_postponed(const struct options *before, const struct options *now)
{
	const char *name = find_change(now->config, before->config);

	if (!name)
		name = find_change(before->config, now->config);
	if (name)
		log_warn("the configuration is read again; a change of '%s' takes effect at the "
			 "next start",
			 name);
	else if (filter_is_empty(&before->filter) && !filter_is_empty(&now->filter))
		log_warn("the configuration is read again; that not all processes are watched "
			 "takes effect at the next start, as there was no such limit at this one");
	else
		log_info("the configuration is read again");
}

void reload_settings(struct reload *reload, struct watch_settings *settings)
{
	struct options *fresh = reload->first->config ? calloc(1, sizeof(*fresh)) : NULL;
	struct err err;

	if (!fresh)
		return;
	if (options_parse(fresh, reload->first->argc, reload->first->argv, &err)) {
		log_error("%s; what was read before stays in force", err.text);
		options_free(fresh);
		free(fresh);
		return;
	}
	log_postponed(reload->first, fresh);
	*settings = (struct watch_settings){.filter = &fresh->filter,
					    .kinds = fresh->kinds,
					    .began_on = fresh->began_on,
					    .idle_ns = fresh->idle_ns};
	reload_free(reload);
	reload->now = fresh;
}

void reload_free(struct reload *reload)
{
	if (reload->now)
		options_free(reload->now);
	free(reload->now);
	reload->now = NULL;
}
