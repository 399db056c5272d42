// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Where functions begin that have no symbol: the search table of .eh_frame_hdr has the first
 * address of each piece of code that can be unwound, sorted (Linux Standard Base Core 5.0, 10.6.2).
 */
#include <errno.h>
#include <string.h>

#include "inspect/elf_image.h"

#define VERSION      1
#define TABLE_OFFSET 12   /* after version, three encodings, eh_frame_ptr, fde_count */
#define UDATA4       0x03 /* DW_EH_PE_udata4: of fde_count */
#define SDATA4       0x0b /* DW_EH_PE_sdata4 */
#define RELATIVE     0x30 /* DW_EH_PE_datarel: to the header's own address */
#define ENTRY_SIZE   8

struct table {
	const uint8_t *entries;
	size_t count;
	uint64_t header; /* link-time address */
};

static int find_table(const struct elf_image *image, struct table *table)
{
	const uint8_t *header;
	GElf_Phdr segment;
	uint32_t count;

	for (int i = 0; elf_image_segment(image, i, &segment); i++) {
		if (segment.p_type != PT_GNU_EH_FRAME || segment.p_filesz < TABLE_OFFSET ||
		    !elf_image_holds(image, segment.p_offset, segment.p_filesz))
			continue;
		header = image->data + segment.p_offset;
		if (header[0] != VERSION || (header[1] & 0x0f) != SDATA4 || header[2] != UDATA4 ||
		    header[3] != (RELATIVE | SDATA4))
			return -ENOTSUP;
		memcpy(&count, header + 8, sizeof(count));
		if (count > (segment.p_filesz - TABLE_OFFSET) / ENTRY_SIZE)
			return -ENOEXEC;
		*table = (struct table){header + TABLE_OFFSET, count, segment.p_vaddr};
		return 0;
	}
	return -ENOENT;
}

static uint64_t entry_address(const struct table *table, size_t index)
{
	int32_t distance;

	memcpy(&distance, table->entries + index * ENTRY_SIZE, sizeof(distance));
	return table->header + (uint64_t)(int64_t)distance;
}

int elf_image_function_end(const struct elf_image *image, uint64_t address, uint64_t *end)
{
	size_t low = 0, high;
	struct table table;
	int code = find_table(image, &table);

	if (code)
		return code;
	/* The first entry behind the address: low. */
	high = table.count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (entry_address(&table, middle) <= address)
			low = middle + 1;
		else
			high = middle;
	}
	if (!low || low == table.count || entry_address(&table, low - 1) != address)
		return -ENOENT;
	*end = entry_address(&table, low);
	return *end > address ? 0 : -ENOEXEC;
}
