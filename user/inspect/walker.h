/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Private to inspect/code: the state of a walk. code.c follows the path, values.c knows how values
 * are added up and what is recorded, the files of a machine what its instructions do.
 */
#ifndef GRADWATCH_INSPECT_WALKER_H
#define GRADWATCH_INSPECT_WALKER_H

#include <capstone/capstone.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "inspect/code.h"
#include "inspect/machine.h"

enum value_kind {
	VALUE_UNKNOWN,
	VALUE_ADDRESS,
	VALUE_LOADED,   /* what is at `address` */
	VALUE_THREAD,   /* the thread pointer */
	VALUE_DISTANCE, /* of `address`, which has a tls_slot, from the thread pointer */
};

struct value {
	enum value_kind kind;
	struct code_address address; /* VALUE_LOADED: where from */
	uint8_t size, mask;          /* VALUE_LOADED */
};

#define WALKER_REGISTERS 32

struct walker {
	const struct elf_image *image;
	const struct machine *machine;
	struct code_trace *trace;
	csh capstone;
	cs_insn *insn;
	struct value reg[WALKER_REGISTERS];
	struct value compared; /* the byte of the last comparison with zero */
	int left;              /* instructions */
	bool looking;          /* on a guard's uninitialised side: only constants are recorded */
	uint64_t join;         /* where that side is over */
};

struct value value_constant(int64_t number);

/* Whether it is a number that is known, *number. */
bool value_is_constant(const struct value *value, int64_t *number);

/* a + b, a * factor: unknown unless that is a value of a form that is tracked. */
struct value value_add(struct value a, struct value b);
struct value value_multiply(struct value a, int64_t factor);

/* What its lowest bytes hold, the others being 0; or, in the second, copies of the sign. */
struct value value_lowest(struct value value, uint8_t size);
struct value value_signed(struct value value, uint8_t size);

/* The bits of a mask, of what was loaded. */
struct value value_masked(struct value value, int64_t mask);

/*
 * Records an access of size bytes, if it is one to thread-local memory; value: of a CODE_INITIAL.
 * On a guard's uninitialised side only those are kept.
 */
void walker_record(struct walker *walker, enum code_access_kind kind, const struct value *address,
		   uint8_t size, int64_t value);

/* Reads or writes memory: the value that is there, a record. */
struct value walker_load(struct walker *walker, const struct value *address, uint8_t size);
void walker_store(struct walker *walker, const struct value *address, uint8_t size,
		  const struct value *value);

/* What follows may not happen, or something unknown happened before it. */
void walker_unsure(struct walker *walker);

/* Says why thread-local state cannot be followed; the first reason stays. */
void walker_doubt(struct walker *walker, const char *why);

#endif
