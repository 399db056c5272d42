// SPDX-License-Identifier: GPL-2.0-or-later
/* libFuzzer: whatever the bytes, inspect_plan gives a plan that holds together or a reason. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "inspect/plan.h"

#define CHECK(condition)                                                                           \
	do {                                                                                       \
		if (!(condition))                                                                  \
			abort();                                                                   \
	} while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_plan(const struct inspect_plan *plan, size_t size)
{
	const struct gw_plan *abi = &plan->abi;

	CHECK(abi->site_address[GW_SITE_SET_ENABLED]);
	CHECK(!!abi->certain == !plan->doubt[0]);
	for (int i = 0; i < GW_SITE_MAX; i++)
		CHECK(!abi->site_address[i] || plan->site[i].file_offset < size);
	if (!abi->certain)
		return;
	CHECK(abi->tls_pair);
	CHECK(abi->tls_span_size && abi->tls_span_size <= GW_SPAN_MAX);
	CHECK(abi->tls_grad != GW_NO_OFFSET && abi->grad_mask);
	CHECK(abi->tls_grad - abi->tls_span < abi->tls_span_size);
}

/* Memory that ends before a page without access: libelf is not instrumented, so ASan is blind. */
static uint8_t *fenced(size_t size)
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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct inspect_plan plan;
	char reason[256];
	int code;
	uint8_t *image = fenced(size);

	memcpy(image, data, size);
	code = inspect_plan(image, size, &plan, reason, sizeof(reason));
	CHECK(code <= 0);
	CHECK(!memcmp(image, data, size));
	if (code)
		CHECK(reason[0]);
	else
		check_plan(&plan, size);
	return 0;
}
