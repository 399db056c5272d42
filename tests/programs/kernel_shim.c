// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Preloaded into gradwatch: a kernel that has less, or that answers at an unlucky moment. Words of
 * GRADWATCH_SHIM, with commas:
 *
 *	no-multi     no uprobe_multi, as before 6.6
 *	no-cookies   programs are not told which uprobe was hit, as before 5.15 (with no-multi)
 *	short-N      the N-th uprobe that is placed finds no descriptor
 *	slow         to place a uprobe takes 10 ms more
 *	late-N       a process is killed, and has ended, when BPF is told of a Python for the N-th
 *	             time
 *	watch-loop   says on standard error when the main thread places or removes a perf event's
 *	             uprobe, removes a link, or reads a file of more than 4 MB whole
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <linux/bpf.h>
#include <linux/perf_event.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define UPROBE_MULTI 48  /* enum bpf_attach_type */
#define GET_COOKIE   174 /* enum bpf_func_id */
#define PROBE_INSNS  8   /* a program that libbpf only tries has fewer */
#define MAX_FDS      65536
#define LARGE        (4 << 20)

static bool is_uprobe[MAX_FDS];
static unsigned int placed, told;

static long (*next_syscall)(long, ...);
static int (*next_close)(int);

static bool has(const char *word)
{
	const char *words = getenv("GRADWATCH_SHIM");

	return words && strstr(words, word);
}

static bool has_number(const char *word, unsigned int number)
{
	char text[32];

	snprintf(text, sizeof(text), "%s-%u", word, number);
	return has(text);
}

static bool in_loop(void)
{
	return has("watch-loop") && getpid() == gettid();
}

static long fail(int code)
{
	errno = code;
	return -1;
}

/* libbpf looks for the verifier's words. */
static long refuse_cookie(const union bpf_attr *attr)
{
	if (attr->log_buf)
		snprintf((char *)(uintptr_t)attr->log_buf, attr->log_size,
			 "invalid func unknown#%d", GET_COOKIE);
	return fail(EINVAL);
}

static bool wants_cookie(const union bpf_attr *attr)
{
	const struct bpf_insn *insn = (const struct bpf_insn *)(uintptr_t)attr->insns;

	for (uint32_t i = 0; attr->insn_cnt <= PROBE_INSNS && i < attr->insn_cnt; i++)
		if (insn[i].code == (BPF_JMP | BPF_CALL) && insn[i].imm == GET_COOKIE)
			return true;
	return false;
}

static bool is_map(uint32_t fd, const char *name)
{
	struct bpf_map_info info = {0};
	union bpf_attr attr = {
		.info = {.bpf_fd = fd, .info_len = sizeof(info), .info = (uintptr_t)&info}};

	return !next_syscall(SYS_bpf, BPF_OBJ_GET_INFO_BY_FD, &attr, sizeof(attr)) &&
	       !strcmp(info.name, name);
}

/* Until its parent has reaped it. */
static void end_process(pid_t pid)
{
	kill(pid, SIGKILL);
	for (int i = 0; i < 10000 && !kill(pid, 0); i++)
		usleep(1000);
}

static long bpf(int command, union bpf_attr *attr, long size)
{
	bool is_link = command == BPF_LINK_CREATE;
	long result;

	if (has("no-multi") &&
	    ((command == BPF_PROG_LOAD && attr->expected_attach_type == UPROBE_MULTI) ||
	     (is_link && attr->link_create.attach_type == UPROBE_MULTI)))
		return fail(EINVAL);
	if (has("no-cookies") && command == BPF_PROG_LOAD && wants_cookie(attr))
		return refuse_cookie(attr);
	if (has("no-cookies") && is_link && attr->link_create.attach_type == BPF_PERF_EVENT)
		return fail(EINVAL);
	if (is_link && attr->link_create.attach_type == UPROBE_MULTI &&
	    has_number("short", ++placed))
		return fail(EMFILE);
	if (is_link && has("slow"))
		usleep(10000);
	if (command == BPF_MAP_UPDATE_ELEM && is_map(attr->map_fd, "interpreters") &&
	    has_number("late", ++told))
		end_process(*(const pid_t *)(uintptr_t)attr->key);
	result = next_syscall(SYS_bpf, command, attr, size);
	if (is_link && result >= 0 && result < MAX_FDS)
		is_uprobe[result] = attr->link_create.attach_type == UPROBE_MULTI ||
				    attr->link_create.attach_type == BPF_PERF_EVENT;
	return result;
}

static long perf_event_open(const struct perf_event_attr *attr, const long *rest)
{
	long result = next_syscall(SYS_perf_event_open, attr, rest[0], rest[1], rest[2], rest[3]);

	if (attr->type < PERF_TYPE_MAX) /* not of the uprobes' type, which is a later one */
		return result;
	if (in_loop())
		fprintf(stderr, "in the loop: a uprobe is placed\n");
	if (result >= 0 && result < MAX_FDS)
		is_uprobe[result] = true;
	return result;
}

__attribute__((constructor)) static void find_next(void)
{
	*(void **)&next_syscall = dlsym(RTLD_NEXT, "syscall");
	*(void **)&next_close = dlsym(RTLD_NEXT, "close");
}

long syscall(long number, ...)
{
	long argument[6];
	va_list list;

	if (!next_syscall)
		find_next();
	va_start(list, number);
	for (int i = 0; i < 6; i++)
		argument[i] = va_arg(list, long);
	va_end(list);
	if (number == SYS_bpf)
		return bpf((int)argument[0], (union bpf_attr *)argument[1], argument[2]);
	if (number == SYS_perf_event_open)
		return perf_event_open((const struct perf_event_attr *)argument[0], argument + 1);
	return next_syscall(number, argument[0], argument[1], argument[2], argument[3], argument[4],
			    argument[5]);
}

ssize_t pread(int fd, void *data, size_t size, off_t at)
{
	if (size > LARGE && in_loop())
		fprintf(stderr, "in the loop: %zu bytes are read\n", size);
	return syscall(SYS_pread64, fd, data, size, at);
}

ssize_t pread64(int fd, void *data, size_t size, off_t at)
{
	return pread(fd, data, size, at);
}

int close(int fd)
{
	if (!next_close)
		find_next();
	if (fd >= 0 && fd < MAX_FDS && is_uprobe[fd]) {
		is_uprobe[fd] = false;
		if (in_loop())
			fprintf(stderr, "in the loop: a uprobe is removed\n");
	}
	return next_close(fd);
}
