// SPDX-License-Identifier: GPL-2.0-or-later
#include "probe/uprobes.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <linux/perf_event.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* enum bpf_attach_type of 6.6, which the headers of Debian 12 do not have. */
#define ATTACH_UPROBE_MULTI ((enum bpf_attach_type)48)

#define MAX_THREADS         64 /* each removes one uprobe at a time, and only waits */

#define PERF_TYPE           "/sys/bus/event_source/devices/uprobe/type"

struct uprobe {
	int fd; /* of its link, or of the perf event */
};

/* union bpf_attr of 6.6 for BPF_LINK_CREATE; what follows is zero. */
struct link_create {
	uint32_t prog_fd, target_fd, attach_type, flags;
	uint64_t path, offsets, ref_ctr_offsets, cookies;
	uint32_t count, multi_flags, pid, pad;
};

/* Returns the link's descriptor, or negative errno. */
static int create_multi(int program_fd, const char *path, const struct uprobe_place *place,
			size_t count)
{
	uint64_t offsets[UPROBE_MAX_PLACES], cookies[UPROBE_MAX_PLACES];
	struct link_create attr = {
		.prog_fd = (uint32_t)program_fd,
		.attach_type = ATTACH_UPROBE_MULTI,
		.path = (uintptr_t)path,
		.offsets = (uintptr_t)offsets,
		.cookies = (uintptr_t)cookies,
		.count = (uint32_t)count,
	};
	int fd;

	if (count > UPROBE_MAX_PLACES)
		return -E2BIG;
	for (size_t i = 0; i < count; i++) {
		offsets[i] = place[i].offset;
		cookies[i] = place[i].cookie;
	}
	fd = (int)syscall(SYS_bpf, BPF_LINK_CREATE, &attr, sizeof(attr));
	return fd < 0 ? -errno : fd;
}

/* A kernel that has them refuses a folder, and that as no regular file. Negative errno: not tried.
 */
static int try_multi(void)
{
	const struct bpf_insn code[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0},
		{.code = BPF_JMP | BPF_EXIT},
	};
	const struct bpf_prog_load_opts opts = {
		.sz = sizeof(opts),
		.expected_attach_type = ATTACH_UPROBE_MULTI,
	};
	int fd = bpf_prog_load(BPF_PROG_TYPE_KPROBE, "uprobe_multi", "GPL", code,
			       sizeof(code) / sizeof(code[0]), &opts);
	const struct uprobe_place place = {0};
	int link;

	if (fd < 0)
		return fd;
	link = create_multi(fd, "/", &place, 1);
	close(fd);
	if (link >= 0)
		close(link);
	return link == -EBADF;
}

bool uprobes_have_multi(void)
{
	static int known = -1; /* the kernel stays the same */

	if (known < 0)
		known = try_multi();
	return known > 0;
}

bool uprobes_have_cookies(void)
{
	return libbpf_probe_bpf_helper(BPF_PROG_TYPE_KPROBE, BPF_FUNC_get_attach_cookie, NULL) == 1;
}

void uprobes_prepare(struct bpf_program *program, enum uprobe_way way)
{
	if (way == UPROBE_MULTI)
		bpf_program__set_expected_attach_type(program, ATTACH_UPROBE_MULTI);
}

/* Returns a descriptor, or negative errno. */
static int open_event(const char *path, uint64_t offset)
{
	struct perf_event_attr attr = {
		.size = sizeof(attr),
		.uprobe_path = (uintptr_t)path,
		.probe_offset = offset,
	};
	FILE *type = fopen(PERF_TYPE, "re");
	bool is_known = type && fscanf(type, "%u", &attr.type) == 1;
	int fd;

	if (type)
		fclose(type);
	if (!is_known)
		return -ENODEV;
	/* Of all processes; that of a uprobe is on all processors. */
	fd = (int)syscall(SYS_perf_event_open, &attr, -1, 0, -1, PERF_FLAG_FD_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* Has an event run a program, which is then kept by what is returned: a descriptor. */
static int attach(enum uprobe_way way, int program_fd, int event_fd, uint64_t cookie)
{
	LIBBPF_OPTS(bpf_link_create_opts, opts, .perf_event.bpf_cookie = cookie);
	int link = event_fd;

	if (way == UPROBE_LINK)
		link = bpf_link_create(program_fd, event_fd, BPF_PERF_EVENT, &opts);
	else if (ioctl(event_fd, PERF_EVENT_IOC_SET_BPF, program_fd))
		return -errno;
	if (link < 0)
		return -errno;
	if (!ioctl(event_fd, PERF_EVENT_IOC_ENABLE, 0))
		return link;
	if (link != event_fd)
		close(link);
	return -EIO;
}

/* Returns a descriptor, or negative errno. A link keeps its event. */
static int place_perf(enum uprobe_way way, int program_fd, const char *path,
		      const struct uprobe_place *place)
{
	int event = open_event(path, place->offset), fd;

	if (event < 0)
		return event;
	fd = attach(way, program_fd, event, place->cookie);
	if (fd != event)
		close(event);
	return fd;
}

struct uprobe *uprobes_place(enum uprobe_way way, int program_fd, int fd,
			     const struct uprobe_place *place, size_t count)
{
	struct uprobe *uprobe = calloc(1, sizeof(*uprobe));
	char path[64];

	if (!uprobe)
		return NULL;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (way == UPROBE_MULTI)
		uprobe->fd = create_multi(program_fd, path, place, count);
	else
		uprobe->fd = count == 1 ? place_perf(way, program_fd, path, place) : -EINVAL;
	if (uprobe->fd >= 0)
		return uprobe;
	errno = -uprobe->fd;
	free(uprobe);
	return NULL;
}

static void remove_one(struct uprobe *uprobe)
{
	if (!uprobe)
		return;
	close(uprobe->fd);
	free(uprobe);
}

struct removal {
	struct uprobe *const *uprobes;
	size_t count;
	atomic_size_t next;
};

static void *run(void *argument)
{
	struct removal *removal = argument;
	size_t i;

	while ((i = atomic_fetch_add(&removal->next, 1)) < removal->count)
		remove_one(removal->uprobes[i]);
	return NULL;
}

void uprobes_remove(struct uprobe *const *uprobes, size_t count)
{
	struct removal removal = {.uprobes = uprobes, .count = count};
	pthread_t thread[MAX_THREADS];
	size_t started = 0;

	/* This thread is one of them. Where no other can be made, it takes longer. */
	while (started < MAX_THREADS && started + 1 < count &&
	       !pthread_create(&thread[started], NULL, run, &removal))
		started++;
	run(&removal);
	while (started)
		pthread_join(thread[--started], NULL);
}
