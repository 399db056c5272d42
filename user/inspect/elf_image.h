/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Safe questions to an ELF image in memory: symbols, code, relocations. libelf parses the tables;
 * addresses are translated through the program headers, as the loader does.
 */
#ifndef GRADWATCH_INSPECT_ELF_IMAGE_H
#define GRADWATCH_INSPECT_ELF_IMAGE_H

#include <gelf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct elf_image {
	Elf *elf;
	const uint8_t *data; /* the caller's */
	size_t size;
	Elf_Data *symbols; /* .dynsym */
	size_t symbol_count;
	const char *strings; /* of .dynsym, ended */
	size_t strings_size;
	uint64_t tls_size;                  /* PT_TLS memsz, 0: none */
	uint64_t tls_image, tls_image_size; /* what the block begins with, in the file; 0 follows */
};

/* A function of .dynsym that is defined in the file. */
struct elf_function {
	const char *name; /* the image's */
	uint64_t address;
	uint64_t size; /* 0: not told */
};

/* A dynamic relocation and the symbol it names. */
struct elf_relocation {
	uint32_t type;
	int64_t addend;
	const char *symbol; /* "" for none; the image's */
	bool defined;       /* the symbol is defined in this file */
	uint64_t value;     /* of the symbol */
};

/*
 * Checks the header and finds the tables. 0, -ENOEXEC or -ENOTSUP (see inspect/plan.h) with the
 * cause in reason. data must outlive the image.
 */
int elf_image_open(struct elf_image *image, const void *data, size_t size, char *reason,
		   size_t reason_size);
void elf_image_close(struct elf_image *image);

/* The first defined function whose name starts with prefix. -ENOENT when there is none. */
int elf_image_function(const struct elf_image *image, const char *prefix,
		       struct elf_function *function);

/* File offset of an address; -ENOENT when no segment holds it. */
int elf_image_offset(const struct elf_image *image, uint64_t address, uint64_t *offset);

/* The bytes from an address of an executable segment on: *available of them. NULL: none. */
const uint8_t *elf_image_code(const struct elf_image *image, uint64_t address, size_t *available);

/* The word that the file holds for an address (0 in .bss). */
int elf_image_word(const struct elf_image *image, uint64_t address, uint64_t *word);

/* The dynamic relocation of the word at an address; -ENOENT when there is none. */
int elf_image_relocation(const struct elf_image *image, uint64_t address,
			 struct elf_relocation *relocation);

/* DT_SONAME and the GNU build id in hex; "" when absent. */
void elf_image_soname(const struct elf_image *image, char *out, size_t size);
void elf_image_build_id(const struct elf_image *image, char *out, size_t size);

#endif
