// SPDX-License-Identifier: GPL-2.0-or-later
/* user/watch/procfs, on this very process. As root the files are opened by their mappings. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "target/procfs.h"

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

/* Whether two descriptions are of the same file, unchanged. */
static bool same_file(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
	       a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

static void check_opened(void)
{
	struct stat file, opened;
	int fd = procfs_open_mapping(getpid(), &mapping);

	assert_true(fd >= 0);
	assert_int_equal(stat(path, &file), 0);
	assert_int_equal(fstat(fd, &opened), 0);
	assert_true(same_file(&file, &opened));
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

/* Finds the mapping of a file by its inode. */
struct search {
	ino_t inode;
	struct procfs_mapping found;
};

static int visit_inode(void *context, const struct procfs_mapping *at)
{
	struct search *search = context;

	if (at->inode != search->inode)
		return 0;
	search->found = *at;
	return 1;
}

/* Maps a new file of this name in the present folder; returns its inode. */
static ino_t map_new(const char *name, void **at)
{
	int fd = open(name, O_RDWR | O_CREAT | O_EXCL, 0600);
	struct stat file;

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)page), 0);
	assert_int_equal(fstat(fd, &file), 0);
	*at = mmap(NULL, page, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);
	assert_true(*at != MAP_FAILED);
	close(fd);
	return file.st_ino;
}

static void check_name(const char *name, bool removed)
{
	struct search search = {0};
	char expected[PATH_MAX];
	void *at;
	int fd;

	snprintf(expected, sizeof(expected), "/tmp/%s", name);
	assert_int_equal(chdir("/tmp"), 0);
	unlink(name);
	search.inode = map_new(name, &at);
	if (removed)
		unlink(name);
	assert_int_equal(procfs_candidates(getpid(), visit_inode, &search), 1);
	assert_string_equal(search.found.path, expected);
	fd = procfs_open_mapping(getpid(), &search.found);
	if (geteuid() == 0 || !removed) {
		assert_true(fd >= 0);
		close(fd);
	}
	munmap(at, page);
	unlink(name);
}

static void test_odd_names(void **state)
{
	(void)state;
	check_name("gradwatch-c10-\n-newline", false);
	check_name("gradwatch-c10-\n-newline", true);
	check_name("gradwatch-c10-removed", true);
	check_name("gradwatch-c10 (deleted)", false);
	check_name("gradwatch-c10 (deleted)", true);
	if (geteuid() == 0) /* others cannot tell it from a newline */
		check_name("gradwatch-c10-\\012", false);
}

#define STEP "0123456789012345678901234567890123456789012345678901234567890123456789012345678/"

/* Folders within each other until the path of a file in the last has a number of bytes. */
static void enter_deep(const char *top, size_t length)
{
	size_t now = strlen(top) + 1;

	assert_int_equal(mkdir(top, 0700), 0);
	assert_int_equal(chdir(top), 0);
	while (now + strlen("c10") < length) {
		size_t left = length - now - strlen("c10");
		char step[sizeof(STEP)];

		/* A rest of one byte would be no folder. */
		snprintf(step, sizeof(step), "%.*s",
			 (int)(left < 80    ? left - 1
			       : left == 81 ? 77
					    : 79),
			 STEP);
		assert_int_equal(mkdir(step, 0700), 0);
		assert_int_equal(chdir(step), 0);
		now += strlen(step) + 1;
	}
}

static void remove_deep(const char *top)
{
	char command[64];

	assert_int_equal(chdir("/"), 0);
	snprintf(command, sizeof(command), "rm -r %s", top);
	assert_int_equal(system(command), 0);
}

static void test_long_paths(void **state)
{
	static const size_t lengths[] = {4095, 4500};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		char top[] = "/tmp/gradwatch-deep-XXXXXX";
		struct search search = {0};
		void *at;

		assert_non_null(mkdtemp(top));
		assert_int_equal(rmdir(top), 0);
		enter_deep(top, lengths[i]);
		search.inode = map_new("c10", &at);
		assert_int_equal(procfs_candidates(getpid(), visit_inode, &search), 1);
		assert_int_equal(strlen(search.found.path), 4095);
		assert_string_equal(strrchr(search.found.path, '/'), "/c10");
		if (lengths[i] == 4095)
			assert_memory_equal(search.found.path, top, strlen(top));
		munmap(at, page);
		remove_deep(top);
	}
}

static void test_parent(void **state)
{
	pid_t parent = 0;

	(void)state;
	assert_int_equal(procfs_parent(getpid(), &parent), 0);
	assert_int_equal(parent, getppid());
	assert_int_equal(procfs_parent(INT32_MAX, &parent), -ESRCH);
}

static void *live_on(void *unused)
{
	(void)unused;
	for (;;)
		pause();
	return NULL;
}

