/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The Python binding of the setter, torch._C._set_grad_enabled, in libtorch_python: where a call
 * can be made to raise, and which return addresses identify the setter's callers. Pure, like
 * inspect/plan.h.
 */
#ifndef GRADWATCH_INSPECT_BINDING_H
#define GRADWATCH_INSPECT_BINDING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gradwatch/abi.h"

#define BINDING_ENTRY_BYTES 16 /* a stopped thread is at most so far behind the entry */

struct inspect_binding {
	uint64_t function;    /* link-time address of its entry */
	uint64_t address;     /* of the probed instruction: the entry, or behind its endbr64 */
	uint64_t file_offset; /* of that instruction */
	bool method_o;        /* takes its argument as METH_O, else as a tuple and a dict */
	uint64_t space;       /* link-time address of memory that nobody uses */
	uint64_t space_size;  /* its bytes */
	/* Link-time addresses, 0 where they are not known. */
	struct gw_range range; /* the binding's code */
	struct gw_range apply; /* that of torch._C._FunctionBase.apply */
};

/*
 * Reads the ELF image in data[0..size). 0; -ENOEXEC, -ENOTSUP, -ENOMEM as inspect_plan(); -ENOENT:
 * there is no such binding, or not in a form that is known; reason says which.
 */
int inspect_binding(const void *data, size_t size, struct inspect_binding *binding, char *reason,
		    size_t reason_size);
int inspect_binding_fd(int fd, struct inspect_binding *binding, char *reason, size_t reason_size);

#endif
