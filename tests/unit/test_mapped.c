// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * user/target/mapped.c, procfs_maps.c: which mappings of a process matter, and how many system
 * calls it takes to find that out. open(2) and openat2(2) of the tested code are counted here.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "target/mapped.h"

static unsigned int cleaned, maps_read;
static bool no_map_files; /* as if the ranges changed without pause */

static size_t page;

long syscall(long number, ...)
{
	long (*next)(long, ...);
	long argument[6];
	va_list list;

	*(void **)&next = dlsym(RTLD_NEXT, "syscall");
	cleaned += number == SYS_openat2;
	va_start(list, number);
	for (int i = 0; i < 6; i++)
		argument[i] = va_arg(list, long);
	va_end(list);
	return next(number, argument[0], argument[1], argument[2], argument[3], argument[4],
		    argument[5]);
}

static int counted_open(const char *path, int flags)
{
	maps_read += strstr(path, "/maps") != NULL;
	if (no_map_files && strstr(path, "/map_files/")) {
		errno = ENOENT;
		return -1;
	}
	return openat(AT_FDCWD, path, flags);
}

/* What the library calls, built with and without _FORTIFY_SOURCE. */
int __open_2(const char *path, int flags);
int __open_2(const char *path, int flags)
{
	return counted_open(path, flags);
}

int open(const char *path, int flags, ...)
{
	return counted_open(path, flags);
}

static struct mapped mapped;

static int reset(void **state)
{
	(void)state;
	page = (size_t)sysconf(_SC_PAGESIZE);
	cleaned = maps_read = 0;
	no_map_files = false;
	return 0;
}

/* Maps a file that is removed from where it was. */
static void *map_removed(const char *name)
{
	char path[64];
	void *at;
	int fd;

	snprintf(path, sizeof(path), "/tmp/%s-%d", name, getpid());
	fd = openat(AT_FDCWD, path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)page), 0);
	at = mmap(NULL, page, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);
	assert_true(at != MAP_FAILED);
	close(fd);
	unlink(path);
	return at;
}

static unsigned int setters(void)
{
	unsigned int count = 0;

	for (unsigned int i = 0; i < mapped.count; i++)
		count += mapped.role[i] == FILE_SETTER;
	return count;
}

/* What a path is without " (deleted)" takes a look at the file system: only for those of interest.
 */
static void test_only_names_of_interest(void **state)
{
	void *at[50], *wanted = map_removed("gradwatch-c10");

	(void)state;
	for (int i = 0; i < 50; i++)
		at[i] = map_removed("gradwatch-other");
	assert_true(mapped_read(getpid(), &mapped) >= 0);
	assert_int_equal(setters(), 1);
	assert_int_equal(cleaned, 1);
	assert_int_equal(maps_read, 1);
	for (int i = 0; i < 50; i++)
		munmap(at[i], page);
	munmap(wanted, page);
}

/* A process that has its mappings split without pause is not looked at for ever. */
static void test_maps_are_read_once(void **state)
{
	void *at = map_removed("gradwatch-c10");

	(void)state;
	assert_true(mapped_read(getpid(), &mapped) >= 0);
	no_map_files = true;
	maps_read = 0;
	for (unsigned int i = 0; i < mapped.count; i++)
		if (mapped.role[i] == FILE_SETTER)
			assert_int_equal(procfs_open_mapping(getpid(), &mapped.mapping[i]),
					 -EAGAIN);
	assert_int_equal(maps_read, 1);
	munmap(at, page);
}

/* The program is a candidate for the Python, also when its file was replaced since. */
static void test_removed_program(void **state)
{
	char path[] = "/tmp/gradwatch-snake-XXXXXX", command[96];
	int fd = mkstemp(path);
	bool found = false;
	pid_t child;

	(void)state;
	close(fd);
	snprintf(command, sizeof(command), "cp /bin/sleep %s && chmod 700 %s", path, path);
	assert_int_equal(system(command), 0);
	child = fork();
	if (!child) {
		execl(path, path, "60", NULL);
		_exit(1);
	}
	for (int i = 0; i < 1000 && !found; i++) {
		char exe[64];

		usleep(1000);
		found = !procfs_exe(child, exe, sizeof(exe)) && !strcmp(exe, path);
	}
	assert_true(found);
	unlink(path);
	assert_true(mapped_read(child, &mapped) >= 0);
	found = false;
	for (unsigned int i = 0; i < mapped.count; i++)
		found |= mapped.role[i] == FILE_PYTHON && !strcmp(mapped.mapping[i].path, path);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	assert_true(found);
}

