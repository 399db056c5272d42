// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * c10::toString is a switch over the key: compilers make it a table of 32-bit distances, and each
 * case begins with the load of a string's address. A set is made of a key by shifting 1 by
 * key + backends - 1 (DispatchKeySet.h, 1.13 - 2.14: the bits of the backends come first), which
 * is a `lea` and a `shl` inlined in tls_set_dispatch_key_included, or in the constructor it calls.
 */
#include "inspect/dispatch_key.h"

#include <capstone/capstone.h>
#include <elf.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "inspect/disassembler.h"

#define TO_STRING    "_ZN3c108toStringENS_11DispatchKeyE"

#define MAX_PROLOGUE 12  /* instructions up to the table */
#define MAX_BODY     80  /* instructions in which the shift is looked for */
#define MAX_BETWEEN  10  /* instructions from the lea to it */
#define MAX_KEYS     256 /* a key has 16 bits, but no build has so many */
#define SET_BITS     64

/* Reads instructions one after the other. */
struct reader {
	const struct elf_image *image;
	csh capstone;
	cs_insn *insn;
	const uint8_t *code;
	size_t available;
	uint64_t address; /* of the next one */
};

static void reader_seek(struct reader *reader, uint64_t address)
{
	reader->address = address;
	reader->code = elf_image_code(reader->image, address, &reader->available);
}

static bool reader_next(struct reader *reader)
{
	return reader->code && cs_disasm_iter(reader->capstone, &reader->code, &reader->available,
					      &reader->address, reader->insn);
}

static const cs_x86_op *operand(const struct reader *reader, int number)
{
	return &reader->insn->detail->x86.operands[number];
}

/* `lea distance(%rip),%register`: what it points to, 0: another instruction. */
static uint64_t lea_target(const struct reader *reader)
{
	if (reader->insn->id != X86_INS_LEA || operand(reader, 1)->mem.base != X86_REG_RIP)
		return 0;
	return reader->address + (uint64_t)operand(reader, 1)->mem.disp;
}

/* The table of the switch and the largest key that it is for. */
static bool find_table(struct reader *reader, uint64_t *table, int *last)
{
	uint64_t target;

	*table = 0;
	*last = -1;
	for (int i = 0; i < MAX_PROLOGUE && reader_next(reader); i++) {
		if (reader->insn->id == X86_INS_CMP && *last < 0 &&
		    operand(reader, 1)->type == X86_OP_IMM && operand(reader, 1)->imm > 0 &&
		    operand(reader, 1)->imm < MAX_KEYS)
			*last = (int)operand(reader, 1)->imm;
		target = lea_target(reader);
		if (target)
			*table = target;
		if (reader->insn->id == X86_INS_MOVSXD && operand(reader, 1)->mem.scale == 4)
			return *table && *last > 0;
	}
	return false;
}

/* Whether the case of a key begins with the load of this string. */
static bool is_case_of(struct reader *reader, uint64_t table, int key, const char *name)
{
	const uint8_t *entry = elf_image_bytes(reader->image, table + 4 * (uint64_t)key, 4);
	const uint8_t *string;
	uint64_t address;
	int32_t distance;

	if (!entry)
		return false;
	memcpy(&distance, entry, sizeof(distance));
	reader_seek(reader, table + (uint64_t)(int64_t)distance);
	if (!reader_next(reader))
		return false;
	if (reader->insn->id == X86_INS_ENDBR64 && !reader_next(reader))
		return false;
	address = lea_target(reader);
	string = address ? elf_image_bytes(reader->image, address, strlen(name) + 1) : NULL;
	return string && !memcmp(string, name, strlen(name) + 1);
}

/* The key that toString has this name for, 0: none. */
static int find_key(struct reader *reader, uint64_t to_string, const char *name)
{
	uint64_t table;
	int last;

	reader_seek(reader, to_string);
	if (!find_table(reader, &table, &last))
		return 0;
	for (int key = 1; key <= last; key++)
		if (is_case_of(reader, table, key, name))
			return key;
	return 0;
}

/* `lea 8 .. 62(%key),%count`: what is added, 0: another instruction. */
static int lea_added(const struct reader *reader)
{
	const x86_op_mem *memory = &operand(reader, 1)->mem;

	if (reader->insn->id != X86_INS_LEA || memory->base == X86_REG_INVALID ||
	    memory->base == X86_REG_RIP || memory->base == X86_REG_RSP ||
	    memory->index != X86_REG_INVALID || operand(reader, 0)->reg != X86_REG_ECX)
		return 0;
	return memory->disp >= 8 && memory->disp < SET_BITS - 1 ? (int)memory->disp : 0;
}

/*
 * What is added to a key before 1 is shifted by it, 0: not found. *called: the first function of
 * this file that is called directly, and may be the constructor.
 */
static int find_added(struct reader *reader, uint64_t *called)
{
	int added = 0, since = 0;

	for (int i = 0; i < MAX_BODY && reader_next(reader); i++) {
		int here = lea_added(reader);

		if (here) {
			added = here;
			since = i;
		} else if (added && i - since <= MAX_BETWEEN && reader->insn->id == X86_INS_SHL &&
			   operand(reader, 1)->type == X86_OP_REG &&
			   operand(reader, 1)->reg == X86_REG_CL && operand(reader, 0)->size == 8) {
			return added;
		}
		/* With prefixes it is a call of __tls_get_addr. */
		if (reader->insn->id == X86_INS_CALL && reader->insn->size == 5 && !*called)
			*called = (uint64_t)operand(reader, 0)->imm;
	}
	return 0;
}

/* The same for the function that includes a key, or the constructor that it calls. */
static int find_shift(struct reader *reader, uint64_t include)
{
	uint64_t called = 0;
	int added;

	reader_seek(reader, include);
	added = find_added(reader, &called);
	if (added || !called)
		return added;
	reader_seek(reader, called);
	return find_added(reader, &called);
}

int dispatch_key_bit(const struct elf_image *image, const char *name)
{
	struct elf_function to_string, include;
	struct reader reader = {.image = image};
	int key, added, code;

	if (image->machine != EM_X86_64 || elf_image_function(image, TO_STRING, &to_string) ||
	    elf_image_function(image, DISPATCH_KEY_INCLUDE, &include))
		return -ENOENT;
	code = disassembler_open(image, &reader.capstone, &reader.insn);
	if (code)
		return code;
	key = find_key(&reader, to_string.address, name);
	added = key ? find_shift(&reader, include.address) : 0;
	disassembler_close(&reader.capstone, reader.insn);
	return added && key + added < SET_BITS ? key + added : -ENOENT;
}
