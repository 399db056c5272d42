/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The files with the Python binding of a setter, and the probes in them. They stay in place while
 * gradwatch runs: to place one for a trace that begins, its process would have to be stopped.
 */
#ifndef GRADWATCH_ACT_BINDINGS_H
#define GRADWATCH_ACT_BINDINGS_H

#include "inspect/binding.h"
#include "watch/library.h"
#include "watch/programs.h"

struct bindings;

/* The libraries stay the caller's. NULL when out of memory. */
struct bindings *bindings_new(struct libraries *libraries);
void bindings_free(struct bindings *bindings);

/*
 * The binding in the file behind fd, which is inspected when it is new; path is for messages. NULL
 * with the cause in reason. The result stays the table's.
 */
const struct inspect_binding *bindings_learn(struct bindings *bindings, int fd, const char *path,
					     char *reason, size_t reason_size);

/* The binding is that of a library's setter: places its probe, if it is not. */
void bindings_arm(struct bindings *bindings, const struct inspect_binding *binding,
		  uint32_t library);

#endif
