// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Loads gradwatch's BPF programs as gradwatch does, one by one, and prints how many instructions
 * the verifier went through for each: verify LIBRARY...
 *
 * Each library is a libc10 (the stand-in's variants): what it needs decides which branches there
 * are. All that can be asked for is asked for: raising, and by registers if the kernel can.
 */
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "inspect/plan.h"
#include "skel/process.skel.h"
#include "skel/torch.skel.h"
#include "watch/selftest.h"

#define LOG_BYTES (1 << 20)
#define LOG_STATS 4 /* BPF_LOG_STATS of Linux kernel/bpf/verifier.c */

static char log_text[LOG_BYTES];

/* Loads one object in which only this program is loaded; prints its line. */
static int verify(struct bpf_object *object, const char *name, const char *variant)
{
	struct bpf_program *program;
	const char *processed;
	unsigned int count = 0;
	int code;

	bpf_object__for_each_program(program, object)
	{
		bool chosen = !strcmp(bpf_program__name(program), name);

		bpf_program__set_autoload(program, chosen);
		if (!chosen)
			continue;
		log_text[0] = '\0';
		bpf_program__set_log_buf(program, log_text, sizeof(log_text));
		bpf_program__set_log_level(program, LOG_STATS);
	}
	code = bpf_object__load(object);
	processed = strstr(log_text, "processed ");
	if (code || !processed || sscanf(processed, "processed %u insns", &count) != 1) {
		printf("%s %s FAILED %s\n", name, variant, strerror(code ? -code : EPROTO));
		fprintf(stderr, "%s\n", log_text);
		return 1;
	}
	printf("%s %s %u\n", name, variant, count);
	return 0;
}

static int verify_process(const char *name)
{
	struct process_bpf *process = process_bpf__open();
	int failed = process ? verify(process->obj, name, "-") : 1;

	process_bpf__destroy(process);
	return failed;
}

static bool has_cookies(void)
{
	return libbpf_probe_bpf_helper(BPF_PROG_TYPE_KPROBE, BPF_FUNC_get_attach_cookie, NULL) == 1;
}

static int verify_torch(const char *name, const char *variant, const struct gw_plan *plan,
			const struct gw_policy *policy)
{
	struct torch_bpf *torch = torch_bpf__open();
	int failed = 1;

	if (torch) {
		torch->rodata->plan = *plan;
		torch->rodata->policy = *policy;
		torch->rodata->throttle_interval = torch->rodata->throttle_burst = 1;
		torch->rodata->has_cookies = has_cookies();
		failed = verify(torch->obj, name, variant);
	}
	torch_bpf__destroy(torch);
	return failed;
}

static int verify_library(const char *path)
{
	static const char *const names[GW_SITE_MAX] = {
		[GW_SITE_SET_ENABLED] = "set_enabled",
		[GW_SITE_SET_MODE] = "set_mode",
		[GW_SITE_UNSET_MODE] = "unset_mode",
		[GW_SITE_POP_INFRA] = "pop_highest_infra_mode",
		[GW_SITE_PUSH_STACK] = "push_onto_stack",
		[GW_SITE_POP_STACK] = "pop_stack",
	};
	struct gw_policy policy = {.action = GW_ACTION_RAISE, .fallback = GW_ACTION_HOLD};
	struct inspect_plan plan;
	const char *variant;
	char folder[4096], reason[512];
	int failed = 0;
	struct err err;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || inspect_plan_fd(fd, &plan, reason, sizeof(reason))) {
		fprintf(stderr, "verify: %s: %s\n", path, fd < 0 ? strerror(errno) : reason);
		return 1;
	}
	close(fd);
	snprintf(folder, sizeof(folder), "%s", path);
	*strrchr(folder, '/') = '\0';
	variant = strrchr(folder, '/') + 1;
	policy.registers = !selftest_registers(&err);
	for (int site = 0; site < GW_SITE_MAX; site++)
		if (plan.abi.site_address[site])
			failed |= verify_torch(names[site], variant, &plan.abi, &policy);
	if (has_cookies())
		failed |= verify_torch("modes", variant, &plan.abi, &policy);
	return failed | verify_torch("set_grad_enabled", variant, &plan.abi, &policy);
}

int main(int argc, char **argv)
{
	int failed = verify_process("on_fork") | verify_process("on_exec") |
		     verify_process("on_exit") | verify_process("on_signal");

	for (int i = 1; i < argc; i++)
		failed |= verify_library(argv[i]);
	return failed;
}
