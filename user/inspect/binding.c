// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The bindings have no symbols that can be relied on. They are found through their PyMethodDef
 * (CPython Include/methodobject.h: ml_name, ml_meth, ml_flags; torch/csrc/autograd/init.cpp and
 * python_function.cpp), whose ml_name is relocated to the string "_set_grad_enabled" or "apply".
 * ml_meth is relocated too (PyTorch 1.13; THPFunction_apply where it is exported), or stored by a
 * static initialiser, as the function is cast: `lea function(%rip),%r; mov %r,ml_meth(%rip)`.
 *
 * The message of the exception needs memory in the process. The kernel maps whole pages, so the
 * bytes between the end of a writable segment's .bss and the end of its page are unused.
 */
#include "inspect/binding.h"

#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "inspect/elf_image.h"
#include "inspect/file.h"

#define NAME          "_set_grad_enabled"
#define APPLY         "apply"

#define METH_OFFSET   8 /* of ml_meth and ml_flags in PyMethodDef */
#define FLAGS_OFFSET  16
#define METH_VARARGS  1 /* CPython Include/methodobject.h */
#define METH_KEYWORDS 2
#define METH_O        8
#define METH_CLASS    16

#define MAX_NAMES     64 /* places where the string is */
#define MAX_SLOTS     4  /* words that point to it: for each the code may be searched */
#define MAX_BETWEEN   64 /* bytes from the lea to the mov */
#define PAGE          4096
#define MAX_ADDRESS   (1ull << 47)

/*
 * Whether a segment is in the file, and to be searched: of segments that lie over one another only
 * as much as the file is long. *left: bytes, image->size before the first one.
 */
static bool may_search(const struct elf_image *image, const GElf_Phdr *header, size_t *left)
{
	if (header->p_type != PT_LOAD || header->p_filesz > *left ||
	    !elf_image_holds(image, header->p_offset, header->p_filesz))
		return false;
	*left -= header->p_filesz;
	return true;
}

/* --- the PyMethodDef ---------------------------------------------------------------------------
 */

struct names {
	const char *name;
	uint64_t address[MAX_NAMES];
	size_t count;
	uint64_t slot[MAX_SLOTS]; /* one of them is an ml_name */
	size_t slots;
};

/* It may be the end of a longer string, as linkers share them. */
static void find_names(const struct elf_image *image, struct names *names)
{
	size_t size = strlen(names->name) + 1, left = image->size;
	GElf_Phdr header;

	for (int i = 0; elf_image_segment(image, i, &header); i++) {
		const uint8_t *start, *end, *at;

		if (!may_search(image, &header, &left))
			continue;
		start = at = image->data + header.p_offset;
		end = start + header.p_filesz;
		while (names->count < MAX_NAMES &&
		       (at = memmem(at, (size_t)(end - at), names->name, size)))
			names->address[names->count++] = header.p_vaddr + (uint64_t)(at++ - start);
	}
}

static bool is_name(void *context, uint64_t address, uint64_t addend)
{
	struct names *names = context;

	for (size_t i = 0; i < names->count; i++)
		if (addend == names->address[i] && names->slots < MAX_SLOTS)
			names->slot[names->slots++] = address;
	return names->slots == MAX_SLOTS;
}

struct target {
	uint64_t slot, value;
};

static bool is_target(void *context, uint64_t address, uint64_t addend)
{
	struct target *target = context;

	if (address != target->slot)
		return false;
	target->value = addend;
	return true;
}

/* --- the static initialiser --------------------------------------------------------------------
 */

/* `lea` or `mov` between a register and memory at a distance: prefix, opcode, which register. */
static bool is_access(const uint8_t *at, uint8_t opcode, uint8_t *reg)
{
	if ((at[0] != 0x48 && at[0] != 0x4c) || at[1] != opcode || (at[2] & 0xc7) != 0x05)
		return false;
	*reg = (uint8_t)((at[2] >> 3 & 7) | (at[0] == 0x4c ? 8 : 0));
	return true;
}

static uint64_t access_target(const uint8_t *at, uint64_t address)
{
	int32_t distance;

	memcpy(&distance, at + 3, sizeof(distance));
	return address + 7 + (uint64_t)(int64_t)distance;
}

/* What the last lea before code[at] has put into the register; 0: there is none. */
static uint64_t loaded(const uint8_t *code, size_t at, uint64_t address, uint8_t reg)
{
	uint8_t found;

	for (size_t back = 7; back <= MAX_BETWEEN && back <= at; back++)
		if (is_access(code + at - back, 0x8d, &found) && found == reg)
			return access_target(code + at - back, address + at - back);
	return 0;
}

/* What is stored into the slot by a segment's code, 0: nothing. */
static uint64_t stored(const uint8_t *code, size_t size, uint64_t address, uint64_t slot)
{
	uint8_t reg;

	for (size_t at = 0; size >= 7 && at <= size - 7; at++)
		if (is_access(code + at, 0x89, &reg) &&
		    access_target(code + at, address + at) == slot)
			return loaded(code, at, address, reg);
	return 0;
}

static uint64_t find_stored(const struct elf_image *image, uint64_t slot)
{
	size_t left = image->size;
	uint64_t function = 0;
	GElf_Phdr header;

	for (int i = 0; !function && elf_image_segment(image, i, &header); i++)
		if (header.p_flags & PF_X && may_search(image, &header, &left))
			function = stored(image->data + header.p_offset, header.p_filesz,
					  header.p_vaddr, slot);
	return function;
}

/* --- memory for a message ----------------------------------------------------------------------
 */

/* Whether another segment uses bytes of a page. */
static bool is_shared(const struct elf_image *image, int segment, uint64_t start, uint64_t end)
{
	GElf_Phdr header;

	for (int i = 0; elf_image_segment(image, i, &header); i++)
		if (i != segment && header.p_type == PT_LOAD && header.p_vaddr < end &&
		    header.p_vaddr + header.p_memsz > start)
			return true;
	return false;
}