static void test_too_many(void **state)
{
	void *at[MAPPED_MAX + 1];

	(void)state;
	assert_true(mapped_read(getpid(), &mapped) >= 0);
	assert_false(mapped.cut);
	for (int i = 0; i <= MAPPED_MAX; i++)
		at[i] = map_removed("gradwatch-c10");
	assert_true(mapped_read(getpid(), &mapped) >= 0);
	assert_true(mapped.cut);
	assert_int_equal(mapped.count, MAPPED_MAX);
	for (int i = 0; i <= MAPPED_MAX; i++)
		munmap(at[i], page);
}

/* Who has made the threads of a process that has two C libraries is not known. */
static void test_two_libcs(void **state)
{
	void *at;

	(void)state;
	assert_true(mapped_read(getpid(), &mapped) >= 0);
	assert_string_equal(mapped.libc, "");
	at = map_removed("ld-musl-x86_64.so.1");
	assert_true(mapped_read(getpid(), &mapped) >= 0);
	assert_non_null(strstr(mapped.libc, "ld-musl"));
	munmap(at, page);
}

static struct process_file *hold(struct process *process, struct file *file, unsigned int index)
{
	return process_add_file(process, file, mapped.mapping[index].start,
				mapped.mapping[index].inode);
}

/* What a process unmaps is let go of, in each of its roles. */
static void test_unmapped(void **state)
{
	void *first = map_removed("gradwatch-c10"), *second = map_removed("gradwatch-c10");
	struct process process = {.pid = 1};
	struct files *files = files_new(NULL);
	struct file *file[2];
	int fd = memfd_create("file", MFD_CLOEXEC), code;

	(void)state;
	file[0] = files_learn(files, FILE_SETTER, fd, "a", 0, 0, &code);
	file[1] = files_learn(files, FILE_PYTHON, fd, "a", 0, 0, &code);
	assert_true(mapped_read(getpid(), &mapped) >= 0);
	for (unsigned int i = 0; i < mapped.count; i++)
		if (mapped.role[i] == FILE_SETTER) {
			assert_non_null(hold(&process, file[0], i));
			assert_non_null(hold(&process, file[1], i));
			assert_int_equal(process_file_at(&process, FILE_PYTHON,
							 mapped.mapping[i].start,
							 mapped.mapping[i].inode)
						 ->id,
					 file[1]->id);
		}
	assert_int_equal(file[0]->held, 2);
	munmap(first, page);
	assert_true(mapped_read(getpid(), &mapped) >= 0);
	mapped_release_others(&mapped, files, &process, 7);
	assert_int_equal(file[0]->held, 1); /* the other is not mapped in that role */
	assert_int_equal(file[1]->held, 0);
	assert_int_equal(file[1]->idle_since, 7);
	assert_int_equal(process.files, 1);
	munmap(second, page);
	files_free(files);
	close(fd);
}

/* One more than there is room for is not held: nobody would let go of it. */
static void test_too_many_to_hold(void **state)
{
	struct process process = {.pid = 1};
	struct files *files = files_new(NULL);
	int fd = memfd_create("file", MFD_CLOEXEC), code;
	struct file *file = files_learn(files, FILE_SETTER, fd, "a", 0, 0, &code);

	(void)state;
	for (uint64_t i = 0; i < PROCESS_FILES_MAX; i++)
		assert_non_null(process_add_file(&process, file, i * page, 1));
	assert_null(process_add_file(&process, file, PROCESS_FILES_MAX * page, 1));
	assert_int_equal(file->held, PROCESS_FILES_MAX);
	files_free(files);
	close(fd);
}

/* A huge page is unmapped whole, or not at all. */
static void test_huge_pages(void **state)
{
	int fd = memfd_create("c10", MFD_CLOEXEC | MFD_HUGETLB);
	struct procfs_start start;
	unsigned char in_memory;

	(void)state;
	if (fd < 0)
		skip(); /* a kernel without them */
	assert_int_equal(ftruncate(fd, 1 << 30), 0);
	assert_int_equal(procfs_map_start(fd, &start), 0);
	procfs_unmap_start(&start);
	assert_int_equal(mincore(start.address, page, &in_memory), -1);
	assert_int_equal(errno, ENOMEM); /* nothing is mapped there */
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_only_names_of_interest, reset),
		cmocka_unit_test_setup(test_maps_are_read_once, reset),
		cmocka_unit_test_setup(test_removed_program, reset),
		cmocka_unit_test_setup(test_too_many, reset),
		cmocka_unit_test_setup(test_two_libcs, reset),
		cmocka_unit_test_setup(test_unmapped, reset),
		cmocka_unit_test_setup(test_too_many_to_hold, reset),
		cmocka_unit_test_setup(test_huge_pages, reset),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
