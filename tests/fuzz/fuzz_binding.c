// SPDX-License-Identifier: GPL-2.0-or-later
/* libFuzzer: whatever the bytes, inspect_binding gives places in the file or a reason. */
#include <string.h>

#include "fence.h"
#include "inspect/binding.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_range(const struct gw_range *range)
{
	CHECK(range->end ? range->start && range->start < range->end : !range->start);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct inspect_binding binding;
	uint8_t *image = fenced(size);
	char reason[256];
	int code;

	memcpy(image, data, size);
	code = inspect_binding(image, size, &binding, reason, sizeof(reason));
	CHECK(code <= 0);
	CHECK(!memcmp(image, data, size));
	if (code) {
		CHECK(reason[0]);
		return 0;
	}
	CHECK(binding.function && binding.file_offset < size && binding.space_size < 4096);
	check_range(&binding.range);
	check_range(&binding.apply);
	CHECK(!binding.range.end || binding.range.start == binding.function);
	return 0;
}
