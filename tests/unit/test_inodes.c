// SPDX-License-Identifier: GPL-2.0-or-later
/* user/target/inodes.c: the kernel is asked while other threads of ours map and unmap. */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "target/inodes.h"

#define LOOKS   20000
#define THREADS 3
#define SIZE    (8 << 20)

static atomic_bool ends;

static void test_without_the_kernel(void **state)
{
	int fd = memfd_create("file", MFD_CLOEXEC);
	struct gw_inode inode;
	struct stat file;

	(void)state;
	assert_int_equal(inodes_identify(NULL, fd, &inode), 0);
	assert_int_equal(fstat(fd, &file), 0);
	assert_int_equal(inode.number, file.st_ino);
	close(fd);
	assert_int_equal(inodes_identify(NULL, fd, &inode), -EBADF);
}

/* To unmap what was written to takes long, with the lock that the kernel wants here. */
static void *map_and_unmap(void *context)
{
	(void)context;
	while (!ends) {
		void *at = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
				0);

		memset(at, 1, SIZE);
		munmap(at, SIZE);
	}
	return NULL;
}

static void test_while_others_map(void **state)
{
	struct inodes *inodes;
	pthread_t thread[THREADS];
	struct gw_inode first, inode;
	struct err err;
	int fd = memfd_create("file", MFD_CLOEXEC), failed = 0;

	(void)state;
	if (geteuid() != 0)
		skip();
	assert_int_equal(ftruncate(fd, 1), 0);
	assert_int_equal(inodes_open(&inodes, &err), 0);
	assert_int_equal(inodes_identify(inodes, fd, &first), 0);
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, map_and_unmap, NULL), 0);
	for (int i = 0; i < LOOKS; i++)
		failed += inodes_identify(inodes, fd, &inode) || inode.number != first.number;
	ends = true;
	for (int i = 0; i < THREADS; i++)
		pthread_join(thread[i], NULL);
	assert_int_equal(failed, 0);
	inodes_close(inodes);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_without_the_kernel),
		cmocka_unit_test(test_while_others_map),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
