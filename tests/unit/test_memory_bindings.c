// SPDX-License-Identifier: GPL-2.0-or-later
/* user/watch/bindings without memory. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>

#include "no_memory.h"
#include "target/bindings.h"

static char expected[256]; /* why the file has no binding */
static bool refused;

/* What was found out of a file is remembered; that there was no memory to look at it is not. */
static void find_binding(void *context)
{
	struct bindings *bindings = bindings_new();
	char reason[256] = "", again[256] = "";
	struct binding_found found;

	(void)context;
	if (!bindings)
		return;
	bindings_find(bindings, (uint32_t)getpid(), &found, reason, sizeof(reason));
	countdown = -1;
	bindings_find(bindings, (uint32_t)getpid(), &found, again, sizeof(again));
	bindings_free(bindings);
	if (!expected[0])
		memcpy(expected, again, sizeof(expected));
	assert_string_equal(again, expected);
	refused |= strcmp(reason, expected) != 0;
}

static void test_file_is_looked_at_again(void **state)
{
	char folder[] = "/tmp/gradwatch-XXXXXX", path[64], command[96];
	int fd;

	(void)state;
	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/libtorch_python.so", folder);
	snprintf(command, sizeof(command), "cp -L /bin/true %s", path);
	assert_int_equal(system(command), 0);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_ptr_not_equal(mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0),
			     MAP_FAILED);
	close(fd);
	find_binding(NULL);
	assert_non_null(strstr(expected, "it has no _set_grad_enabled"));
	assert_true(with_failures(find_binding, NULL) > 0 || !can_fail);
	assert_true(refused || !can_fail);
	unlink(path);
	rmdir(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_file_is_looked_at_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
