/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Safe questions to an ELF image in memory: symbols, code, relocations. What the loader uses is
 * found as the loader finds it, through the program headers: wheels are processed by patchelf,
 * which moves segments about, and a hostile file can have 65535 sections that all lie over the same
 * bytes. Only .dynsym, whose length the loader need not know, is looked for among the sections.
 * Everything is read once and at most as long as the file is, so the time that a file takes is
 * bounded by its size.
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
	uint16_t machine;  /* EM_X86_64 or EM_AARCH64 */
	Elf_Data *symbols; /* .dynsym */
	size_t symbol_count;
	const char *strings; /* of .dynsym, ended */
	size_t strings_size;
	struct elf_slot *slots; /* relocated words, sorted by address; owned */
	size_t slot_count;
	uint64_t tls_size;                  /* PT_TLS memsz, 0: none */
	uint64_t tls_image, tls_image_size; /* what the block begins with, in the file; 0 follows */
};

/* A function of .dynsym that is defined in the file. */
struct elf_function {
	const char *name; /* the image's */
	uint64_t address;
	uint64_t size; /* 0: unknown */
};

/* What the loader puts into a word, whatever the machine calls it. */
enum elf_relocation_kind {
	ELF_RELOCATION_OTHER,
	ELF_RELOCATION_FUNCTION,       /* the address of a symbol */
	ELF_RELOCATION_RELATIVE,       /* the load address and the addend */
	ELF_RELOCATION_TLS_MODULE,     /* the module that a thread-local variable is of */
	ELF_RELOCATION_TLS_OFFSET,     /* its offset in the module's block */
	ELF_RELOCATION_TLS_DESCRIPTOR, /* two words: how to ask for its address */
};

/* A word that the loader fills in: what is kept of a dynamic relocation. */
struct elf_slot {
	uint64_t address;
	int64_t addend;
	enum elf_relocation_kind kind;
	uint32_t symbol; /* number in .dynsym, 0: none */
};

/* A dynamic relocation and the symbol it names. */
struct elf_relocation {
	enum elf_relocation_kind kind;
	int64_t addend;
	const char *symbol; /* "" for none; the image's */
	bool defined;       /* the symbol is defined in this file */
	uint64_t value;     /* of the symbol */
};

/*
 * Checks the header and finds the tables. 0, -ENOEXEC, -ENOTSUP (see inspect/plan.h) or -ENOMEM
 * with the cause in reason. data must outlive the image.
 */
int elf_image_open(struct elf_image *image, const void *data, size_t size, char *reason,
		   size_t reason_size);
void elf_image_close(struct elf_image *image);

/* Whether size bytes from an offset on are in the file. */
bool elf_image_holds(const struct elf_image *image, uint64_t offset, uint64_t size);

/* The program header by number; false when there is none. */
bool elf_image_segment(const struct elf_image *image, int number, GElf_Phdr *header);

/*
 * The first defined function of this name, or, for a name that ends in '*', whose name starts so:
 * in mangled names the argument types come last. -ENOENT when there is none.
 */
int elf_image_function(const struct elf_image *image, const char *name,
		       struct elf_function *function);

/* A symbol of .dynsym by number, and its name ("" for a bad one; the image's); NULL: none. */
const char *elf_image_symbol(const struct elf_image *image, size_t number, GElf_Sym *symbol);

/* The address of a data object of .dynsym with this name. -ENOENT when there is none. */
int elf_image_object(const struct elf_image *image, const char *name, uint64_t *address);

/* The offset in the thread-local block of a variable of .dynsym with this name. -ENOENT: none. */
int elf_image_tls(const struct elf_image *image, const char *name, uint64_t *offset);

/*
 * What the load address of a running image is computed from: the link-time address at which its
 * first executable segment starts, and its offset in the file. It is mapped by whole pages, whose
 * size differs from kernel to kernel. *fixed: it is not moved.
 */
int elf_image_text(const struct elf_image *image, uint64_t *address, uint64_t *offset, bool *fixed);

/* File offset of an address; -ENOENT when no segment holds it. */
int elf_image_offset(const struct elf_image *image, uint64_t address, uint64_t *offset);

/* The bytes from an address of an executable segment on: *available of them. NULL: none. */
const uint8_t *elf_image_code(const struct elf_image *image, uint64_t address, size_t *available);

/* size bytes that the file holds for an address; NULL when they are not all in one segment. */
const uint8_t *elf_image_bytes(const struct elf_image *image, uint64_t address, uint64_t size);

/* The word that the file holds for an address (0 in .bss). */
int elf_image_word(const struct elf_image *image, uint64_t address, uint64_t *word);

/*
 * The end of the function that begins exactly at an address: where the next one begins. -ENOENT,
 * -ENOTSUP or -ENOEXEC when the file does not say (elf_frames.c).
 */
int elf_image_function_end(const struct elf_image *image, uint64_t address, uint64_t *end);

/* Called by elf_image_open: reads the dynamic relocations. -ENOMEM. */
int elf_image_read_relocations(struct elf_image *image);

/*
 * The dynamic relocation of the word at an address; -ENOENT when there is none of the kinds by
 * which functions and thread-local variables are found.
 */
int elf_image_relocation(const struct elf_image *image, uint64_t address,
			 struct elf_relocation *relocation);

/* Called for each word that is the load address and an addend, until it returns true. */
typedef bool (*elf_relative_visitor)(void *context, uint64_t address, uint64_t addend);
void elf_image_each_relative(const struct elf_image *image, elf_relative_visitor visit,
			     void *context);

/* The first library that is needed and fits (DT_NEEDED; the image's); NULL: none. */
const char *elf_image_needed(const struct elf_image *image, bool (*fits)(const char *name));

/* DT_SONAME and the GNU build id in hex; "" when absent. */
void elf_image_soname(const struct elf_image *image, char *out, size_t size);
void elf_image_build_id(const struct elf_image *image, char *out, size_t size);

#endif
