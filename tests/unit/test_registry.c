// SPDX-License-Identifier: GPL-2.0-or-later
/* user/target: the registries of files and processes, and what inspections are known. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/clock.h"
#include "target/inspections.h"
#include "target/mapped.h"
#include "target/processes.h"
#include "target/roles.h"

#define LONG        (FILES_LINGER_NS + 1)
#define NO_SUCH_PID (1u << 30)

static unsigned int forgotten, told_of_end, missed_ends;

static void forget(void *context, struct file *file)
{
	(void)context;
	(void)file;
	forgotten++;
}

static void on_ended(void *context, const struct process *process, bool missed)
{
	(void)context;
	(void)process;
	told_of_end++;
	missed_ends += missed;
}

static int make_file(char *path, const char *text)
{
	int fd;

	strcpy(path, "/tmp/gradwatch-XXXXXX");
	fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	return fd;
}

static struct files *make_files(void)
{
	const struct files_handler handler = {.forget = forget};
	struct files *files = files_new(NULL);

	assert_non_null(files);
	files_set_handler(files, FILE_SETTER, &handler);
	forgotten = told_of_end = missed_ends = 0;
	return files;
}

static struct file *learn(struct files *files, int fd, const char *path, uint32_t uid)
{
	int code;

	return files_learn(files, FILE_SETTER, fd, path, uid, 0, &code);
}

/* By inode, not by path, time or link. */
static void test_same_file(void **state)
{
	char path[32], copy[32], other[64];
	int fd = make_file(path, "a"), copy_fd = make_file(copy, "a"), link_fd;
	const struct timespec then[2] = {{.tv_sec = 1}, {.tv_sec = 1}};
	struct files *files = make_files();
	struct file *file = learn(files, fd, path, 0);
	int code;

	(void)state;
	snprintf(other, sizeof(other), "%s-link", path);
	assert_int_equal(link(path, other), 0);
	link_fd = open(other, O_RDONLY | O_CLOEXEC);
	assert_non_null(file);
	assert_ptr_equal(learn(files, link_fd, other, 0), file);
	assert_int_equal(futimens(fd, then), 0);
	assert_ptr_equal(learn(files, fd, path, 0), file);
	assert_ptr_not_equal(learn(files, copy_fd, copy, 0), file);
	/* Another role of the file is another entry. */
	assert_ptr_not_equal(files_learn(files, FILE_PYTHON, fd, path, 0, 0, &code), file);
	assert_int_equal(files_count(files), 3);
	assert_string_equal(file->path, path);
	files_free(files);
	close(fd);
	close(copy_fd);
	close(link_fd);
	unlink(path);
	unlink(copy);
	unlink(other);
}

/* What nobody holds is forgotten after a while, with what hangs on it; ids are not given again. */
static void test_idle_file_is_forgotten(void **state)
{
	char path[32];
	int fd = make_file(path, "a");
	struct files *files = make_files();
	struct file *file = learn(files, fd, path, 0);
	uint32_t id = file->id;

	(void)state;
	file->content = "content";
	files_hold(file);
	assert_int_equal(files_expire(files, LONG), 0);
	files_release(file, LONG);
	assert_int_equal(files_expire(files, LONG + 1), 0);
	assert_int_equal(files_expire(files, 2 * LONG), 1);
	assert_int_equal(forgotten, 1);
	assert_null(files_get(files, id));
	assert_true(learn(files, fd, path, 0)->id > id);
	files_free(files);
	close(fd);
	unlink(path);
}

/* One user does not use up what others need; what is refused is counted, and has room later. */
static void test_shares(void **state)
{
	static char path[FILES_PER_USER + 2][32];
	static int fd[FILES_PER_USER + 2];
	struct files *files = make_files();
	int code;

	(void)state;
	for (int i = 0; i < FILES_PER_USER + 2; i++)
		fd[i] = make_file(path[i], "a");
	for (int i = 0; i < FILES_PER_USER; i++) {
		struct file *file = learn(files, fd[i], path[i], 1000);

		assert_non_null(file);
		files_hold(file);
	}
	assert_null(files_learn(files, FILE_SETTER, fd[FILES_PER_USER], "x", 1000, 0, &code));
	assert_int_equal(code, -ENOSPC);
	assert_int_equal(files_refused(files), 1);
	assert_non_null(learn(files, fd[FILES_PER_USER], "x", 0));
	files_release(learn(files, fd[0], path[0], 1000), 0);
	assert_non_null(
		files_learn(files, FILE_SETTER, fd[FILES_PER_USER + 1], "y", 1000, LONG, &code));
	files_free(files);
	for (int i = 0; i < FILES_PER_USER + 2; i++) {
		close(fd[i]);
		unlink(path[i]);
	}
}

