// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * user/inspect: plans of libraries that are compiled here, against what their code does when it
 * runs. A plan that is certain must be right, whatever the compiler and its options.
 */
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "elf_fixture.h"
#include "inspect/elf_image.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* What compilers are told differently for another processor. */
#if defined(__aarch64__)
#define HARDENED      "-mbranch-protection=standard"
#define NOT_HARDENED  "-mbranch-protection=none"
#define OTHER_DIALECT "-mtls-dialect=trad"
#define NEWER         "-march=armv8.5-a"
#else
#define HARDENED      "-fcf-protection=full"
#define NOT_HARDENED  "-fcf-protection=none"
#define OTHER_DIALECT "-mtls-dialect=gnu2"
#define NEWER         "-march=haswell"
#endif

#define MODES "_ZN3c104impl20TorchDispatchModeTLS"

/* --- the truth ---------------------------------------------------------------------------------
 */

static void *function(void *handle, const char *name)
{
	void *address = dlsym(handle, name);

	assert_non_null(address);
	return address;
}

/*
 * The library's thread-local block, of which the plan's offsets are. Where the loader has put it
 * next to the thread pointer the C library may not tell, but the descriptor does: its argument is
 * the distance of a variable then, and else, far above, an address (glibc
 * sysdeps/aarch64/dl-tlsdesc.h).
 */
static uint8_t *block_of(void *handle, const struct gw_plan *abi)
{
	const uint64_t *pair;
	struct link_map *map;
	void *block = NULL;

	assert_int_equal(dlinfo(handle, RTLD_DI_LINKMAP, &map), 0);
	pair = (const uint64_t *)(map->l_addr + abi->tls_pair);
	if (abi->tls_variable != GW_NO_OFFSET && pair[1] < GW_STATIC_TLS_END)
		return (uint8_t *)__builtin_thread_pointer() + pair[1] - abi->tls_variable;
	assert_int_equal(dlinfo(handle, RTLD_DI_TLS_DATA, &block), 0);
	return block;
}

static int grad_mode(const struct gw_plan *abi, const uint8_t *block)
{
	if (!block || (abi->tls_grad_guard != GW_NO_OFFSET && !block[abi->tls_grad_guard]))
		return abi->grad_default;
	return !!(block[abi->tls_grad] & abi->grad_mask);
}

static void check_grad(void *handle, const struct gw_plan *abi)
{
	_Bool (*is_enabled)(void) = function(handle, "_ZN3c108GradMode10is_enabledEv");
	void (*set_enabled)(_Bool) = function(handle, "_ZN3c108GradMode11set_enabledEb");
	int before = grad_mode(abi, block_of(handle, abi));

	assert_int_equal(before, is_enabled());
	for (int i = 0; i < 4; i++) {
		set_enabled(i & 1);
		assert_int_equal(grad_mode(abi, block_of(handle, abi)), i & 1);
		assert_int_equal(is_enabled(), i & 1);
	}
	if (abi->tls_grad_guard != GW_NO_OFFSET)
		assert_int_equal(block_of(handle, abi)[abi->tls_grad_guard], 1);
}

/* A std::shared_ptr without a control block: what the real functions copy and move as well. */
struct shared {
	void *pointer, *control;
};

/* Large enough to be returned in memory, as std::optional is. */
struct optional {
	void *pointer, *control;
	char engaged;
};

static void read_stack(const struct gw_plan *abi, const uint8_t *block, char *range[2])
{
	memcpy(range, block + abi->tls_stack, 2 * sizeof(range[0]));
}

