// SPDX-License-Identifier: GPL-2.0-or-later
#include "inspect/elf_image.h"

#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"

#define MAX_SECTIONS 65536
#define MAX_SEGMENTS 256

static const char *machine_name(unsigned int machine)
{
	switch (machine) {
	case EM_386:
		return "i386";
	case EM_PPC64:
		return "ppc64";
	case EM_S390:
		return "s390x";
	case EM_RISCV:
		return "riscv";
	case EM_LOONGARCH:
		return "loongarch";
	default:
		return "another architecture";
	}
}

/*
 * On the bytes, before libelf sees them: it allocates for as many sections as the file says that it
 * has, and "extended numbering" (e_shnum 0) lets it say four billion. No library has 65280
 * sections.
 */
static int check_header(struct elf_image *image, char *reason, size_t reason_size)
{
	Elf64_Ehdr header;

	if (image->size < sizeof(header) || memcmp(image->data, ELFMAG, SELFMAG)) {
		str_format(reason, reason_size, "not an ELF file, or cut off in its header");
		return -ENOEXEC;
	}
	memcpy(&header, image->data, sizeof(header));
	if (header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_ident[EI_DATA] != ELFDATA2LSB) {
		str_format(reason, reason_size,
			   "a 32-bit or big-endian file; only x86_64 and aarch64 can be watched");
		return -ENOTSUP;
	}
	if (header.e_machine != EM_X86_64 && header.e_machine != EM_AARCH64) {
		str_format(reason, reason_size,
			   "built for %s; only x86_64 and aarch64 can be watched",
			   machine_name(header.e_machine));
		return -ENOTSUP;
	}
	if (header.e_type != ET_DYN && header.e_type != ET_EXEC) {
		str_format(reason, reason_size, "not a shared object or program");
		return -ENOEXEC;
	}
	if (header.e_shoff && !header.e_shnum) {
		str_format(reason, reason_size, "damaged: it has too many sections");
		return -ENOEXEC;
	}
	image->machine = header.e_machine;
	return 0;
}

bool elf_image_holds(const struct elf_image *image, uint64_t offset, uint64_t size)
{
	return offset <= image->size && size <= image->size - offset;
}

bool elf_image_segment(const struct elf_image *image, int number, GElf_Phdr *header)
{
	size_t count;

	if (elf_getphdrnum(image->elf, &count) || (size_t)number >= count || number >= MAX_SEGMENTS)
		return false;
	return gelf_getphdr(image->elf, number, header) != NULL;
}

static int find_segments(struct elf_image *image)
{
	GElf_Phdr header;
	int loads = 0;

	for (int i = 0; elf_image_segment(image, i, &header); i++) {
		if (header.p_type == PT_LOAD &&
		    elf_image_holds(image, header.p_offset, header.p_filesz))
			loads++;
		if (header.p_type != PT_TLS)
			continue;
		image->tls_size = header.p_memsz;
		image->tls_image = header.p_offset;
		image->tls_image_size = header.p_filesz;
	}
	return loads ? 0 : -ENOEXEC;
}

/* Ends with a 0, so that a name can be taken from any place: elf_strptr would look each time. */
static int find_strings(struct elf_image *image, size_t section)
{
	Elf_Scn *strings = elf_getscn(image->elf, section);
	GElf_Shdr header;

	if (!strings || !gelf_getshdr(strings, &header) || header.sh_type != SHT_STRTAB ||
	    !header.sh_size || !elf_image_holds(image, header.sh_offset, header.sh_size) ||
	    image->data[header.sh_offset + header.sh_size - 1])
		return -ENOEXEC;
	image->strings = (const char *)image->data + header.sh_offset;
	image->strings_size = header.sh_size;
	return 0;
}

static int find_symbols(struct elf_image *image)
{
	Elf_Scn *section = NULL;
	GElf_Shdr header;
	int seen = 0;

	while (seen++ < MAX_SECTIONS && (section = elf_nextscn(image->elf, section))) {
		if (!gelf_getshdr(section, &header) || header.sh_type != SHT_DYNSYM)
			continue;
		if (!elf_image_holds(image, header.sh_offset, header.sh_size))
			return -ENOEXEC;
		image->symbols = elf_getdata(section, NULL);
		image->symbol_count = header.sh_size / sizeof(Elf64_Sym);
		return image->symbols ? find_strings(image, header.sh_link) : -ENOEXEC;
	}
	return -ENOENT;
}

int elf_image_open(struct elf_image *image, const void *data, size_t size, char *reason,
		   size_t reason_size)
{
	int code;

	*image = (struct elf_image){.data = data, .size = size};
	code = check_header(image, reason, reason_size);
	if (code)
		return code;
	elf_version(EV_CURRENT);
	/* libelf reads only, but its prototype is not const. */
	image->elf = elf_memory((char *)(uintptr_t)data, size);
	if (!image->elf) { /* what is no ELF file gives another kind */
		str_format(reason, reason_size, "out of memory");
		return -ENOMEM;
	}
	if (elf_kind(image->elf) != ELF_K_ELF) {
		str_format(reason, reason_size, "a damaged ELF header: %s", elf_errmsg(-1));
		code = -ENOEXEC;
	}
	if (!code && (code = find_segments(image)))
		str_format(reason, reason_size, "cut off or damaged: no segment lies in the file");
	if (!code && (code = find_symbols(image))) {
		str_format(reason, reason_size, "cut off or damaged: no dynamic symbol table");
		code = -ENOEXEC;
	}
	if (!code && (code = elf_image_read_relocations(image)))
		str_format(reason, reason_size, "out of memory");
	if (code)
		elf_image_close(image);
	return code;
}

