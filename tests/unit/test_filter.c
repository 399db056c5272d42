// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "cli/filters.h"

static const struct filter_subject train = {1000, "train", "/kubepods/pod1/c"};
static const struct filter_subject shell = {0, "bash", "/user.slice"};
static const struct filter_subject nowhere = {1000, "x", ""};

static void test_empty(void **state)
{
	struct filter filter = {0};

	(void)state;
	assert_true(filter_is_empty(&filter));
	assert_true(filter_admits(&filter, &train));
	assert_true(filter_admits(&filter, &nowhere));
}

static void test_only(void **state)
{
	struct filter filter = {0};
	struct err err;

	(void)state;
	assert_int_equal(filters_add_user(&filter.only, "user", "1000", &err), 0);
	assert_false(filter_is_empty(&filter));
	assert_true(filter_admits(&filter, &train));
	assert_false(filter_admits(&filter, &shell));
	assert_int_equal(filters_add_user(&filter.only, "user", "root", &err), 0); /* or */
	assert_true(filter_admits(&filter, &shell));
	assert_int_equal(filters_add_cgroup(&filter.only, "cgroup", "/kube*", &err), 0); /* and */
	assert_true(filter_admits(&filter, &train));
	assert_false(filter_admits(&filter, &shell));
	assert_false(filter_admits(&filter, &nowhere));
}

static void test_exclude(void **state)
{
	struct filter filter = {0};
	struct err err;

	(void)state;
	assert_int_equal(filters_add_comm(&filter.exclude, "exclude-comm", "tr*", &err), 0);
	assert_false(filter_is_empty(&filter));
	assert_false(filter_admits(&filter, &train));
	assert_true(filter_admits(&filter, &shell));
	assert_int_equal(filters_add_user(&filter.only, "user", "1000", &err), 0);
	assert_false(filter_admits(&filter, &train)); /* excluded counts more */
	assert_true(filter_admits(&filter, &nowhere));
	assert_int_equal(filters_add_cgroup(&filter.exclude, "exclude-cgroup", "/user*", &err), 0);
	assert_false(filter_admits(&filter, &shell));
}

static void test_bad(void **state)
{
	struct filter filter = {0};
	struct err err;

	(void)state;
	assert_true(filters_add_user(&filter.only, "user", "no such user", &err) < 0);
	assert_non_null(strstr(err.text, "--user"));
	assert_true(filters_add_user(&filter.only, "user", "-1", &err) < 0);
	assert_true(filters_add_comm(&filter.only, "comm", "", &err) < 0);
	assert_true(filters_add_comm(&filter.only, "comm", "longer-than-15-bytes", &err) < 0);
	assert_non_null(strstr(err.text, "longer-than-15"));
	assert_true(filters_add_cgroup(&filter.only, "cgroup", "kubepods", &err) < 0);
	assert_true(filter_is_empty(&filter));
	for (int i = 0; i < FILTER_MAX; i++)
		assert_int_equal(filters_add_user(&filter.only, "user", "1", &err), 0);
	assert_true(filters_add_user(&filter.only, "user", "1", &err) < 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_empty),
		cmocka_unit_test(test_only),
		cmocka_unit_test(test_exclude),
		cmocka_unit_test(test_bad),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