static void check_keyed(void *handle, const struct inspect_plan *plan, const char *push_name)
{
	void (*set_mode)(struct shared *, int) = function(handle,
							  plan->site[GW_SITE_SET_MODE].symbol);
	struct optional (*unset_mode)(int) = function(handle,
						      plan->site[GW_SITE_UNSET_MODE].symbol);
	void (*push)(struct shared *);
	struct shared mode = {.pointer = &mode};
	const struct gw_plan *abi = &plan->abi;
	const uint8_t *block = block_of(handle, abi);
	char *range[2];

	assert_int_equal(block[abi->tls_mode_guard], 0);
	for (int key = 0; key < 3; key++) {
		set_mode(&mode, key);
		assert_int_equal(block[abi->tls_mode_guard], 1);
		assert_int_equal(block[abi->tls_proxy_flag], key == 1);
		assert_int_equal(block[abi->tls_functional_flag], key == 2);
		if (key == 1)
			assert_memory_equal(block + abi->tls_proxy_slot, &mode.pointer,
					    sizeof(mode.pointer));
		assert_ptr_equal(unset_mode(key).pointer, mode.pointer);
		assert_int_equal(block[abi->tls_proxy_flag], 0);
		assert_int_equal(block[abi->tls_functional_flag], 0);
	}
	if (abi->tls_stack == GW_NO_OFFSET)
		return;
	push = function(handle, push_name);
	for (int i = 0; i < 3; i++) {
		read_stack(abi, block, range);
		assert_int_equal(range[1] - range[0], 16 * i);
		mode = (struct shared){.pointer = &mode};
		push(&mode);
	}
}

static void check_stack(void *handle, const struct inspect_plan *plan)
{
	void (*push)(struct shared *) = function(handle, plan->site[GW_SITE_PUSH_STACK].symbol);
	void (*pop)(void **) = function(handle, plan->site[GW_SITE_POP_STACK].symbol);
	const struct gw_plan *abi = &plan->abi;
	const uint8_t *block = block_of(handle, abi);
	struct shared mode;
	void *out[4], *first = &mode;
	char *range[2];

	assert_int_equal(block[abi->tls_mode_guard], 0);
	for (int i = 0; i < 5; i++) {
		mode = (struct shared){.pointer = &mode};
		push(&mode);
		assert_int_equal(block[abi->tls_mode_guard], 1);
		read_stack(abi, block, range);
		assert_int_equal(range[1] - range[0], 16 * (i + 1));
		assert_memory_equal(range[0], &first, sizeof(first));
	}
	pop(out);
	read_stack(abi, block, range);
	assert_int_equal(range[1] - range[0], 16 * 4);
	assert_int_equal(abi->tls_proxy_flag, GW_NO_OFFSET);
}

static void check_span(const struct gw_plan *abi)
{
	const uint32_t offsets[] = {abi->tls_grad, abi->tls_grad_guard, abi->tls_mode_guard,
				    abi->tls_proxy_flag, abi->tls_functional_flag};
	uint32_t end = abi->tls_span + abi->tls_span_size;

	assert_in_range(abi->tls_span_size, 1, GW_SPAN_MAX);
	for (size_t i = 0; i < COUNT(offsets); i++)
		if (offsets[i] != GW_NO_OFFSET)
			assert_in_range(offsets[i], abi->tls_span, end - 1);
	if (abi->tls_proxy_slot != GW_NO_OFFSET)
		assert_in_range(abi->tls_proxy_slot, abi->tls_span, end - 8);
	if (abi->tls_stack != GW_NO_OFFSET)
		assert_in_range(abi->tls_stack, abi->tls_span, end - 16);
}

static void name_of(const struct library *library, const char *wanted, char *name, size_t size)
{
	struct elf_function found;
	struct elf_image image;
	char reason[256];

	assert_int_equal(
		elf_image_open(&image, library->data, library->size, reason, sizeof(reason)), 0);
	name[0] = '\0';
	if (!elf_image_function(&image, wanted, &found))
		snprintf(name, size, "%s", found.name);
	elf_image_close(&image);
}

/* The module's id is where the plan says, or where the descriptor does. */
static void check_pair(const struct gw_plan *abi, const struct link_map *map, void *handle)
{
	const uint64_t *pair = (const uint64_t *)(map->l_addr + abi->tls_pair);
	size_t module = 0;

	assert_int_equal(dlinfo(handle, RTLD_DI_TLS_MODID, &module), 0);
	if (abi->tls_variable == GW_NO_OFFSET) {
		assert_int_equal(pair[0], module);
	} else if (pair[1] >= GW_STATIC_TLS_END) {
		assert_int_equal(((const uint64_t *)pair[1])[0], module);
		assert_int_equal(((const uint64_t *)pair[1])[1], abi->tls_variable);
	}
}

