/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The files with the Python binding of a setter, and the probes in them. A probe there doubles what
 * a call of the setter costs, so it is only in place while there are traces: BPF stops a process
 * whose trace begins without it, and asks for it.
 */
#ifndef GRADWATCH_ACT_BINDINGS_H
#define GRADWATCH_ACT_BINDINGS_H

#include "inspect/binding.h"
#include "watch/library.h"
#include "watch/programs.h"

struct bindings;

/* keep: the probes stay in place. Both stay the caller's. NULL when out of memory. */
struct bindings *bindings_new(struct programs *programs, struct libraries *libraries, bool keep);
void bindings_free(struct bindings *bindings);

/*
 * The binding in the file behind fd, which is inspected when it is new; path is for messages. NULL
 * with the cause in reason. The result stays the table's.
 */
const struct inspect_binding *bindings_learn(struct bindings *bindings, int fd, const char *path,
					     char *reason, size_t reason_size);

/* The binding is that of a library's setter. */
void bindings_belong(struct bindings *bindings, const struct inspect_binding *binding,
		     uint32_t library);

/* Places the probes for a library, if they are not. now: ns. */
void bindings_arm(struct bindings *bindings, uint32_t library, uint64_t now);

/* Removes those that were not asked for in a while, if there is no trace. */
void bindings_tick(struct bindings *bindings, uint64_t now);

#endif
