/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * inspect: one ELF file of libtorch in, a plan or a reason out.
 *
 * Pure: bytes in, no process, no BPF, no root. The bytes are hostile: every offset is checked,
 * every loop and every recursion is bounded.
 */
#ifndef GRADWATCH_INSPECT_PLAN_H
#define GRADWATCH_INSPECT_PLAN_H

#include <stddef.h>
#include <stdint.h>

#include "gradwatch/abi.h"

/* How the kernel executes the instruction under a probe. */
enum inspect_insn {
	INSPECT_INSN_EMULATED, /* push, nop, jmp, call: no single step */
	INSPECT_INSN_STEPPED,  /* single-stepped out of line: about ten times the cost */
};

/* One place to probe. */
struct inspect_site {
	char symbol[192];     /* mangled name as found, "" when absent */
	uint64_t function;    /* link-time address of the function */
	uint64_t address;     /* link-time address of the probed instruction */
	uint64_t file_offset; /* of that instruction, what the kernel is given */
	uint32_t frame;       /* bytes of the stack that the instructions before it have taken */
	uint8_t first;        /* register with the first argument, by the number it is encoded as */
	char insn[64];        /* disassembly of it, for people */
	enum inspect_insn kind;
};

/* Everything that was learnt from one file. */
struct inspect_plan {
	struct gw_plan abi; /* what the probes get; abi.certain == 0 where `doubt` is set */
	struct inspect_site site[GW_SITE_MAX];
	uint16_t machine;  /* e_machine: EM_X86_64 or EM_AARCH64 */
	char doubt[256];   /* why thread-local state cannot be read, "" when it can */
	char soname[128];  /* DT_SONAME, "" when absent */
	char build_id[65]; /* hex, "" when absent */
};

/*
 * Reads the ELF image in data[0..size) and fills *plan.
 *
 * Returns 0, or a negative errno with the cause in reason (never empty then):
 *   -ENOEXEC  not an ELF shared object, truncated, or damaged
 *   -ENOTSUP  another architecture or byte order
 *   -ENOENT   a good file without c10::GradMode::set_enabled
 *   -ENOMEM
 * A plan whose thread-local offsets could not be found is a success with plan->doubt set.
 */
int inspect_plan(const void *data, size_t size, struct inspect_plan *plan, char *reason,
		 size_t reason_size);

/*
 * The same for an open file of at most 64 MiB, which is read into memory. -EFBIG, or the errno of
 * the system call, come in addition. The descriptor stays the caller's.
 */
int inspect_plan_fd(int fd, struct inspect_plan *plan, char *reason, size_t reason_size);

/* The machine that this program is for, as e_machine has it; and a name for one, as uname -m has.
 */
uint16_t inspect_own_machine(void);
const char *inspect_machine_name(uint16_t machine);

/* A short name for a site, as used in doctor's table and in events: "set_enabled", ... */
const char *inspect_site_name(enum gw_site site);

#endif
