// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What PT_DYNAMIC and PT_NOTE contain: relocations, the library's name, its build id.
 *
 * The relocation tables are read once, and what is of use in them goes into a sorted table:
 * following code asks for many words, and a hostile file may have millions of relocations.
 *
 * Layout: System V gABI, chapter 5 (dynamic section); relocation types: psABI x86-64, table 4.10;
 * ELF for the Arm 64-bit Architecture, "Dynamic relocations".
 */
#include <elf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "inspect/elf_image.h"

#define MAX_ENTRIES 1024    /* of the dynamic section; libc10.so has 40 */
#define MAX_SLOTS   1000000 /* relocations of use; libc10.so has 900 */
#define MAX_NOTE    65536   /* bytes of one note segment */

/* The entries of the dynamic section that are of use. */
struct dynamic {
	uint64_t rela, rela_size;
	uint64_t jump, jump_size; /* of the PLT */
	uint64_t strings, strings_size;
	uint64_t name; /* DT_SONAME, in strings */
};

static void keep_entry(void *context, const Elf64_Dyn *entry)
{
	struct dynamic *dynamic = context;

	switch (entry->d_tag) {
	case DT_RELA:
		dynamic->rela = entry->d_un.d_ptr;
		break;
	case DT_RELASZ:
		dynamic->rela_size = entry->d_un.d_val;
		break;
	case DT_JMPREL:
		dynamic->jump = entry->d_un.d_ptr;
		break;
	case DT_PLTRELSZ:
		dynamic->jump_size = entry->d_un.d_val;
		break;
	case DT_STRTAB:
		dynamic->strings = entry->d_un.d_ptr;
		break;
	case DT_STRSZ:
		dynamic->strings_size = entry->d_un.d_val;
		break;
	case DT_SONAME:
		dynamic->name = entry->d_un.d_val;
		break;
	default:
		break;
	}
}

/* Calls visit() for each entry; not once where there is no dynamic section. */
static void each_entry(const struct elf_image *image,
		       void (*visit)(void *context, const Elf64_Dyn *entry), void *context)
{
	GElf_Phdr header;
	Elf64_Dyn entry;
	int number = 0;

	while (elf_image_segment(image, number, &header) && header.p_type != PT_DYNAMIC)
		number++;
	if (!elf_image_segment(image, number, &header) ||
	    !elf_image_holds(image, header.p_offset, header.p_filesz))
		return;
	for (uint64_t i = 0; i < MAX_ENTRIES && (i + 1) * sizeof(entry) <= header.p_filesz; i++) {
		memcpy(&entry, image->data + header.p_offset + i * sizeof(entry), sizeof(entry));
		if (entry.d_tag == DT_NULL)
			return;
		visit(context, &entry);
	}
}

/* All zero where there is no dynamic section. */
static void read_dynamic(const struct elf_image *image, struct dynamic *dynamic)
{
	*dynamic = (struct dynamic){0};
	each_entry(image, keep_entry, dynamic);
}

/* --- relocations -------------------------------------------------------------------------------
 */

static enum elf_relocation_kind kind_on_x86(uint32_t type)
{
	switch (type) {
	case R_X86_64_JUMP_SLOT:
	case R_X86_64_GLOB_DAT:
	case R_X86_64_64:
		return ELF_RELOCATION_FUNCTION;
	case R_X86_64_RELATIVE:
		return ELF_RELOCATION_RELATIVE;
	case R_X86_64_DTPMOD64:
		return ELF_RELOCATION_TLS_MODULE;
	case R_X86_64_DTPOFF64:
		return ELF_RELOCATION_TLS_OFFSET;
	default:
		return ELF_RELOCATION_OTHER;
	}
}

static enum elf_relocation_kind kind_on_arm64(uint32_t type)
{
	switch (type) {
	case R_AARCH64_JUMP_SLOT:
	case R_AARCH64_GLOB_DAT:
	case R_AARCH64_ABS64:
		return ELF_RELOCATION_FUNCTION;
	case R_AARCH64_RELATIVE:
		return ELF_RELOCATION_RELATIVE;
	case R_AARCH64_TLS_DTPMOD:
		return ELF_RELOCATION_TLS_MODULE;
	case R_AARCH64_TLS_DTPREL:
		return ELF_RELOCATION_TLS_OFFSET;
	case R_AARCH64_TLSDESC:
		return ELF_RELOCATION_TLS_DESCRIPTOR;
	default:
		return ELF_RELOCATION_OTHER;
	}
}

static enum elf_relocation_kind kind_of(const struct elf_image *image, const Elf64_Rela *rela)
{
	uint32_t type = ELF64_R_TYPE(rela->r_info);

	return image->machine == EM_AARCH64 ? kind_on_arm64(type) : kind_on_x86(type);
}

/* Counts the useful entries of a table, and keeps them if image->slots is allocated. */
static size_t read_table(struct elf_image *image, uint64_t address, uint64_t size)
{
	const uint8_t *table = elf_image_bytes(image, address, size);
	enum elf_relocation_kind kind;
	size_t count = 0;
	Elf64_Rela rela;

	for (uint64_t at = 0; table && size - at >= sizeof(rela); at += sizeof(rela)) {
		memcpy(&rela, table + at, sizeof(rela));
		kind = kind_of(image, &rela);
		if (kind == ELF_RELOCATION_OTHER || kind == ELF_RELOCATION_RELATIVE ||
		    (kind == ELF_RELOCATION_FUNCTION && rela.r_addend))
			continue;
		count++;
		if (image->slots)
			image->slots[image->slot_count++] = (struct elf_slot){
				.address = rela.r_offset,
				.addend = rela.r_addend,
				.kind = kind,
				.symbol = ELF64_R_SYM(rela.r_info),
			};
	}
	return count;
}