/* Behind the .bss of a segment; patchelf may have put others behind that one. */
static void find_room(const struct elf_image *image, struct inspect_binding *binding)
{
	GElf_Phdr header;

	for (int i = 0; elf_image_segment(image, i, &header); i++) {
		uint64_t end = header.p_vaddr + header.p_memsz, start, page_end;

		if (header.p_type != PT_LOAD || !(header.p_flags & PF_W) ||
		    header.p_memsz <= header.p_filesz || end < header.p_vaddr || end > MAX_ADDRESS)
			continue;
		start = (end + 15) & ~15ull;
		page_end = (end + PAGE - 1) & ~(uint64_t)(PAGE - 1);
		if (start >= page_end || is_shared(image, i, start, page_end) ||
		    page_end - start <= binding->space_size)
			continue;
		binding->space = start;
		binding->space_size = page_end - start;
	}
}

/* --- all of it ---------------------------------------------------------------------------------
 */

/* ml_flags of a PyMethodDef; 0, which none has: it is not in the file. */
static uint32_t read_flags(const struct elf_image *image, uint64_t slot)
{
	uint64_t flags = 0;

	elf_image_word(image, slot + FLAGS_OFFSET, &flags);
	return (uint32_t)flags;
}

/* ml_meth of a PyMethodDef, 0: not known. */
static uint64_t read_function(const struct elf_image *image, uint64_t slot)
{
	struct target method = {.slot = slot + METH_OFFSET};
	struct elf_relocation relocation;

	elf_image_each_relative(image, is_target, &method);
	if (method.value)
		return method.value;
	if (!elf_image_relocation(image, method.slot, &relocation) &&
	    relocation.kind == ELF_RELOCATION_FUNCTION)
		return relocation.defined ? relocation.value : 0;
	return find_stored(image, method.slot);
}

/* The slots that may be the ml_name of a PyMethodDef. */
static void find_slots(const struct elf_image *image, struct names *names)
{
	find_names(image, names);
	if (names->count)
		elf_image_each_relative(image, is_name, names);
}

/* Behind the endbr64, where there is one: it cannot be emulated, what follows mostly can. */
static int choose_site(const struct elf_image *image, struct inspect_binding *binding)
{
	static const uint8_t endbr64[] = {0xf3, 0x0f, 0x1e, 0xfa};
	size_t available;
	const uint8_t *code = elf_image_code(image, binding->function, &available);

	if (!code || available < BINDING_ENTRY_BYTES)
		return -ENOENT;
	binding->address = binding->function;
	if (!memcmp(code, endbr64, sizeof(endbr64)))
		binding->address += sizeof(endbr64);
	return elf_image_offset(image, binding->address, &binding->file_offset);
}

/* Takes a word that points to the name for the ml_name of a PyMethodDef. NULL: it is one. */
static const char *read_method(const struct elf_image *image, uint64_t slot,
			       struct inspect_binding *binding)
{
	uint32_t flags = read_flags(image, slot);

	binding->function = read_function(image, slot);
	if (!binding->function)
		return "what puts " NAME " into its table of methods is not of a known form";
	binding->method_o = flags == METH_O;
	if (!binding->method_o && flags != (METH_VARARGS | METH_KEYWORDS))
		return NAME " takes its arguments in an unknown way";
	return choose_site(image, binding) ? NAME " has no code in the file" : NULL;
}

static struct gw_range range_of(const struct elf_image *image, uint64_t function)
{
	uint64_t end;

	if (!function || elf_image_function_end(image, function, &end))
		return (struct gw_range){0};
	return (struct gw_range){function, end};
}

/* Function.apply is the only class method of this name. */
static void find_apply(const struct elf_image *image, struct inspect_binding *binding)
{
	struct names names = {.name = APPLY};
	uint32_t flags;

	find_slots(image, &names);
	for (size_t i = 0; !binding->apply.end && i < names.slots; i++) {
		flags = read_flags(image, names.slot[i]);
		if ((flags & ~METH_KEYWORDS) == (METH_CLASS | METH_VARARGS))
			binding->apply = range_of(image, read_function(image, names.slot[i]));
	}
}

static const char *read_image(const struct elf_image *image, struct inspect_binding *binding)
{
	struct names names = {.name = NAME};
	const char *failed;

	if (image->machine != EM_X86_64)
		return "it is not for x86_64";
	find_slots(image, &names);
	if (!names.count)
		return "it has no " NAME;
	failed = "no table of methods has " NAME;
	for (size_t i = 0; failed && i < names.slots; i++)
		failed = read_method(image, names.slot[i], binding);
	if (failed)
		return failed;
	find_room(image, binding);
	binding->range = range_of(image, binding->function);
	find_apply(image, binding);
	return NULL;
}

int inspect_binding(const void *data, size_t size, struct inspect_binding *binding, char *reason,
		    size_t reason_size)
{
	struct elf_image image;
	const char *failed;
	int code;

	*binding = (struct inspect_binding){0};
	code = elf_image_open(&image, data, size, reason, reason_size);
	if (code)
		return code;
	failed = read_image(&image, binding);
	elf_image_close(&image);
	if (failed)
		str_format(reason, reason_size, "%s", failed);
	return failed ? -ENOENT : 0;
}

int inspect_binding_fd(int fd, struct inspect_binding *binding, char *reason, size_t reason_size)
{
	size_t size;
	char *data;
	int code = inspect_file_read(fd, &data, &size, reason, reason_size);

	if (code)
		return code;
	code = inspect_binding(data, size, binding, reason, reason_size);
	free(data);
	return code;
}
