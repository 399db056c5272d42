/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Private to inspect: what following code has to know of a processor. code.c and site.c ask, one
 * set of files answers for each: x86_*.c, arm64_*.c.
 */
#ifndef GRADWATCH_INSPECT_MACHINE_H
#define GRADWATCH_INSPECT_MACHINE_H

#include <capstone/capstone.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "inspect/code.h"

struct walker;

/* Where an instruction leads. */
enum flow_kind {
	FLOW_NEXT,
	FLOW_JUMP,      /* to `target` */
	FLOW_BRANCH,    /* to `target` or on */
	FLOW_CALL,      /* of `target` */
	FLOW_CALL_SLOT, /* of the function whose address the GOT word `target` holds */
	FLOW_CALL_ELSEWHERE,
	FLOW_RETURN,
	FLOW_STOP, /* nobody knows */
};

struct flow {
	enum flow_kind kind;
	uint64_t target;
	/* FLOW_BRANCH: it is taken when the walker's `compared` is zero, or when it is not. */
	bool if_zero, if_not_zero;
};

struct machine {
	uint16_t elf; /* e_machine */
	cs_arch arch;
	cs_mode mode;
	/* Registers, by the walker's numbers. */
	int result;
	int first_argument;
	int key_argument[CODE_KEYS]; /* -1: none */
	const uint8_t *changed;      /* by a call */
	size_t changed_count;

	/* Does what the walker's instruction does and says where it leads. */
	void (*execute)(struct walker *walker, struct flow *flow);
	/* Whether there is a PLT stub at an address; *slot: the GOT word that it jumps by. */
	bool (*stub)(struct walker *walker, uint64_t address, uint64_t *slot);
	/* Whether the kernel's uprobes emulate an instruction. */
	bool (*is_emulated)(csh capstone, const cs_insn *insn);
	/*
	 * Whether one may probe behind it: it runs once per call, and the arguments stay. *frame
	 * grows by the bytes of the stack that it takes.
	 */
	bool (*keeps_arguments)(const cs_insn *insn, uint32_t *frame);
	/* Whether it is a jump, or a call, with a known target. */
	bool (*jump_target)(csh capstone, const cs_insn *insn, uint64_t *target);
	/* Whether it is a jump whose target is in a register: of a table, it may be. */
	bool (*jumps_by_register)(csh capstone, const cs_insn *insn);
	/*
	 * The target of the jump at `address` that leads far enough to come from another part of
	 * the code, 0: there is none. It need not be where an instruction begins.
	 */
	uint64_t (*long_jump)(const uint8_t *code, size_t size, uint64_t address);
	/* Whether all memory that it writes is relative to the stack pointer. NULL: not known. */
	bool (*writes_frame_only)(const cs_insn *insn);
};

extern const struct machine machine_x86, machine_arm64;

/* The one for an e_machine that elf_image_open has let pass. */
static inline const struct machine *machine_of(uint16_t elf)
{
	return elf == machine_arm64.elf ? &machine_arm64 : &machine_x86;
}

#endif