static int compare_slots(const void *left, const void *right)
{
	const struct elf_slot *a = left, *b = right;

	return (a->address > b->address) - (a->address < b->address);
}

int elf_image_read_relocations(struct elf_image *image)
{
	struct dynamic dynamic;
	size_t count;

	read_dynamic(image, &dynamic);
	count = read_table(image, dynamic.rela, dynamic.rela_size) +
		read_table(image, dynamic.jump, dynamic.jump_size);
	if (!count || count > MAX_SLOTS) /* then nothing is found, which is a doubt later */
		return 0;
	image->slots = calloc(count, sizeof(*image->slots));
	if (!image->slots)
		return -ENOMEM;
	read_table(image, dynamic.rela, dynamic.rela_size);
	read_table(image, dynamic.jump, dynamic.jump_size);
	qsort(image->slots, image->slot_count, sizeof(*image->slots), compare_slots);
	return 0;
}

int elf_image_relocation(const struct elf_image *image, uint64_t address,
			 struct elf_relocation *relocation)
{
	const struct elf_slot key = {.address = address}, *slot = NULL;
	const char *name;
	GElf_Sym symbol;

	if (image->slots)
		slot = bsearch(&key, image->slots, image->slot_count, sizeof(key), compare_slots);
	if (!slot)
		return -ENOENT;
	*relocation = (struct elf_relocation){
		.kind = slot->kind,
		.addend = slot->addend,
		.symbol = "",
	};
	name = slot->symbol ? elf_image_symbol(image, slot->symbol, &symbol) : NULL;
	if (!name)
		return 0;
	relocation->symbol = name;
	relocation->defined = symbol.st_shndx != SHN_UNDEF;
	relocation->value = symbol.st_value;
	return 0;
}

void elf_image_each_relative(const struct elf_image *image, elf_relative_visitor visit,
			     void *context)
{
	struct dynamic dynamic;
	const uint8_t *table;
	Elf64_Rela rela;

	read_dynamic(image, &dynamic);
	table = elf_image_bytes(image, dynamic.rela, dynamic.rela_size);
	for (uint64_t at = 0; table && dynamic.rela_size - at >= sizeof(rela); at += sizeof(rela)) {
		memcpy(&rela, table + at, sizeof(rela));
		if (kind_of(image, &rela) == ELF_RELOCATION_RELATIVE &&
		    visit(context, rela.r_offset, (uint64_t)rela.r_addend))
			return;
	}
}

/* --- names -------------------------------------------------------------------------------------
 */

/* A string of the dynamic section that ends within it; NULL: there is none. */
static const char *string_at(const struct elf_image *image, const struct dynamic *dynamic,
			     uint64_t offset)
{
	const char *strings = (const char *)elf_image_bytes(image, dynamic->strings,
							    dynamic->strings_size);

	if (!strings || !offset || offset >= dynamic->strings_size ||
	    !memchr(strings + offset, '\0', dynamic->strings_size - offset))
		return NULL;
	return strings + offset;
}

void elf_image_soname(const struct elf_image *image, char *out, size_t size)
{
	struct dynamic dynamic;
	const char *name;

	read_dynamic(image, &dynamic);
	name = string_at(image, &dynamic, dynamic.name);
	str_format(out, size, "%s", name ? name : "");
}

struct search {
	const struct elf_image *image;
	struct dynamic dynamic;
	bool (*fits)(const char *name);
	const char *found;
};

static void look_at_needed(void *context, const Elf64_Dyn *entry)
{
	struct search *search = context;
	const char *name;

	if (entry->d_tag != DT_NEEDED || search->found)
		return;
	name = string_at(search->image, &search->dynamic, entry->d_un.d_val);
	if (name && search->fits(name))
		search->found = name;
}

const char *elf_image_needed(const struct elf_image *image, bool (*fits)(const char *name))
{
	struct search search = {.image = image, .fits = fits};

	read_dynamic(image, &search.dynamic);
	each_entry(image, look_at_needed, &search);
	return search.found;
}

/* Looks for NT_GNU_BUILD_ID in the notes of one segment. */
static bool build_id_of(Elf_Data *data, char *out, size_t size)
{
	size_t offset = 0, name_at, text_at;
	GElf_Nhdr note;

	while ((offset = gelf_getnote(data, offset, &note, &name_at, &text_at)) > 0) {
		const uint8_t *bytes = (const uint8_t *)data->d_buf + text_at;

		if (note.n_type != NT_GNU_BUILD_ID || note.n_namesz != sizeof("GNU") ||
		    memcmp((const char *)data->d_buf + name_at, "GNU", sizeof("GNU")) ||
		    note.n_descsz > (size - 1) / 2)
			continue;
		for (size_t i = 0; i < note.n_descsz; i++)
			snprintf(out + 2 * i, 3, "%02x", bytes[i]);
		return true;
	}
	return false;
}

void elf_image_build_id(const struct elf_image *image, char *out, size_t size)
{
	GElf_Phdr header;

	out[0] = '\0';
	for (int i = 0; elf_image_segment(image, i, &header); i++) {
		Elf_Data *data;

		if (header.p_type != PT_NOTE || header.p_filesz > MAX_NOTE ||
		    !elf_image_holds(image, header.p_offset, header.p_filesz))
			continue;
		data = elf_getdata_rawchunk(image->elf, (int64_t)header.p_offset, header.p_filesz,
					    header.p_align == 8 ? ELF_T_NHDR8 : ELF_T_NHDR);
		if (data && build_id_of(data, out, size))
			return;
	}
}