/* Runs the library. */
static void check_live(const struct library *library, const struct inspect_plan *plan, void *handle)
{
	const struct gw_plan *abi = &plan->abi;
	struct link_map *map;
	char push_name[256];

	assert_int_equal(dlinfo(handle, RTLD_DI_LINKMAP, &map), 0);
	check_pair(abi, map, handle);
	check_span(abi);
	check_grad(handle, abi);
	name_of(library, MODES "30push_non_infra_mode_onto_stackE*", push_name, sizeof(push_name));
	if (abi->mode_api == GW_MODES_KEYED)
		check_keyed(handle, plan, push_name);
	if (abi->mode_api == GW_MODES_STACK)
		check_stack(handle, plan);
}

/* A site lies in its function, and the file has there what the plan says. */
static void check_sites(const struct library *library, const struct inspect_plan *plan)
{
	for (int i = 0; i < GW_SITE_MAX; i++) {
		const struct inspect_site *site = &plan->site[i];
		const uint8_t *bytes = library->data + site->file_offset;

		assert_true(plan->abi.site_address[i] == site->address);
		if (!site->address)
			continue;
		assert_true(site->file_offset < library->size);
		assert_in_range(site->address - site->function, 0, 32);
		assert_true(site->symbol[0] && site->insn[0]);
		assert_string_not_equal(inspect_site_name((enum gw_site)i), "?");
		if (!strncmp(site->insn, "push ", 5))
			assert_true((bytes[0] & 0xf8) == 0x50 ||
				    (bytes[0] == 0x41 && (bytes[1] & 0xf8) == 0x50));
		if (!strncmp(site->insn, "call ", 5))
			assert_int_equal(bytes[0], 0xe8);
		if (!strncmp(site->insn, "endbr64", 7))
			assert_memory_equal(bytes, "\xf3\x0f\x1e\xfa", 4);
		if (site->kind == INSPECT_INSN_STEPPED)
			assert_true(site->address == site->function);
	}
	assert_true(plan->abi.site_address[GW_SITE_SET_ENABLED]);
}

/* Builds, plans, runs. Returns whether the plan is certain. */
static bool examine(const char *compiler, const char *flags, struct inspect_plan *plan)
{
	struct library library;

	memset(plan, 0, sizeof(*plan));
	if (!library_build(&library, compiler, flags, LIBC10))
		return false;
	assert_int_equal(plan_of(library.data, library.size, plan), 0);
	check_sites(&library, plan);
	assert_int_equal(!plan->abi.certain, plan->doubt[0] != '\0');
	if (plan->abi.certain) {
		void *handle = dlopen(library.path, RTLD_NOW | RTLD_LOCAL);

		assert_non_null(handle);
		check_live(&library, plan, handle);
		dlclose(handle);
	}
	library_free(&library);
	return plan->abi.certain;
}

/* --- shapes ------------------------------------------------------------------------------------
 */

static void test_shapes(void **state)
{
	static const char *const flags[] = {
		"-DKEYED",
		"-DKEYED -DGUARDED",
		"-DKEYED -DGUARDED -DPADDING=100",
		"-DKEYED -fvisibility=hidden",
		"-DKEYED -DGUARDED -fvisibility=hidden",
		"-DKEYED -DGUARDED -fvisibility=hidden -ftls-model=global-dynamic",
		"-DKEYED -DGUARDED -fno-plt",
		"-DKEYED -DGUARDED -fno-plt -Wl,-z,now",
		"-DKEYED -DGUARDED -O3",
		"-DKEYED -DGUARDED -s -Wl,--hash-style=gnu",
		"-DSTACK",
		"-DSTACK -DGUARDED -DPADDING=7",
		"-DSTACK -DGUARDED -fvisibility=hidden",
		"-DSTACK -DGUARDED -fvisibility=hidden -ftls-model=global-dynamic",
		"-DSTACK -DGUARDED " HARDENED,
	};
	struct inspect_plan plan;

	(void)state;
	for (size_t i = 0; i < COUNT(flags); i++) {
		if (!examine("gcc", flags[i], &plan))
			fail_msg("%s: %s", flags[i], plan.doubt);
		assert_int_equal(plan.abi.tls_grad_guard == GW_NO_OFFSET,
				 !strstr(flags[i], "GUARDED"));
	}
}

