// SPDX-License-Identifier: GPL-2.0-or-later
#include "inspect/disassembler.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "inspect/machine.h"

/*
 * capstone (4.0.2) does not look whether it was given memory, and crashes when it was not. So it
 * gets some from here then. An open handle takes less than HANDLE_BYTES (tests/unit/test_memory.c),
 * and there are no more of them than HANDLES at a time.
 */
#define HANDLE_BYTES (32 << 10)
#define HANDLES      2
#define ALIGNMENT    16

static struct {
	unsigned int blocks; /* in use */
	size_t taken;        /* bytes, from the start */
	_Alignas(ALIGNMENT) unsigned char bytes[HANDLES * HANDLE_BYTES];
} reserve;

static bool is_reserve(const void *memory)
{
	const unsigned char *byte = memory;

	return byte >= reserve.bytes && byte < reserve.bytes + sizeof(reserve.bytes);
}

/* Whatever is free at the end; all of it is when the last block is given back. */
static void *take_reserve(size_t size)
{
	void *memory = reserve.bytes + reserve.taken;

	if (size > sizeof(reserve.bytes) - reserve.taken - ALIGNMENT)
		return NULL;
	reserve.taken += (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
	reserve.blocks++;
	return memory;
}

static void *take(size_t size)
{
	void *memory = malloc(size);

	if (memory)
		return memory;
	return take_reserve(size);
}

static void *take_zeroed(size_t count, size_t size)
{
	void *memory = take(count * size); /* capstone's own numbers: small */

	if (memory)
		memset(memory, 0, count * size);
	return memory;
}

static void give_back(void *memory)
{
	if (!is_reserve(memory))
		free(memory);
	else if (!--reserve.blocks)
		reserve.taken = 0;
}

/* Only cs_disasm() needs it, which gradwatch does not call. */
static void *resize(void *memory, size_t size)
{
	return is_reserve(memory) ? NULL : realloc(memory, size);
}

static int set_memory(void)
{
	cs_opt_mem memory = {take, take_zeroed, resize, give_back, vsnprintf};

	return cs_option(0, CS_OPT_MEM, (size_t)&memory) ? -EINVAL : 0;
}

int disassembler_open(const struct elf_image *image, csh *capstone, cs_insn **insn)
{
	const struct machine *machine = machine_of(image->machine);

	if (sizeof(reserve.bytes) - reserve.taken < HANDLE_BYTES || set_memory() ||
	    cs_open(machine->arch, machine->mode, capstone))
		return -ENOMEM;
	cs_option(*capstone, CS_OPT_DETAIL, CS_OPT_ON);
	*insn = cs_malloc(*capstone);
	if (*insn)
		return 0;
	cs_close(capstone);
	return -ENOMEM;
}

void disassembler_close(csh *capstone, cs_insn *insn)
{
	cs_free(insn, 1);
	cs_close(capstone);
}
