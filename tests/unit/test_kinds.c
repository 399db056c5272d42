// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "model/kinds.h"

static void names_and_kinds_are_each_others(void **state)
{
	(void)state;
	for (int i = 0; i < TRACE_KIND_MAX; i++) {
		assert_non_null(kind_name(i));
		assert_int_equal(kind_from_name(kind_name(i)), i);
	}
	assert_int_equal(kind_from_name("make_fx"), TRACE_KIND_MAKE_FX);
	assert_null(kind_name(TRACE_KIND_MAX));
	assert_null(kind_name((enum trace_kind) - 1));
	assert_int_equal(kind_from_name(""), -ENOENT);
	assert_int_equal(kind_from_name("all"), -ENOENT);
	assert_int_equal(kind_from_name("Export"), -ENOENT);
	assert_int_equal(kind_from_name("export "), -ENOENT);
	assert_int_equal(kind_from_name("exp"), -ENOENT);
}

static void takes_lists(void **state)
{
	unsigned int set = 0;
	char word[8];

	(void)state;
	assert_int_equal(kinds_parse("export", &set, word, sizeof(word)), 0);
	assert_int_equal(set, 1u << TRACE_KIND_EXPORT);
	assert_int_equal(kinds_parse("other,unknown,other", &set, word, sizeof(word)), 0);
	assert_int_equal(set, 1u << TRACE_KIND_OTHER | 1u << TRACE_KIND_UNKNOWN);
	assert_int_equal(kinds_parse("all", &set, word, sizeof(word)), 0);
	assert_int_equal(set, KINDS_ALL);
	set = 0;
	assert_int_equal(kinds_parse("make_fx,all,export", &set, word, sizeof(word)), 0);
	assert_int_equal(set, KINDS_ALL);
}

static void names_the_offending_word(void **state)
{
	static const char *const bad[][2] = {
		{"", ""},
		{",", ""},
		{"export,", ""},
		{",export", ""},
		{"export,,all", ""},
		{"exprot", "exprot"},
		{"all,exprot,x", "exprot"},
		{"export, all", " all"},
		{"ALL", "ALL"},
		{"*", "*"},
		{"pre_dispatcher", "pre_dis"}, /* cut */
		{"export make_fx", "export "},
	};
	unsigned int set = 77;
	char word[8];

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(kinds_parse(bad[i][0], &set, word, sizeof(word)), -EINVAL);
		assert_string_equal(word, bad[i][1]);
		assert_int_equal(set, 77);
	}
}

static void lists_all_names(void **state)
{
	char text[KINDS_TEXT_SIZE];

	(void)state;
	kinds_text(text);
	assert_string_equal(text,
			    "export, decompose, make_fx, compile, pre_dispatch, other, unknown");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_and_kinds_are_each_others),
		cmocka_unit_test(takes_lists),
		cmocka_unit_test(names_the_offending_word),
		cmocka_unit_test(lists_all_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