void elf_image_close(struct elf_image *image)
{
	elf_end(image->elf);
	image->elf = NULL;
	free(image->slots);
	image->slots = NULL;
	image->slot_count = 0;
}

const char *elf_image_symbol(const struct elf_image *image, size_t number, GElf_Sym *symbol)
{
	if (number >= image->symbol_count || !gelf_getsym(image->symbols, (int)number, symbol))
		return NULL;
	return symbol->st_name < image->strings_size ? image->strings + symbol->st_name : "";
}

int elf_image_function(const struct elf_image *image, const char *wanted,
		       struct elf_function *function)
{
	size_t length = strlen(wanted);
	bool prefix = length && wanted[length - 1] == '*';
	GElf_Sym symbol;

	length = prefix ? length - 1 : length + 1; /* the whole: with the 0 at the end */

	for (size_t i = 0; i < image->symbol_count; i++) {
		const char *name = elf_image_symbol(image, i, &symbol);

		if (!name)
			break;
		if (symbol.st_shndx == SHN_UNDEF || GELF_ST_TYPE(symbol.st_info) != STT_FUNC)
			continue;
		if (strncmp(name, wanted, length))
			continue;
		*function = (struct elf_function){name, symbol.st_value, symbol.st_size};
		return 0;
	}
	return -ENOENT;
}

static int find_value(const struct elf_image *image, const char *name, int type, uint64_t *value)
{
	GElf_Sym symbol;

	for (size_t i = 0; i < image->symbol_count; i++) {
		const char *its = elf_image_symbol(image, i, &symbol);

		if (!its)
			break;
		if (symbol.st_shndx == SHN_UNDEF || GELF_ST_TYPE(symbol.st_info) != type ||
		    strcmp(its, name) != 0)
			continue;
		*value = symbol.st_value;
		return 0;
	}
	return -ENOENT;
}

int elf_image_object(const struct elf_image *image, const char *name, uint64_t *address)
{
	return find_value(image, name, STT_OBJECT, address);
}

int elf_image_tls(const struct elf_image *image, const char *name, uint64_t *offset)
{
	return find_value(image, name, STT_TLS, offset);
}

int elf_image_text(const struct elf_image *image, uint64_t *address, uint64_t *offset, bool *fixed)
{
	GElf_Ehdr header;
	GElf_Phdr load;

	if (!gelf_getehdr(image->elf, &header))
		return -ENOEXEC;
	*fixed = header.e_type == ET_EXEC;
	for (int i = 0; elf_image_segment(image, i, &load); i++) {
		if (load.p_type != PT_LOAD || !(load.p_flags & PF_X))
			continue;
		*address = load.p_vaddr;
		*offset = load.p_offset;
		return 0;
	}
	return -ENOENT;
}

/* The PT_LOAD that holds an address, with how far into it the address is. */
static bool load_of(const struct elf_image *image, uint64_t address, GElf_Phdr *header,
		    uint64_t *into)
{
	for (int i = 0; elf_image_segment(image, i, header); i++) {
		if (header->p_type != PT_LOAD || address < header->p_vaddr)
			continue;
		*into = address - header->p_vaddr;
		if (*into < header->p_memsz &&
		    elf_image_holds(image, header->p_offset, header->p_filesz))
			return true;
	}
	return false;
}

int elf_image_offset(const struct elf_image *image, uint64_t address, uint64_t *offset)
{
	GElf_Phdr header;
	uint64_t into;

	if (!load_of(image, address, &header, &into) || into >= header.p_filesz)
		return -ENOENT;
	*offset = header.p_offset + into;
	return 0;
}

const uint8_t *elf_image_code(const struct elf_image *image, uint64_t address, size_t *available)
{
	GElf_Phdr header;
	uint64_t into;

	*available = 0;
	if (!load_of(image, address, &header, &into) || !(header.p_flags & PF_X) ||
	    into >= header.p_filesz)
		return NULL;
	*available = header.p_filesz - into;
	return image->data + header.p_offset + into;
}

const uint8_t *elf_image_bytes(const struct elf_image *image, uint64_t address, uint64_t size)
{
	GElf_Phdr header;
	uint64_t into;

	if (!load_of(image, address, &header, &into) || into >= header.p_filesz ||
	    header.p_filesz - into < size)
		return NULL;
	return image->data + header.p_offset + into;
}

int elf_image_word(const struct elf_image *image, uint64_t address, uint64_t *word)
{
	GElf_Phdr header;
	uint64_t into;

	if (!load_of(image, address, &header, &into) || header.p_memsz - into < sizeof(*word))
		return -ENOENT;
	*word = 0;
	if (into + sizeof(*word) <= header.p_filesz)
		memcpy(word, image->data + header.p_offset + into, sizeof(*word));
	return 0;
}
