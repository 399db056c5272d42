// SPDX-License-Identifier: GPL-2.0-or-later
/* user/watch/procfs, on this very process. As root the files are opened by their mappings. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "watch/procfs.h"

static size_t page;
static char path[] = "/tmp/gradwatch-c10-XXXXXX";
static struct procfs_mapping mapping;

static int visit(void *context, const struct procfs_mapping *found)
{
	(void)context;
	if (strcmp(found->path, path) != 0)
		return 0;
	mapping = *found;
	return 1;
}

/* Maps a file of four pages, executable, and finds the mapping as gradwatch does. */
static int setup(void **state)
{
	int fd;

	page = (size_t)sysconf(_SC_PAGESIZE);
	fd = mkstemp(path);
	if (fd < 0 || ftruncate(fd, (off_t)(4 * page)))
		return -1;
	*state = mmap(NULL, 4 * page, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);
	close(fd);
	return *state == MAP_FAILED || procfs_candidates(getpid(), visit, NULL) != 1;
}

static int teardown(void **state)
{
	munmap(*state, 4 * page);
	return unlink(path);
}

static void check_opened(void)
{
	struct stat file, opened;
	int fd = procfs_open_mapping(getpid(), &mapping);

	assert_true(fd >= 0);
	assert_int_equal(stat(path, &file), 0);
	assert_int_equal(fstat(fd, &opened), 0);
	assert_true(procfs_same_file(&file, &opened));
	close(fd);
}

/* The loader maps a library whole, with the first segment's rights, and then splits it. */
static void test_split_meanwhile(void **state)
{
	char *start = *state;

	assert_int_equal(mapping.end - mapping.start, 4 * page);
	check_opened();
	assert_int_equal(mprotect(start + page, page, PROT_NONE), 0);
	check_opened();
	assert_int_equal(munmap(start + 2 * page, page), 0);
	check_opened();
}

static void test_unmapped_meanwhile(void **state)
{
	munmap(*state, 4 * page);
	if (geteuid() == 0) /* others open it by its path */
		assert_int_equal(procfs_open_mapping(getpid(), &mapping), -ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_split_meanwhile),
		cmocka_unit_test(test_unmapped_meanwhile),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
