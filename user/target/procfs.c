// SPDX-License-Identifier: GPL-2.0-or-later
#include "target/procfs.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/str.h"

int procfs_open(pid_t pid, const char *name, int flags)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	fd = open(path, flags | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? -ESRCH : -errno;
	return fd;
}

/* Reads the start of a small file of /proc, ended by NUL. Returns its length. */
static ssize_t read_proc(pid_t pid, const char *name, char *out, size_t size)
{
	int fd = procfs_open(pid, name, O_RDONLY);
	ssize_t got;

	if (fd < 0)
		return fd;
	got = read(fd, out, size - 1);
	if (got < 0)
		got = -errno;
	close(fd);
	if (got >= 0)
		out[got] = '\0';
	return got;
}

static uint64_t tick_ns(void)
{
	return 1000000000ull / (uint64_t)sysconf(_SC_CLK_TCK);
}

/* The fields of the stat file from the third, the state, on: the name before them may hold
 * anything.
 */
static int read_stat(pid_t pid, char *out, size_t size, const char **fields)
{
	ssize_t got = read_proc(pid, "stat", out, size);
	const char *end;

	if (got < 0)
		return (int)got;
	end = strrchr(out, ')');
	if (!end || end[1] != ' ')
		return -EBADMSG;
	*fields = end + 2;
	return 0;
}

/* A number of the stat file, by its field: 4 and up, as proc(5) counts them. */
static int read_stat_number(pid_t pid, int field, uint64_t *number)
{
	char stat[1024];
	const char *at = "";
	int code = read_stat(pid, stat, sizeof(stat), &at);

	if (code)
		return code;
	for (int i = 3; i < field; i++) {
		at = strchr(at + 1, ' ');
		if (!at)
			return -EBADMSG;
	}
	*number = strtoull(at + 1, NULL, 10);
	return 0;
}

int procfs_start_time(pid_t pid, uint64_t *ns)
{
	uint64_t ticks;
	int code = read_stat_number(pid, 22, &ticks);

	if (!code)
		*ns = ticks * tick_ns();
	return code;
}

int procfs_parent(pid_t pid, pid_t *parent)
{
	uint64_t number;
	int code = read_stat_number(pid, 4, &number);

	if (!code)
		*parent = (pid_t)number;
	return code;
}

bool procfs_same_start(uint64_t a, uint64_t b)
{
	return a / tick_ns() == b / tick_ns();
}

/*
 * Reads /proc/PID/status but for its list of groups, which has no limit; ended by NUL. The first
 * line has a line's end before it, as the others.
 */
static int read_status(pid_t pid, char *out, size_t size)
{
	int fd = procfs_open(pid, "status", O_RDONLY);
	FILE *status = fd < 0 ? NULL : fdopen(fd, "r");
	size_t length = 1, space = 0;
	char *line = NULL;
	int code = 0;

	if (!status) {
		if (fd >= 0)
			close(fd);
		return fd < 0 ? fd : -ENOMEM;
	}
	str_format(out, size, "\n");
	errno = 0;
	while (getline(&line, &space, status) > 0) {
		if (!strncmp(line, "Groups:", 7))
			continue;
		if (str_format(out + length, size - length, "%s", line))
			break;
		length += strlen(line);
	}
	if (ferror(status))
		code = errno ? -errno : -EIO;
	free(line);
	fclose(status);
	return code;
}

/* The value of a field of /proc/PID/status, or NULL. */
static const char *status_field(const char *status, const char *name)
{
	const char *at = strstr(status, name);

	return at ? at + strlen(name) : NULL;
}

/* Ended, but not yet reaped. A leader that has ended while other threads run looks like it. */
static bool is_over(const char *status)
{
	const char *state = status_field(status, "\nState:\t");
	const char *threads = status_field(status, "\nThreads:\t");

	return state && (*state == 'Z' || *state == 'X') &&
	       (!threads || strtol(threads, NULL, 10) <= 1);
}

int procfs_tgid(pid_t pid, pid_t *tgid)
{
	char status[4096];
	int code = read_status(pid, status, sizeof(status));
	const char *value;

	if (code)
		return code;
	if (is_over(status))
		return -ESRCH;
	value = status_field(status, "\nTgid:\t");
	if (!value)
		return -EBADMSG;
	*tgid = (pid_t)strtol(value, NULL, 10);
	return 0;
}

int procfs_state(pid_t tid, char *state)
{
	char stat[1024];
	const char *at = "";
	int code = read_stat(tid, stat, sizeof(stat), &at);

	if (!code)
		*state = *at;
	return code;
}

/* The pid in the process's own namespace: the last of those in its status; `pid` if there is none.
 */
static uint32_t innermost_pid(const char *status, uint32_t pid)
{
	const char *at = status_field(status, "\nNSpid:\t");

	for (; at && *at && *at != '\n'; at++)
		if (at[-1] == '\t')
			pid = (uint32_t)strtoul(at, NULL, 10);
	return pid;
}