/* A file that is written to is another one from then on. */
static void test_rewritten_file(void **state)
{
	char path[32];
	int fd = make_file(path, "a");
	struct files *files = make_files();
	struct file *file = learn(files, fd, path, 0), *again;

	(void)state;
	files_hold(file);
	assert_int_equal(pwrite(fd, "b", 1, 0), 1);
	files_read_rewrites(files);
	assert_true(file->written);
	again = learn(files, fd, path, 0);
	assert_ptr_not_equal(again, file);
	assert_ptr_equal(files_get(files, file->id), file);
	/* The entry that goes does not take the kernel's watch from the one that stays. */
	files_drop(files, file);
	assert_int_equal(pwrite(fd, "c", 1, 0), 1);
	files_read_rewrites(files);
	assert_true(again->written);
	files_free(files);
	close(fd);
	unlink(path);
}

static pid_t start_child(void)
{
	pid_t pid = fork();

	if (!pid) {
		pause();
		_exit(0);
	}
	assert_true(pid > 0);
	return pid;
}

static void end_child(pid_t pid)
{
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

/* A process holds its files until it ends, what it is called stays a while longer. */
static void test_process_holds_files(void **state)
{
	char path[32];
	int fd = make_file(path, "a");
	struct files *files = make_files();
	struct processes *processes = processes_new(files, on_ended, NULL);
	struct file *file = learn(files, fd, path, 0);
	pid_t pid = start_child();
	struct process *process;
	uint64_t now = clock_monotonic(), start_time;
	bool is_new;

	(void)state;
	process = processes_note(processes, (uint32_t)pid, now, &is_new);
	assert_true(process && is_new && process->exe);
	start_time = process->start_time;
	assert_non_null(process_add_file(process, file, 4096, 7));
	assert_int_equal(process_file_at(process, FILE_SETTER, 4096, 7)->id, file->id);
	assert_null(process_file_at(process, FILE_SETTER, 4096, 8));
	processes_tick(processes, now);
	assert_int_equal(file->held, 1);
	end_child(pid);
	processes_tick(processes, now + 1); /* nobody has told of its end */
	assert_int_equal(file->held, 0);
	assert_int_equal(told_of_end, 1);
	assert_int_equal(missed_ends, 1);
	assert_ptr_equal(processes_find(processes, (uint32_t)pid, start_time), process);
	processes_tick(processes, now + 1 + PROCESSES_LINGER_NS);
	assert_int_equal(processes_count(processes), 0);
	processes_free(processes);
	files_free(files);
	close(fd);
	unlink(path);
}

static struct process *note(struct processes *processes, pid_t pid, uint64_t now)
{
	bool is_new;
	struct process *process = processes_note(processes, (uint32_t)pid, now, &is_new);

	assert_non_null(process);
	return process;
}

/* As BPF tells it, in nanoseconds. */
static struct gw_fork_record fork_of(const struct process *parent, uint32_t child)
{
	return (struct gw_fork_record){
		.header.time = clock_monotonic(),
		.start_time = parent->start_time + 12345,
		.parent = parent->pid,
		.pid = child,
		.ns_pid = 5,
	};
}

/* A child holds what its parent does; who replaces its program lets go, and may map anew. */
static void test_fork_and_exec(void **state)
{
	char path[32];
	int fd = make_file(path, "a");
	struct files *files = make_files();
	struct processes *processes = processes_new(files, on_ended, NULL);
	struct file *file = learn(files, fd, path, 0);
	pid_t parent = start_child();
	struct process *process = note(processes, parent, 0);
	const struct process *child, *grandchild;
	struct gw_fork_record fork = fork_of(process, NO_SUCH_PID);

	(void)state;
	process_add_file(process, file, 4096, 7);
	/* Both have ended before it is read that they were forked. */
	assert_int_equal(processes_fork(processes, &fork, &child), 0);
	fork = fork_of(child, NO_SUCH_PID + 1);
	assert_int_equal(processes_fork(processes, &fork, &grandchild), 0);
	assert_string_equal(grandchild->exe, process->exe);
	assert_int_equal(grandchild->ns_pid, 5);
	assert_int_equal(file->held, 3);
	processes_end(processes, child->pid, child->start_time + 1, false, clock_monotonic());
	processes_end(processes, process->pid, process->start_time, true, clock_monotonic());
	assert_int_equal(file->held, 1);
	assert_int_equal(told_of_end, 1);
	assert_ptr_equal(note(processes, parent, 0), process);
	assert_true(!process->ended && !process->files);
	processes_free(processes);
	assert_int_equal(file->held, 0);
	files_free(files);
	end_child(parent);
	close(fd);
	unlink(path);
}

/* A fork of a process that is another's by now, or before the parent mapped anything. */
static void test_forks_of_others(void **state)
{
	struct files *files = make_files();
	struct processes *processes = processes_new(files, on_ended, NULL);
	pid_t pid = start_child();
	struct process *process = note(processes, pid, 0);
	struct gw_fork_record fork = fork_of(process, NO_SUCH_PID);
	const struct process *child;

	(void)state;
	fork.parent = NO_SUCH_PID;
	assert_int_equal(processes_fork(processes, &fork, &child), -ESRCH);
	fork = fork_of(process, NO_SUCH_PID);
	fork.start_time = process->start_time - 1;
	assert_int_equal(processes_fork(processes, &fork, &child), -ESRCH);
	fork = fork_of(process, NO_SUCH_PID);
	process->mapped_at = fork.header.time + 1;
	assert_int_equal(processes_fork(processes, &fork, &child), -ESRCH);
	process->mapped_at = fork.header.time;
	assert_int_equal(processes_fork(processes, &fork, &child), 0);
	process->ended = 1;
	fork = fork_of(process, NO_SUCH_PID + 1);
	assert_int_equal(processes_fork(processes, &fork, &child), -ESRCH);
	processes_free(processes);
	files_free(files);
	end_child(pid);
}

/* The end of an earlier process of the pid was missed: it is told, and its files are kept a while.
 */
static void test_pid_is_used_again(void **state)
{
	char path[32];
	int fd = make_file(path, "a");
	struct files *files = make_files();
	struct processes *processes = processes_new(files, on_ended, NULL);
	struct file *file = learn(files, fd, path, 0);
	pid_t pid = start_child();
	struct process *process = note(processes, pid, LONG);
	struct gw_fork_record fork;
	const struct process *child;

	(void)state;
	process_add_file(process, file, 4096, 7);
	process->start_time -= 1000000000;
	process = note(processes, pid, 2 * LONG);
	assert_int_equal(process->files, 0);
	assert_int_equal(told_of_end, 1);
	assert_int_equal(file->held, 0);
	assert_int_equal(files_expire(files, 2 * LONG + 1), 0);
	/* The same where the new one is known by its fork. */
	process_add_file(process, file, 4096, 7);
	process->start_time -= 1000000000;
	fork = fork_of(note(processes, getpid(), 0), process->pid);
	fork.start_time = process->start_time + 2000000000;
	assert_int_equal(processes_fork(processes, &fork, &child), 0);
	assert_int_equal(told_of_end, 2);
	assert_int_equal(missed_ends, 1); /* BPF has the child's entry by now */
	assert_int_equal(file->held, 0);
	processes_free(processes);
	files_free(files);
	end_child(pid);
	close(fd);
	unlink(path);
}

/* What is refused is so for a while: it is tried again as long as it lives. */
static void test_refused_for_now(void **state)
{
	struct files *files = make_files();
	struct processes *processes = processes_new(files, on_ended, NULL);
	pid_t pid = start_child();
	struct process *process = note(processes, pid, 0);
	const struct process *child;
	struct gw_fork_record fork;

	(void)state;
	for (uint32_t i = 1; i < PROCESSES_MAX; i++) {
		fork = fork_of(process, NO_SUCH_PID + i);
		assert_int_equal(processes_fork(processes, &fork, &child), 0);
	}
	assert_false(processes_are_refused(processes, LONG));
	fork = fork_of(process, NO_SUCH_PID);
	fork.header.time = LONG;
	assert_int_equal(processes_fork(processes, &fork, &child), -ENOSPC);
	assert_int_equal(processes_refused(processes), 1);
	assert_true(processes_are_refused(processes, LONG + 1));
	assert_false(processes_are_refused(processes, LONG + PROCESSES_RETRY_NS));
	assert_int_equal(processes_refused(processes), 1);
	processes_free(processes);
	files_free(files);
	end_child(pid);
}

static bool is_known(struct inspections *inspections, enum file_role role, int fd, const char *path)
{
	struct inspection found;

	return inspections_known(inspections, role, fd, path, &found);
}

/* Copies are inspected once. The name counts where the result depends on it. */
static void test_same_content(void **state)
{
	struct inspections *inspections = inspections_new();
	struct inspection result, again;
	char path[3][32], text[32];
	int fd[3] = {make_file(path[0], "aa"), make_file(path[1], "aa"), make_file(path[2], "ab")};

	(void)state;
	assert_false(is_known(inspections, FILE_SETTER, fd[0], path[0]));
	assert_true(inspections_get(inspections, FILE_SETTER, fd[0], path[0], &result) < 0);
	assert_true(inspections_known(inspections, FILE_SETTER, fd[1], path[1], &again));
	assert_int_equal(again.code, result.code);
	assert_string_equal(again.reason, result.reason);
	assert_false(is_known(inspections, FILE_SETTER, fd[2], path[2]));
	assert_false(is_known(inspections, FILE_BINDING, fd[0], path[0]));
	inspections_get(inspections, FILE_PYTHON, fd[0], "/bin/python3.9", &result);
	assert_true(is_known(inspections, FILE_PYTHON, fd[1], "/usr/bin/python3.9"));
	assert_false(is_known(inspections, FILE_PYTHON, fd[1], "/usr/bin/python3.10"));
	/* As many others as there is room for. */
	for (int i = 0; i < INSPECTIONS_MAX; i++) {
		snprintf(text, sizeof(text), "%d", i);
		assert_int_equal(pwrite(fd[2], text, strlen(text), 0), strlen(text));
		inspections_get(inspections, FILE_SETTER, fd[2], path[2], &result);
	}
	assert_false(is_known(inspections, FILE_SETTER, fd[0], path[0]));
	/* A large one is not read where others wait. */
	assert_int_equal(ftruncate(fd[0], 5 << 20), 0);
	inspections_get(inspections, FILE_SETTER, fd[0], path[0], &result);
	assert_false(is_known(inspections, FILE_SETTER, fd[0], path[0]));
	inspections_free(inspections);
	for (int i = 0; i < 3; i++) {
		close(fd[i]);
		unlink(path[i]);
	}
}

static struct process process_of_test;

static struct file *look_for_python(struct files *files, struct inspections *inspections, int *code)
{
	const struct role_search search = {files, inspections, FILE_PYTHON, getpid(),
					   &process_of_test};
	static struct mapped mapped;

	assert_true(mapped_read(getpid(), &mapped) >= 0);
	for (unsigned int i = 0; i < mapped.count; i++)
		if (mapped.role[i] == FILE_PYTHON)
			return roles_learn(&search, &mapped.mapping[i], code);
	return NULL;
}

/* The program of this test is a candidate for the Python: a thread looks at it, once. */
static void test_inspected_aside(void **state)
{
	struct files *files = make_files();
	struct inspections *inspections = inspections_new();
	struct inspection found;
	struct pollfd ready;
	struct file *file;
	uint32_t id;
	int code = 0;

	(void)state;
	process_of_test = (struct process){.pid = (uint32_t)getpid()};
	roles_register(files);
	assert_int_equal(inspections_use_thread(inspections), 0);
	assert_false(inspections_next(inspections, &id, &found));
	for (int i = 0; i < 2; i++) {
		assert_null(look_for_python(files, inspections, &code));
		assert_int_equal(code, -EINPROGRESS);
	}
	assert_int_equal(process_of_test.files, 1);
	ready = (struct pollfd){.fd = inspections_fd(inspections), .events = POLLIN};
	assert_int_equal(poll(&ready, 1, 60000), 1);
	assert_true(inspections_next(inspections, &id, &found));
	assert_false(inspections_are_busy(inspections, UINT64_MAX));
	assert_false(inspections_next(inspections, &id, &found));
	assert_int_equal(poll(&ready, 1, 0), 0);
	assert_int_equal(id, process_of_test.file[0].id);
	roles_settle(files, id, &found);
	file = look_for_python(files, inspections, &code);
	assert_non_null(file);
	assert_int_equal(file->id, id);
	assert_int_equal(roles_found(file)->code, found.code);
	/* It may be forgotten before it is inspected. */
	roles_settle(files, id + 1, &found);
	files_free(files);
	inspections_free(inspections);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_same_file),
		cmocka_unit_test(test_idle_file_is_forgotten),
		cmocka_unit_test(test_shares),
		cmocka_unit_test(test_rewritten_file),
		cmocka_unit_test(test_process_holds_files),
		cmocka_unit_test(test_fork_and_exec),
		cmocka_unit_test(test_forks_of_others),
		cmocka_unit_test(test_pid_is_used_again),
		cmocka_unit_test(test_refused_for_now),
		cmocka_unit_test(test_same_content),
		cmocka_unit_test(test_inspected_aside),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
