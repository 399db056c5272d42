// SPDX-License-Identifier: GPL-2.0-or-later
#include "watch/procfs.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/str.h"

/* Processes map many small files; a hostile one may map millions of them. */
#define MAX_MAPS_LINES 1000000
#define MAX_SPLITS     16 /* of one mapping while it is looked at */

static int open_proc(pid_t pid, const char *name, int flags)
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
	int fd = open_proc(pid, name, O_RDONLY);
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

int procfs_start_time(pid_t pid, uint64_t *ns)
{
	char stat[1024];
	const char *at = "";
	int code = read_stat(pid, stat, sizeof(stat), &at);

	if (code)
		return code;
	for (int field = 3; field < 22; field++) {
		at = strchr(at + 1, ' ');
		if (!at)
			return -EBADMSG;
	}
	*ns = strtoull(at + 1, NULL, 10) * tick_ns();
	return 0;
}

bool procfs_same_start(uint64_t a, uint64_t b)
{
	return a / tick_ns() == b / tick_ns();
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
	ssize_t got = read_proc(pid, "status", status, sizeof(status));
	const char *value;

	if (got < 0)
		return (int)got;
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

/* The pid in the process's own namespace: the last of those in its status; `pid` if none is told.
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
	ssize_t got = read_proc(pid, "status", status, sizeof(status));
	const char *blocked, *ignored, *caught, *tracer;

	if (got < 0)
		return (int)got;
	blocked = status_field(status, "\nSigBlk:\t");
	ignored = status_field(status, "\nSigIgn:\t");
	caught = status_field(status, "\nSigCgt:\t");
	tracer = status_field(status, "\nTracerPid:\t");
	if (!blocked || !ignored || !caught || !tracer)
		return -EBADMSG;
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

	if (got < 0)
		return (int)got;
	if (got > 0 && comm[got - 1] == '\n')
		comm[got - 1] = '\0';
	got = read_proc(pid, "status", status, sizeof(status));
	if (got < 0)
		return (int)got;
	uid_field = status_field(status, "\nUid:\t");
	*uid = uid_field ? (uint32_t)strtoul(uid_field, NULL, 10) : 0;
	*ns_pid = innermost_pid(status, (uint32_t)pid);
	return 0;
}

int procfs_exe(pid_t pid, char *path, size_t size)
{
	char link[64];
	ssize_t got;

	snprintf(link, sizeof(link), "/proc/%d/exe", pid);
	got = readlink(link, path, size - 1);
	if (got < 0)
		return errno == ENOENT ? -ESRCH : -errno;
	path[got] = '\0';
	return 0;
}

bool procfs_is_candidate(const char *path)
{
	const char *name = strrchr(path, '/');

	name = name ? name + 1 : path;
	return strstr(name, "c10") != NULL;
}

bool procfs_same_file(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
	       a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

bool procfs_is_binding(const char *path)
{
	const char *name = strrchr(path, '/');

	return !strncmp(name ? name + 1 : path, "libtorch_python", 15);
}

/* start-end perms offset dev inode path; returns whether it is an executable file */
static bool parse_maps_line(const char *line, struct procfs_mapping *mapping)
{
	char permissions[5];
	int path_at = 0;

	if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %4s %" SCNx64 " %*x:%*x %*u %n", &mapping->start,
		   &mapping->end, permissions, &mapping->offset, &path_at) != 4 ||
	    !path_at)
		return false;
	if (permissions[2] != 'x' || line[path_at] != '/')
		return false;
	if (str_format(mapping->path, sizeof(mapping->path), "%s", line + path_at))
		return false;
	mapping->path[strcspn(mapping->path, "\n")] = '\0';
	return true;
}

int procfs_executables(pid_t pid, int (*visit)(void *context, const struct procfs_mapping *mapping),
		       void *context)
{
	int fd = open_proc(pid, "maps", O_RDONLY);
	struct procfs_mapping mapping;
	char *line = NULL;
	size_t room = 0;
	int lines = 0, result = 0;
	FILE *maps;

	if (fd < 0)
		return fd;
	maps = fdopen(fd, "r");
	if (!maps) {
		close(fd);
		return -ENOMEM;
	}
	while (!result && lines++ < MAX_MAPS_LINES && getline(&line, &room, maps) > 0)
		if (parse_maps_line(line, &mapping))
			result = visit(context, &mapping);
	free(line);
	fclose(maps);
	return result;
}

struct candidates {
	int (*visit)(void *context, const struct procfs_mapping *mapping);
	void *context;
};

static int visit_candidate(void *context, const struct procfs_mapping *mapping)
{
	const struct candidates *candidates = context;

	if (!procfs_is_candidate(mapping->path))
		return 0;
	return candidates->visit(candidates->context, mapping);
}

int procfs_candidates(pid_t pid, int (*visit)(void *context, const struct procfs_mapping *mapping),
		      void *context)
{
	struct candidates candidates = {visit, context};

	return procfs_executables(pid, visit_candidate, &candidates);
}

int procfs_open_in_root(pid_t pid, const char *path)
{
	struct open_how how = {
		.flags = O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK,
		.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS,
	};
	int root = open_proc(pid, "root", O_PATH | O_DIRECTORY);
	int fd;

	if (root < 0)
		return root;
	fd = (int)syscall(SYS_openat2, root, path, &how, sizeof(how));
	if (fd < 0)
		fd = -errno;
	close(root);
	return fd;
}

struct wanted {
	uint64_t address;
	struct procfs_mapping *mapping;
};

static int visit_wanted(void *context, const struct procfs_mapping *mapping)
{
	const struct wanted *wanted = context;

	if (wanted->address < mapping->start || wanted->address >= mapping->end)
		return 0;
	*wanted->mapping = *mapping;
	return 1;
}

int procfs_open_mapping(pid_t pid, const struct procfs_mapping *mapping)
{
	struct procfs_mapping now = *mapping;
	struct wanted wanted = {mapping->start, &now};
	char name[64];
	int fd, code;

	for (int tries = 0; tries < MAX_SPLITS; tries++) {
		snprintf(name, sizeof(name), "map_files/%" PRIx64 "-%" PRIx64, now.start, now.end);
		fd = open_proc(pid, name, O_RDONLY);
		if (fd >= 0)
			return fd;
		if (fd != -ESRCH)
			return procfs_open_in_root(pid, mapping->path);
		/* Another range by now: a loader maps a file whole and then splits it. */
		code = procfs_executables(pid, visit_wanted, &wanted);
		if (code <= 0)
			return code ? code : -ENOENT;
	}
	return -EAGAIN;
}

int procfs_read_memory(pid_t pid, uint64_t address, void *out, size_t size)
{
	struct iovec local = {.iov_base = out, .iov_len = size};
	struct iovec remote = {.iov_base = (void *)(uintptr_t)address, .iov_len = size};
	ssize_t got = process_vm_readv(pid, &local, 1, &remote, 1, 0);

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