/* Not all of these can be understood, but none may be misunderstood. */
static void test_options(void **state)
{
	static const char *const compilers[] = {"gcc", "clang"};
	static const char *const shapes[] = {"-DKEYED -DGUARDED", "-DSTACK -DGUARDED", "-DKEYED",
					     "-DKEYED -DGUARDED -DDEFAULT=0 -fvisibility=hidden",
					     "-DKEYED -DTWO_PATHS"};
	static const char *const options[] = {"-O0",
					      "-O1",
					      "-Os",
					      "-O3 " NEWER,
					      "-fstack-protector-all",
					      "-mcmodel=large",
					      "-fno-omit-frame-pointer",
					      OTHER_DIALECT,
					      "-ftls-model=initial-exec",
					      "-ftls-model=local-dynamic"};
	struct inspect_plan plan;
	int certain = 0;

	(void)state;
	for (size_t c = 0; c < COUNT(compilers); c++)
		for (size_t s = 0; s < COUNT(shapes); s++)
			for (size_t o = 0; o < COUNT(options); o++) {
				char flags[256];

				snprintf(flags, sizeof(flags), "%s %s", shapes[s], options[o]);
				certain += examine(compilers[c], flags, &plan);
			}
	assert_true(certain >= 10);
}

/* The value before the state is there is the library's, not an assumption. */
static void test_default(void **state)
{
	static const struct {
		const char *flags;
		int value;
	} cases[] = {
		{"-DKEYED -DGUARDED -DDEFAULT=1", 1},
		{"-DKEYED -DGUARDED -DDEFAULT=0", 0},
		{"-DKEYED -DGUARDED -DBY_PIECES", 1},
		{"-DKEYED -DGUARDED -DDEFAULT=2", 0},
		{"-DKEYED -DINITIAL=1", 1},
		{"-DKEYED -DINITIAL=0", 0},
		{"-DKEYED -DINITIAL=6 -DPADDING=300", 0},
	};
	struct inspect_plan plan;

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		assert_true(examine("gcc", cases[i].flags, &plan) || strstr(plan.doubt, "wide"));
		assert_int_equal(plan.abi.grad_default, cases[i].value);
	}
}

/* Behind the mark with which a hardened function begins. */
static void test_hardened(void **state)
{
	struct inspect_plan plan, bare;

	(void)state;
	assert_true(examine("gcc", "-DKEYED " HARDENED, &plan));
	assert_int_equal(plan.site[0].kind, INSPECT_INSN_EMULATED);
	assert_true(examine("gcc", "-DKEYED " NOT_HARDENED, &bare));
	assert_int_equal(bare.site[0].kind, INSPECT_INSN_EMULATED);
	assert_int_equal(plan.site[0].address - plan.site[0].function,
			 bare.site[0].address - bare.site[0].function + 4);
}

static void test_doubts(void **state)
{
	static const struct {
		const char *flags, *doubt;
	} cases[] = {
#if !defined(__aarch64__)
		{"-DKEYED " OTHER_DIALECT, "TLS descriptors"},
#endif
		{"-DKEYED -ftls-model=initial-exec", "thread pointer"},
		{"-DKEYED -DSTORES_ELSEWHERE", "does not store where is_enabled reads"},
		{"-DKEYED -DDISAGREE", "disagree"},
		{"-DKEYED -DTWO_PATHS", "does more than that"},
		{"-DKEYED -DNO_IS_ENABLED", "is_enabled is missing"},
		{"-DKEYED -DPADDING=100000 -Wl,--sort-section=name", ""},
		{"", "push and pop dispatch modes are missing"},
	};
	struct inspect_plan plan;

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		bool certain = examine("gcc", cases[i].flags, &plan);

		assert_true(!certain || !cases[i].doubt[0]);
		if (!strstr(plan.doubt, cases[i].doubt))
			fail_msg("%s: %s", cases[i].flags, plan.doubt);
		assert_true(plan.abi.site_address[GW_SITE_SET_ENABLED]);
	}
}

static void test_no_setter(void **state)
{
	struct inspect_plan plan;
	struct library library;

	(void)state;
	assert_true(library_build(&library, "gcc", "-DKEYED -DNO_SET_ENABLED", LIBC10));
	assert_int_equal(plan_of(library.data, library.size, &plan), -ENOENT);
	library_free(&library);
}