int procfs_signals(pid_t pid, struct procfs_signals *signals)
{
	char status[4096];
	int code = read_status(pid, status, sizeof(status));
	const char *pending, *blocked, *ignored, *caught, *tracer;

	if (code)
		return code;
	pending = status_field(status, "\nShdPnd:\t");
	blocked = status_field(status, "\nSigBlk:\t");
	ignored = status_field(status, "\nSigIgn:\t");
	caught = status_field(status, "\nSigCgt:\t");
	tracer = status_field(status, "\nTracerPid:\t");
	if (!pending || !blocked || !ignored || !caught || !tracer)
		return -EBADMSG;
	signals->pending = strtoull(pending, NULL, 16);
	signals->blocked = strtoull(blocked, NULL, 16);
	signals->ignored = strtoull(ignored, NULL, 16);
	signals->caught = strtoull(caught, NULL, 16);
	signals->tracer = (pid_t)strtol(tracer, NULL, 10);
	signals->is_init = innermost_pid(status, (uint32_t)pid) == 1;
	return 0;
}

int procfs_identity(pid_t pid, char comm[17], uint32_t *uid, uint32_t *ns_pid)
{
	char status[4096];
	ssize_t got = read_proc(pid, "comm", comm, 17);
	const char *uid_field;
	int code;

	if (got < 0)
		return (int)got;
	if (got > 0 && comm[got - 1] == '\n')
		comm[got - 1] = '\0';
	code = read_status(pid, status, sizeof(status));
	if (code)
		return code;
	uid_field = status_field(status, "\nUid:\t");
	if (!uid_field)
		return -EBADMSG;
	*uid = (uint32_t)strtoul(uid_field, NULL, 10);
	*ns_pid = innermost_pid(status, (uint32_t)pid);
	return 0;
}

int procfs_owner(pid_t pid, uint32_t *uid)
{
	struct stat folder;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d", pid);
	if (stat(path, &folder))
		return errno == ENOENT ? -ESRCH : -errno;
	*uid = folder.st_uid;
	return 0;
}

static bool has_ended(pid_t tid)
{
	char state;

	return procfs_state(tid, &state) || state == 'Z' || state == 'X';
}

pid_t procfs_living_thread(pid_t pid)
{
	pid_t found = pid;
	struct dirent *entry;
	DIR *threads = NULL;
	int fd;

	if (!has_ended(pid))
		return pid;
	fd = procfs_open(pid, "task", O_RDONLY | O_DIRECTORY);
	if (fd >= 0)
		threads = fdopendir(fd);
	while (threads && found == pid && (entry = readdir(threads)))
		if (isdigit((unsigned char)entry->d_name[0]) && !has_ended(atoi(entry->d_name)))
			found = atoi(entry->d_name);
	if (threads)
		closedir(threads);
	else if (fd >= 0)
		close(fd);
	return found;
}

int procfs_exe(pid_t pid, char *path, size_t size)
{
	char link[64];
	ssize_t got;

	snprintf(link, sizeof(link), "/proc/%d/exe", procfs_living_thread(pid));
	got = readlink(link, path, size - 1);
	if (got < 0)
		return errno == ENOENT ? -ESRCH : -errno;
	path[got] = '\0';
	return 0;
}

bool procfs_is_candidate(const char *path)
{
	return strstr(str_base_name(path), "c10") != NULL;
}

bool procfs_is_binding(const char *path)
{
	return !strncmp(str_base_name(path), "libtorch_python", 15);
}

int procfs_open_in_root(pid_t pid, const char *path)
{
	struct open_how how = {
		.flags = O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK,
		.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS,
	};
	int root = procfs_open(procfs_living_thread(pid), "root", O_PATH | O_DIRECTORY);
	int fd;

	if (root < 0)
		return root;
	fd = (int)syscall(SYS_openat2, root, path, &how, sizeof(how));
	if (fd < 0)
		fd = -errno;
	close(root);
	return fd;
}

int procfs_read_memory(pid_t pid, uint64_t address, void *out, size_t size)
{
	struct iovec local = {.iov_base = out, .iov_len = size};
	struct iovec remote = {.iov_base = (void *)(uintptr_t)address, .iov_len = size};
	ssize_t got = process_vm_readv(pid, &local, 1, &remote, 1, 0);

	if (got < 0 && errno == ESRCH) {
		pid_t tid = procfs_living_thread(pid);

		if (tid == pid)
			return -ESRCH;
		got = process_vm_readv(tid, &local, 1, &remote, 1, 0);
	}
	if (got < 0)
		return -errno;
	return (size_t)got == size ? 0 : -EFAULT;
}

int procfs_each_process(void (*visit)(void *context, pid_t pid), void *context)
{
	DIR *proc = opendir("/proc");
	struct dirent *entry;

	if (!proc)
		return -errno;
	while ((entry = readdir(proc)))
		if (isdigit((unsigned char)entry->d_name[0]))
			visit(context, (pid_t)atoi(entry->d_name));
	closedir(proc);
	return 0;
}
