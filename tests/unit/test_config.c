// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "cli/config.h"

static struct err err;

static struct config *parse(const char *text, size_t size)
{
	err.text[0] = '\0';
	return config_parse("x.conf", text, size, &err);
}

static void refuses(const char *text, size_t size, const char *message)
{
	assert_null(parse(text, size));
	if (!strstr(err.text, message))
		fail_msg("'%s' is not in '%s'", message, err.text);
}

#define REFUSES(text, message) refuses(text, sizeof(text) - 1, message)

static void test_lines(void **state)
{
	static const char text[] =
		"# comment\n\n \t\nall\n  kinds =  export,make_fx \r\nlog=/a b=c\n"
		"\t# another\nexclude-user = nobody";
	struct config *config = parse(text, sizeof(text) - 1);

	(void)state;
	assert_non_null(config);
	assert_int_equal(config_lines(config), 4);
	assert_string_equal(config_line(config, 0)->row->name, "all");
	assert_null(config_line(config, 0)->value);
	assert_int_equal(config_line(config, 0)->line, 4);
	assert_string_equal(config_line(config, 1)->value, "export,make_fx");
	assert_string_equal(config_line(config, 2)->value, "/a b=c");
	assert_string_equal(config_line(config, 3)->value, "nobody");
	assert_string_equal(config_line(config, 3)->file, "x.conf");
	config_free(config);
	config = parse("", 0);
	assert_int_equal(config_lines(config), 0);
	config_free(config);
}

static void test_bad_lines(void **state)
{
	(void)state;
	REFUSES("all\nfoo = 1\n", "x.conf:2: 'foo' is no option");
	REFUSES("--all\n", "without --");
	REFUSES("pid = 1\n", "for the command line");
	REFUSES("config = x\n", "for the command line");
	REFUSES("kinds\n", "needs a value");
	REFUSES("kinds =\n", "needs a value");
	REFUSES("all = yes\n", "takes no value");
	REFUSES("= x\n", "is no option");
	REFUSES("all\0\n", "NUL");
	REFUSES("\x1b[31m\n", "\\x1b[31m");
}

static void test_too_many(void **state)
{
	char *text = malloc(4 * CONFIG_MAX_LINES + 5);

	(void)state;
	for (int i = 0; i <= CONFIG_MAX_LINES; i++)
		memcpy(text + 4 * i, "all\n", 4);
	refuses(text, 4 * CONFIG_MAX_LINES + 4, "one setting too many");
	free(text);
}

static void put(const char *folder, const char *name, const char *text)
{
	char path[256];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	file = fopen(path, "w");
	fputs(text, file);
	fclose(file);
}

/* In the order of names, hidden ones and other endings left out; and all of one command line. */
static void test_drop_ins(void **state)
{
	char folder[] = "/tmp/test_config.XXXXXX", path[64], drop_ins[64], command[128];
	struct options *options = calloc(1, sizeof(*options));
	char *argv[] = {"gradwatch", "--config", path, "--rate", "7", NULL};
	struct config *config;

	(void)state;
	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/g.conf", folder);
	snprintf(drop_ins, sizeof(drop_ins), "%s/g.conf.d", folder);
	assert_null(config_read(path, &err));
	assert_non_null(strstr(err.text, "g.conf"));
	put(folder, "g.conf", "all\nrate = 1\nidle = 5\n");
	mkdir(drop_ins, 0700);
	put(drop_ins, "20.conf", "idle = 8\n");
	put(drop_ins, "10.conf", "idle = 9\ncomm = a*\n");
	put(drop_ins, ".30.conf", "foo\n");
	put(drop_ins, "30.conf.bak", "foo\n");
	config = config_read(path, &err);
	assert_non_null(config);
	assert_int_equal(config_lines(config), 6);
	config_free(config);
	assert_int_equal(options_parse(options, 5, argv, &err), 0);
	assert_true(options->all);
	assert_int_equal(options->idle_ns, 8000000000ull);
	assert_int_equal(options->rate, 7); /* the command line counts more */
	assert_int_equal(options->filter.only.comms, 1);
	options_free(options);
	put(drop_ins, "40.conf", "\nidle = x\n");
	assert_int_equal(options_parse(options, 5, argv, &err), -EINVAL);
	assert_non_null(strstr(err.text, "g.conf.d/40.conf:2: --idle wants"));
	options_free(options);
	free(options);
	snprintf(command, sizeof(command), "rm -r %s", folder);
	assert_int_equal(system(command), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_bad_lines),
		cmocka_unit_test(test_too_many),
		cmocka_unit_test(test_drop_ins),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
