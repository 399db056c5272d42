// SPDX-License-Identifier: GPL-2.0-or-later
/* user/target/bindings without memory. */
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
#include "target/roles.h"

static struct mapped mapped;
static char expected[256]; /* why the file has no binding */
static bool refused;

static void find(struct files *files, struct inspections *inspections, char *reason, size_t size)
{
	struct binding_found found;

	bindings_find(files, inspections, getpid(), NULL, &mapped, &found, reason, size);
}

/* What was found out of a file is remembered; that there was no memory to look at it is not. */
static void find_binding(void *context)
{
	struct inspections *inspections = inspections_new();
	struct files *files = files_new(NULL);
	char reason[256] = "", again[256] = "";

	(void)context;
	if (files && inspections) {
		roles_register(files);
		find(files, inspections, reason, sizeof(reason));
		countdown = -1;
		find(files, inspections, again, sizeof(again));
		if (!expected[0])
			memcpy(expected, again, sizeof(expected));
		assert_string_equal(again, expected);
		refused |= strcmp(reason, expected) != 0;
	}
	files_free(files);
	inspections_free(inspections);
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
	assert_true(mapped_read(getpid(), &mapped) >= 0);
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