/* Its /proc/PID/maps is empty; the mappings are there all the same. */
static void test_first_thread_has_ended(void **state)
{
	pid_t child = fork();
	char state_of = 0, first[8];
	pthread_t thread;

	if (!child) {
		pthread_create(&thread, NULL, live_on, NULL);
		pthread_exit(NULL);
	}
	for (int i = 0; i < 1000 && state_of != 'Z'; i++) {
		usleep(10000);
		assert_int_equal(procfs_state(child, &state_of), 0);
	}
	assert_int_equal(state_of, 'Z');
	assert_int_not_equal(procfs_living_thread(child), child);
	assert_int_equal(procfs_candidates(child, visit, NULL), 1);
	assert_int_equal(procfs_read_memory(child, (uint64_t)*state, first, sizeof(first)), 0);
	if (geteuid() == 0)
		close(procfs_open_mapping(child, &mapping));
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
}

/* The list of its groups has more bytes than all the rest. */
static void test_many_groups(void **state)
{
	struct procfs_signals signals;
	gid_t groups[1000];
	uint32_t uid, ns_pid;
	char comm[17];
	pid_t child, tgid;

	(void)state;
	if (geteuid() != 0)
		skip();
	child = fork();
	if (!child) {
		for (int i = 0; i < 1000; i++)
			groups[i] = (gid_t)(100000 + i);
		if (setgroups(1000, groups) || setuid(65534) || signal(SIGUSR2, SIG_IGN) == SIG_ERR)
			_exit(1);
		live_on(NULL);
	}
	for (int i = 0; i < 1000; i++) {
		usleep(10000);
		assert_int_equal(procfs_signals(child, &signals), 0);
		if (signals.ignored >> (SIGUSR2 - 1) & 1)
			break;
	}
	assert_true(signals.ignored >> (SIGUSR2 - 1) & 1);
	assert_int_equal(procfs_tgid(child, &tgid), 0);
	assert_int_equal(tgid, child);
	assert_int_equal(procfs_identity(child, comm, &uid, &ns_pid), 0);
	assert_int_equal(uid, 65534);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
}

static int write_new(const char *name)
{
	int fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	int code = fd < 0 ? -1 : ftruncate(fd, (off_t)page);

	if (fd >= 0)
		close(fd);
	return code;
}

/* Maps a file and finds the mapping as gradwatch does. */
static bool map_file(const char *name, struct procfs_mapping *own)
{
	int fd = open(name, O_RDONLY | O_CLOEXEC);
	struct search search = {0};
	struct stat file;
	void *at;

	if (fd < 0 || fstat(fd, &file))
		return false;
	at = mmap(NULL, page, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);
	close(fd);
	search.inode = file.st_ino;
	if (at == MAP_FAILED || procfs_candidates(getpid(), visit_inode, &search) != 1)
		return false;
	*own = search.found;
	return true;
}

static int write_file(const char *name, const char *text)
{
	int fd = open(name, O_WRONLY | O_CLOEXEC);
	bool written = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

	if (fd >= 0)
		close(fd);
	return written ? 0 : -1;
}

/* A file system of memory on `top`, with one file. Its inode's number is the same in each. */
static bool make_disk(const char *top, const char *name)
{
	return !mount("none", top, "tmpfs", 0, NULL) && !write_new(name);
}

/*
 * In a user namespace of its own, whose capabilities do not open the links of /proc/PID/map_files:
 * the file is opened by its path. Returns the status: 2: such a namespace cannot be made.
 */
static int open_by_path_alone(const char *top)
{
	char map[64], group_map[64], name[PATH_MAX];
	struct procfs_mapping own;
	struct stat first, second;
	int fd;

	snprintf(map, sizeof(map), "0 %u 1", geteuid());
	snprintf(group_map, sizeof(group_map), "0 %u 1", getegid());
	page = (size_t)sysconf(_SC_PAGESIZE);
	if (unshare(CLONE_NEWUSER | CLONE_NEWNS) || write_file("/proc/self/uid_map", map) ||
	    write_file("/proc/self/setgroups", "deny") ||
	    write_file("/proc/self/gid_map", group_map))
		return 2;
	snprintf(name, sizeof(name), "%s/c10", top);
	if (!make_disk(top, name) || stat(name, &first) || !map_file(name, &own))
		return 3;
	fd = procfs_open_mapping(getpid(), &own);
	if (fd < 0 || fstat(fd, &second) || !same_file(&first, &second))
		return 4;
	close(fd);
	/* Another one of the same path and inode number. */
	if (!make_disk(top, name) || stat(name, &second) || first.st_ino != second.st_ino)
		return 5;
	return procfs_open_mapping(getpid(), &own) == -ESTALE ? 0 : 6;
}

static void test_another_file_at_the_path(void **state)
{
	char top[] = "/tmp/gradwatch-path-XXXXXX";
	int status = 0;
	pid_t child;

	(void)state;
	assert_non_null(mkdtemp(top));
	child = fork();
	assert_true(child >= 0);
	if (child == 0)
		_exit(open_by_path_alone(top));
	assert_int_equal(waitpid(child, &status, 0), child);
	rmdir(top);
	if (WEXITSTATUS(status) == 2)
		skip();
	assert_int_equal(status, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parent),
		cmocka_unit_test(test_first_thread_has_ended),
		cmocka_unit_test(test_many_groups),
		cmocka_unit_test(test_another_file_at_the_path),
		cmocka_unit_test(test_odd_names),
		cmocka_unit_test(test_long_paths),
		cmocka_unit_test(test_split_meanwhile),
		cmocka_unit_test(test_unmapped_meanwhile),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