static void test_names(void **state)
{
	struct inspect_plan plan;
	struct library library;
	char id[65];

	(void)state;
	memset(id, 'a', 40);
	id[40] = '\0';
	assert_true(library_build(&library, "gcc",
				  "-DSTACK -Wl,-soname,libc10.so "
				  "-Wl,--build-id=0xaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
				  LIBC10));
	assert_int_equal(plan_of(library.data, library.size, &plan), 0);
	assert_string_equal(plan.soname, "libc10.so");
	assert_string_equal(plan.build_id, id);
	library_free(&library);
	assert_string_equal(inspect_site_name(GW_SITE_MAX), "?");
}

/* The setter by its whole name: a function whose name only starts so is another one. */
static void test_overload(void **state)
{
	struct inspect_plan plan;
	struct library library;

	(void)state;
	assert_true(library_build(&library, "gcc", "-DKEYED -DNO_SET_ENABLED -DOVERLOAD", LIBC10));
	assert_int_equal(plan_of(library.data, library.size, &plan), -ENOENT);
	library_free(&library);
	assert_true(examine("gcc", "-DKEYED -DOVERLOAD", &plan));
	assert_string_equal(plan.site[GW_SITE_SET_ENABLED].symbol,
			    "_ZN3c108GradMode11set_enabledEb");
}

/* The stack of keyed builds: found where the slots begin, else left out without a doubt. */
static void test_keyed_stack(void **state)
{
	struct inspect_plan plan;

	(void)state;
	assert_true(examine("gcc", "-DKEYED -DGUARDED", &plan));
	assert_int_equal(plan.abi.tls_stack + 48, plan.abi.tls_proxy_slot);
	assert_true(examine("gcc", "-DKEYED -DGUARDED -DSTACK_ELSEWHERE", &plan));
	assert_int_equal(plan.abi.tls_stack, GW_NO_OFFSET);
}

/*
 * In a process of its own, as its symbols would meet those of the next. Not all can run here: a
 * library of another distribution may lack its own libraries.
 */
static void run_real(const struct library *library, const struct inspect_plan *plan)
{
	pid_t child;
	int status;

	fflush(NULL);
	child = fork();
	assert_true(child >= 0);
	if (!child) {
		void *handle = dlopen(library->path, RTLD_NOW | RTLD_LOCAL);

		if (!handle)
			print_message("not run: %s\n", dlerror());
		else
			check_live(library, plan, handle);
		fflush(NULL);
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	if (!WIFEXITED(status) || WEXITSTATUS(status))
		fail_msg("%s: not as planned", library->path);
}

/* Any number of copies of libc10.so: GRADWATCH_TEST_LIBS=path:path... */
static void test_real(void **state)
{
	char *libraries = getenv("GRADWATCH_TEST_LIBS"), *rest = NULL;
	char reason[256];

	(void)state;
	if (!libraries || !(libraries = strdup(libraries)))
		skip();
	for (char *path = strtok_r(libraries, ":", &rest); path;
	     path = strtok_r(NULL, ":", &rest)) {
		int fd = open(path, O_RDONLY | O_CLOEXEC);
		struct inspect_plan plan;
		struct library library;

		assert_true(fd >= 0);
		assert_int_equal(inspect_plan_fd(fd, &plan, reason, sizeof(reason)), 0);
		close(fd);
		if (!plan.abi.certain)
			fail_msg("%s: %s", path, plan.doubt);
		check_span(&plan.abi);
		assert_int_equal(plan.site[GW_SITE_SET_ENABLED].kind, INSPECT_INSN_EMULATED);
		assert_int_equal(plan.abi.grad_default, 1);
		assert_true(plan.abi.tls_stack != GW_NO_OFFSET);
		library_read(&library, path);
		run_real(&library, &plan);
		library_free(&library);
	}
	free(libraries);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_shapes),   cmocka_unit_test(test_options),
		cmocka_unit_test(test_default),  cmocka_unit_test(test_hardened),
		cmocka_unit_test(test_doubts),   cmocka_unit_test(test_no_setter),
		cmocka_unit_test(test_overload), cmocka_unit_test(test_keyed_stack),
		cmocka_unit_test(test_names),    cmocka_unit_test(test_real),
	};

	return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
