// SPDX-License-Identifier: GPL-2.0-or-later
/* user/inspect/libc: C libraries by the names of their files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "inspect/libc.h"

static void test_names(void **state)
{
	static const char *const glibc[] = {"libc.so.6", "libc-2.31.so", "ld-2.31.so",
					    "ld-linux-x86-64.so.2", "ld-linux-aarch64.so.1"};
	static const char *const another[] = {"libc.so", "libc.musl-x86_64.so.1",
					      "ld-musl-x86_64.so.1", "libc.so.0"};
	static const char *const neither[] = {"libc10.so",   "libcrypt.so.1",  "libc-client.so",
					      "ld-notes.so", "libstdc++.so.6", ""};

	(void)state;
	for (int i = 0; i < 5; i++)
		assert_true(libc_is_glibc(glibc[i]) && !libc_is_another(glibc[i]));
	for (int i = 0; i < 4; i++)
		assert_true(!libc_is_glibc(another[i]) && libc_is_another(another[i]));
	for (int i = 0; i < 6; i++)
		assert_true(!libc_is_glibc(neither[i]) && !libc_is_another(neither[i]));
}

/* A cause that was found first stays. */
static void test_doubt(void **state)
{
	struct inspect_plan plan = {.abi.certain = 1};

	(void)state;
	libc_doubt(&plan, "libc.so");
	assert_int_equal(plan.abi.certain, 0);
	assert_non_null(strstr(plan.doubt, "(libc.so)"));
	strcpy(plan.doubt, "first");
	libc_doubt(&plan, "libc.so");
	assert_string_equal(plan.doubt, "first");
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_names),
					   cmocka_unit_test(test_doubt)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
