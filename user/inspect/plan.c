// SPDX-License-Identifier: GPL-2.0-or-later
#include "inspect/plan.h"

#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "inspect/elf_image.h"
#include "inspect/file.h"
#include "inspect/libc.h"
#include "inspect/offsets.h"
#include "inspect/site.h"

/*
 * Where to probe, by the way a build keeps its modes. The mode functions by the start of the
 * mangled name, since their argument types changed over the versions.
 */
static const struct {
	const char *name;   /* for people */
	const char *symbol; /* see elf_image_function */
	unsigned int apis;  /* bit set of enum gw_mode_api */
	bool takes_mode;    /* its first argument refers to a mode */
} sites[GW_SITE_MAX] = {
#define ANY   (1u << GW_MODES_NONE | 1u << GW_MODES_KEYED | 1u << GW_MODES_STACK)
#define KEYED (1u << GW_MODES_KEYED)
#define STACK (1u << GW_MODES_STACK)
	[GW_SITE_SET_ENABLED] = {"set_enabled", "_ZN3c108GradMode11set_enabledEb", ANY, false},
	[GW_SITE_SET_MODE] = {"set_mode", OFFSETS_MODE_TLS "8set_modeE*", KEYED, true},
	[GW_SITE_UNSET_MODE] = {"unset_mode", OFFSETS_MODE_TLS "10unset_modeE*", KEYED, false},
	[GW_SITE_POP_INFRA] = {"pop_highest_infra_mode",
			       OFFSETS_MODE_TLS "22pop_highest_infra_modeE*", KEYED, false},
	[GW_SITE_PUSH_STACK] = {"push_onto_stack", OFFSETS_MODE_TLS "15push_onto_stackE*", STACK,
				true},
	[GW_SITE_POP_STACK] = {"pop_stack", OFFSETS_MODE_TLS "9pop_stackE*", STACK, false},
};

const char *inspect_site_name(enum gw_site site)
{
	return site < GW_SITE_MAX ? sites[site].name : "?";
}

uint16_t inspect_own_machine(void)
{
#if defined(__aarch64__)
	return EM_AARCH64;
#else
	return EM_X86_64;
#endif
}

const char *inspect_machine_name(uint16_t machine)
{
	return machine == EM_AARCH64 ? "aarch64" : "x86_64";
}

static bool has_function(const struct elf_image *image, const char *symbol)
{
	struct elf_function function;

	return !elf_image_function(image, symbol, &function);
}

static bool has(const struct elf_image *image, enum gw_site site)
{
	return has_function(image, sites[site].symbol);
}

static enum gw_mode_api find_api(const struct elf_image *image)
{
	if (has(image, GW_SITE_UNSET_MODE) && has(image, GW_SITE_SET_MODE))
		return GW_MODES_KEYED;
	if (has(image, GW_SITE_PUSH_STACK) && has(image, GW_SITE_POP_STACK))
		return GW_MODES_STACK;
	return GW_MODES_NONE;
}

/*
 * 1.13's c10/core/impl/TorchDispatchModeTLS.h has one mode besides the stack, which swap_mode puts
 * aside: _TorchDispatchStackMode of torch/utils/_python_dispatch.py, which hands each operator on
 * to the stack's. From 2.0 on the stack is all there is, and C++ does it.
 */
static bool hands_on_in_python(const struct elf_image *image)
{
	return has_function(image, OFFSETS_MODE_TLS "9swap_modeE*");
}

static int choose_sites(const struct elf_image *image, struct inspect_plan *plan)
{
	for (int i = 0; i < GW_SITE_MAX; i++) {
		struct elf_function function;
		int code;

		if (!(sites[i].apis >> plan->abi.mode_api & 1) ||
		    elf_image_function(image, sites[i].symbol, &function))
			continue;
		code = site_choose(image, &function, sites[i].takes_mode, &plan->site[i]);
		if (code == -ENOMEM)
			return code;
		if (code)
			plan->site[i] = (struct inspect_site){0};
		plan->abi.site_address[i] = plan->site[i].address;
		if (sites[i].takes_mode) /* an API has one such function */
			plan->abi.mode_register = plan->site[i].first;
	}
	plan->abi.setter_frame = plan->site[GW_SITE_SET_ENABLED].frame;
	return plan->abi.site_address[GW_SITE_SET_ENABLED] ? 0 : -ENOEXEC;
}

static void check_libc(const struct elf_image *image, struct inspect_plan *plan)
{
	const char *libc = elf_image_needed(image, libc_is_another);

	if (libc)
		libc_doubt(plan, libc);
}

static int make_plan(const struct elf_image *image, struct inspect_plan *plan, char *reason,
		     size_t reason_size)
{
	int code;

	if (!has(image, GW_SITE_SET_ENABLED)) {
		str_format(reason, reason_size, "c10::GradMode::set_enabled is not in it");
		return -ENOENT;
	}
	elf_image_soname(image, plan->soname, sizeof(plan->soname));
	elf_image_build_id(image, plan->build_id, sizeof(plan->build_id));
	plan->machine = image->machine;
	plan->abi.mode_api = find_api(image);
	plan->abi.hands_on_in_python = hands_on_in_python(image);
	code = choose_sites(image, plan);
	if (code == -ENOEXEC)
		str_format(reason, reason_size, "damaged: the setter's code is not in the file");
	if (!code)
		code = offsets_find(image, plan);
	if (code == -ENOMEM)
		str_format(reason, reason_size, "out of memory");
	if (!code)
		check_libc(image, plan);
	return code;
}

int inspect_plan(const void *data, size_t size, struct inspect_plan *plan, char *reason,
		 size_t reason_size)
{
	struct elf_image image;
	int code;

	memset(plan, 0, sizeof(*plan));
	reason[0] = '\0';
	code = elf_image_open(&image, data, size, reason, reason_size);
	if (code)
		return code;
	code = make_plan(&image, plan, reason, reason_size);
	elf_image_close(&image);
	return code;
}

int inspect_plan_fd(int fd, struct inspect_plan *plan, char *reason, size_t reason_size)
{
	size_t size;
	char *data;
	int code;

	memset(plan, 0, sizeof(*plan));
	code = inspect_file_read(fd, &data, &size, reason, reason_size);
	if (code)
		return code;
	code = inspect_plan(data, size, plan, reason, reason_size);
	free(data);
	return code;
}
