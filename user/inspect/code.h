/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a small function does to thread-local state, by following one path through its code.
 *
 * The functions of interest are accessors of 20 to 250 bytes. On the path that is taken once the
 * state is initialised, every address in them is "thread-local block of a GOT pair + constant +
 * coefficient * mode key". So a value is either such a sum, or what was loaded from one, or
 * unknown. The walk follows calls to functions of the same file (get_tls_state), takes the
 * initialised side of initialiser guards and records every access to thread-local memory.
 * An instruction that is not known makes its result unknown, never wrong. At any other branch, and
 * behind a call that leads elsewhere, it goes straight on but says so.
 */
#ifndef GRADWATCH_INSPECT_CODE_H
#define GRADWATCH_INSPECT_CODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "inspect/elf_image.h"

/* base + constant + coefficient * key */
struct code_address {
	uint64_t tls_slot; /* GOT pair of the variable, 0: an absolute address */
	int64_t constant;
	int64_t coefficient;
};

enum code_access_kind {
	CODE_LOAD, /* includes comparisons */
	CODE_STORE,
	CODE_GUARD,         /* the byte that says whether the state is initialised */
	CODE_INITIAL,       /* a constant stored on the uninitialised side of a guard */
	CODE_INITIAL_OTHER, /* something else stored there */
};

struct code_access {
	enum code_access_kind kind;
	uint8_t size;  /* bytes */
	uint8_t mask;  /* of a loaded byte, 0: not masked yet */
	int64_t value; /* CODE_INITIAL: the constant */
	struct code_address address;
};

#define CODE_MAX_ACCESSES 64

struct code_trace {
	struct code_access access[CODE_MAX_ACCESSES];
	size_t count;
	size_t straight;     /* of them come before that about which one cannot be sure */
	bool unsure_initial; /* the same on the uninitialised side of a guard */
	bool unsure;        /* a branch that is not a guard, or a call that could not be followed */
	bool returned;      /* the path came to its end */
	bool result_loaded; /* and returns what was loaded by `result` */
	struct code_access result;
	bool result_address; /* or returns the address `result.address` */
	char doubt[128]; /* an access to thread-local state of a kind that is not known, or "" */
};

/* Where a function gets its mode key. */
enum code_key {
	CODE_KEY_NONE,
	CODE_KEY_ALONE,  /* its only argument, and it returns an object */
	CODE_KEY_SECOND, /* its second argument */
	CODE_KEYS,
};

/*
 * Walks the function at an address. 0, -ENOENT when there is no code at it, -ENOMEM. A path that
 * cannot be followed to its end is not an error: trace->returned is false and the accesses so far
 * are good.
 */
int code_walk(const struct elf_image *image, uint64_t address, enum code_key key,
	      struct code_trace *trace);

/* A variable of this module's own thread-local block, as the loader fills in its GOT pair. */
struct code_variable {
	uint64_t offset;   /* in the block */
	bool is_described; /* the pair is a TLS descriptor, else {module, offset} */
};

/*
 * The block offset of an address: that of the variable, plus the constant. -ENOTSUP when its GOT
 * pair is not one of a variable of this module; *variable: that of the pair.
 */
int code_block_offset(const struct elf_image *image, const struct code_address *address,
		      uint64_t *offset, struct code_variable *variable);

#endif
