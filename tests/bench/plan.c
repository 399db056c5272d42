// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Prints what gradwatch would do with a file, as key=value lines for a shell:
 *   plan FILE
 * Numbers are hexadecimal; "-" is what the build does not have.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "inspect/plan.h"

static void print_offset(const char *name, uint32_t offset)
{
	if (offset == GW_NO_OFFSET)
		printf("%s=-\n", name);
	else
		printf("%s=0x%" PRIx32 "\n", name, offset);
}

static void print_plan(const struct inspect_plan *plan)
{
	static const char *const api[] = {"none", "keyed", "stack"};
	const struct gw_plan *abi = &plan->abi;

	for (int i = 0; i < GW_SITE_MAX; i++) {
		const struct inspect_site *site = &plan->site[i];

		if (!abi->site_address[i])
			continue;
		printf("%s_symbol=%s\n", inspect_site_name(i), site->symbol);
		printf("%s_function=0x%" PRIx64 "\n", inspect_site_name(i), site->function);
		printf("%s_address=0x%" PRIx64 "\n", inspect_site_name(i), site->address);
		printf("%s_file_offset=0x%" PRIx64 "\n", inspect_site_name(i), site->file_offset);
	}
	printf("certain=%d\n", abi->certain);
	printf("mode_api=%s\n", api[abi->mode_api]);
	printf("tls_pair=0x%" PRIx64 "\n", (uint64_t)abi->tls_pair);
	print_offset("tls_grad", abi->tls_grad);
	print_offset("tls_grad_guard", abi->tls_grad_guard);
	print_offset("tls_mode_guard", abi->tls_mode_guard);
	print_offset("tls_proxy_flag", abi->tls_proxy_flag);
	print_offset("tls_proxy_slot", abi->tls_proxy_slot);
	print_offset("tls_stack", abi->tls_stack);
	printf("grad_mask=0x%x\n", abi->grad_mask);
	printf("grad_default=%d\n", abi->grad_default);
}

int main(int argc, char **argv)
{
	static struct inspect_plan plan;
	char reason[256] = "";
	int fd, code;

	if (argc != 2) {
		fprintf(stderr, "usage: plan FILE\n");
		return 2;
	}
	fd = open(argv[1], O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		perror(argv[1]);
		return 1;
	}
	code = inspect_plan_fd(fd, &plan, reason, sizeof(reason));
	close(fd);
	if (code) {
		fprintf(stderr, "plan: %s: %s\n", argv[1], reason);
		return 1;
	}
	print_plan(&plan);
	return 0;
}
