// SPDX-License-Identifier: GPL-2.0-or-later
#include "inspect/elf_image.h"

#include <elf.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"

#define MAX_SECTIONS    65536
#define MAX_SEGMENTS    256
#define MAX_RELOCATIONS 8000000

static const char *machine_name(unsigned int machine)
{
	switch (machine) {
	case EM_AARCH64:
		return "aarch64";
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

static int check_header(const struct elf_image *image, char *reason, size_t reason_size)
{
	const unsigned char *ident = image->data;
	GElf_Ehdr header;

	if (image->size < sizeof(Elf64_Ehdr) || memcmp(ident, ELFMAG, SELFMAG)) {
		str_format(reason, reason_size, "not an ELF file, or cut off in its header");
		return -ENOEXEC;
	}
	if (ident[EI_CLASS] != ELFCLASS64 || ident[EI_DATA] != ELFDATA2LSB) {
		str_format(reason, reason_size,
			   "a 32-bit or big-endian file; only x86_64 can be watched");
		return -ENOTSUP;
	}
	if (elf_kind(image->elf) != ELF_K_ELF || !gelf_getehdr(image->elf, &header)) {
		str_format(reason, reason_size, "a damaged ELF header: %s", elf_errmsg(-1));
		return -ENOEXEC;
	}
	if (header.e_machine != EM_X86_64) {
		str_format(reason, reason_size, "built for %s; only x86_64 can be watched",
			   machine_name(header.e_machine));
		return -ENOTSUP;
	}
	if (header.e_type != ET_DYN && header.e_type != ET_EXEC) {
		str_format(reason, reason_size, "not a shared object or program");
		return -ENOEXEC;
	}
	return 0;
}

static bool in_file(const struct elf_image *image, uint64_t offset, uint64_t size)
{
	return offset <= image->size && size <= image->size - offset;
}

/* The segment by number; false when there is none or it does not lie within the file. */
static bool segment(const struct elf_image *image, int number, GElf_Phdr *header)
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

	for (int i = 0; segment(image, i, &header); i++) {
		if (header.p_type == PT_LOAD && in_file(image, header.p_offset, header.p_filesz))
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
	    !header.sh_size || !in_file(image, header.sh_offset, header.sh_size) ||
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
		if (!in_file(image, header.sh_offset, header.sh_size))
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
	elf_version(EV_CURRENT);
	/* libelf reads only, but its prototype is not const. */
	image->elf = size ? elf_memory((char *)(uintptr_t)data, size) : NULL;
	code = check_header(image, reason, reason_size);
	if (!code && (code = find_segments(image)))
		str_format(reason, reason_size, "cut off or damaged: no segment lies in the file");
	if (!code && (code = find_symbols(image))) {
		str_format(reason, reason_size, "cut off or damaged: no dynamic symbol table");
		code = -ENOEXEC;
	}
	if (code)
		elf_image_close(image);
	return code;
}

void elf_image_close(struct elf_image *image)
{
	elf_end(image->elf);
	image->elf = NULL;
}

static const char *symbol_name(const struct elf_image *image, const GElf_Sym *symbol)
{
	return symbol->st_name < image->strings_size ? image->strings + symbol->st_name : "";
}

int elf_image_function(const struct elf_image *image, const char *prefix,
		       struct elf_function *function)
{
	size_t length = strlen(prefix);
	GElf_Sym symbol;

	for (size_t i = 0; i < image->symbol_count; i++) {
		const char *name;

		if (!gelf_getsym(image->symbols, (int)i, &symbol))
			break;
		if (symbol.st_shndx == SHN_UNDEF || GELF_ST_TYPE(symbol.st_info) != STT_FUNC)
			continue;
		name = symbol_name(image, &symbol);
		if (strncmp(name, prefix, length))
			continue;
		*function = (struct elf_function){name, symbol.st_value, symbol.st_size};
		return 0;
	}
	return -ENOENT;
}

/* The PT_LOAD that holds an address, with how far into it the address is. */
static bool load_of(const struct elf_image *image, uint64_t address, GElf_Phdr *header,
		    uint64_t *into)
{
	for (int i = 0; segment(image, i, header); i++) {
		if (header->p_type != PT_LOAD || address < header->p_vaddr)
			continue;
		*into = address - header->p_vaddr;
		if (*into < header->p_memsz && in_file(image, header->p_offset, header->p_filesz))
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

static void describe_relocation(const struct elf_image *image, const GElf_Rela *rela,
				struct elf_relocation *relocation)
{
	size_t index = GELF_R_SYM(rela->r_info);
	GElf_Sym symbol;

	*relocation = (struct elf_relocation){
		.type = GELF_R_TYPE(rela->r_info),
		.addend = rela->r_addend,
		.symbol = "",
	};
	if (!index || index >= image->symbol_count ||
	    !gelf_getsym(image->symbols, (int)index, &symbol))
		return;
	relocation->symbol = symbol_name(image, &symbol);
	relocation->defined = symbol.st_shndx != SHN_UNDEF;
	relocation->value = symbol.st_value;
}

int elf_image_relocation(const struct elf_image *image, uint64_t address,
			 struct elf_relocation *relocation)
{
	Elf_Scn *section = NULL;
	GElf_Shdr header;
	int seen = 0;

	while (seen++ < MAX_SECTIONS && (section = elf_nextscn(image->elf, section))) {
		Elf_Data *data;
		GElf_Rela rela;

		if (!gelf_getshdr(section, &header) || header.sh_type != SHT_RELA ||
		    !in_file(image, header.sh_offset, header.sh_size))
			continue;
		data = elf_getdata(section, NULL);
		for (int i = 0; data && i < MAX_RELOCATIONS && gelf_getrela(data, i, &rela); i++) {
			if (rela.r_offset != address)
				continue;
			describe_relocation(image, &rela, relocation);
			return 0;
		}
	}
	return -ENOENT;
}

void elf_image_soname(const struct elf_image *image, char *out, size_t size)
{
	Elf_Scn *section = NULL;
	GElf_Shdr header;
	GElf_Dyn entry;
	int seen = 0;

	out[0] = '\0';
	while (seen++ < MAX_SECTIONS && (section = elf_nextscn(image->elf, section))) {
		Elf_Data *data;

		if (!gelf_getshdr(section, &header) || header.sh_type != SHT_DYNAMIC)
			continue;
		data = elf_getdata(section, NULL);
		for (int i = 0; data && gelf_getdyn(data, i, &entry) && entry.d_tag != DT_NULL;
		     i++) {
			const char *name;

			if (entry.d_tag != DT_SONAME)
				continue;
			name = elf_strptr(image->elf, header.sh_link, entry.d_un.d_val);
			if (name)
				str_format(out, size, "%s", name);
		}
	}
}

/* Looks for NT_GNU_BUILD_ID in the notes of one section. */
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
	Elf_Scn *section = NULL;
	GElf_Shdr header;
	int seen = 0;

	out[0] = '\0';
	while (seen++ < MAX_SECTIONS && (section = elf_nextscn(image->elf, section))) {
		Elf_Data *data;

		if (!gelf_getshdr(section, &header) || header.sh_type != SHT_NOTE)
			continue;
		data = elf_getdata(section, NULL);
		if (data && build_id_of(data, out, size))
			return;
	}
}
