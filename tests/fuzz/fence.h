/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the fuzzers of the ELF reader share. */
#ifndef GRADWATCH_FUZZ_FENCE_H
#define GRADWATCH_FUZZ_FENCE_H

#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>

#define CHECK(condition)                                                                           \
	do {                                                                                       \
		if (!(condition))                                                                  \
			abort();                                                                   \
	} while (0)

/* Memory that ends before a page without access: libelf is not instrumented, so ASan is blind. */
static inline uint8_t *fenced(size_t size)
{
	static const size_t room = 4 << 20;
	static uint8_t *start;

	if (!start) {
		start = mmap(NULL, room + 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		CHECK(start != MAP_FAILED && !mprotect(start, room, PROT_READ | PROT_WRITE));
	}
	CHECK(size <= room);
	return start + ((room - size) & ~(size_t)15);
}

#endif
