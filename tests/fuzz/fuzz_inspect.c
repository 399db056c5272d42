// SPDX-License-Identifier: GPL-2.0-or-later
/* libFuzzer: whatever the bytes, inspect_plan gives a plan that holds together or a reason. */
#include <string.h>

#include "fence.h"
#include "inspect/plan.h"

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
