// SPDX-License-Identifier: GPL-2.0-or-later
#include "watch/selftest.h"

#include <asm/ptrace.h>
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/bpf.h>
#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/clock.h"
#include "probe/diagnose.h"
#include "watch/mappings.h"
#include "probe/probes.h"
#include "probe/programs.h"

#define CALLS 1000

#if defined(__x86_64__)
#define INSTRUCTION_POINTER offsetof(struct pt_regs, rip)
#else
#define INSTRUCTION_POINTER offsetof(struct user_pt_regs, pc)
#endif

/* Probed by the test below. `push` first, as in libtorch's setter, since the kernel emulates it. */
#if defined(__x86_64__)
__attribute__((naked, noinline, used)) static void probed(void)
{
	__asm__ volatile("push %rbx; pop %rbx; ret");
}
#else
__attribute__((noinline, used)) static void probed(void)
{
	__asm__ volatile("" ::: "memory");
}
#endif

int selftest_ring(struct err *err)
{
	const uint32_t page = (uint32_t)sysconf(_SC_PAGESIZE);
	int fd = bpf_map_create(BPF_MAP_TYPE_RINGBUF, "gw_selftest", 0, 0, page, NULL);

	if (fd < 0) {
		diagnose_bpf(err, fd, "making a ring buffer");
		return fd;
	}
	close(fd);
	return 0;
}

struct seen {
	bool self;
};

static void on_mapped(void *context, uint32_t pid, uint64_t time)
{
	(void)time;
	((struct seen *)context)->self |= pid == (uint32_t)getpid();
}

static void on_lost(void *context, uint64_t count)
{
	(void)context;
	(void)count;
}

/* Maps a file whose name makes it a candidate, executable, and unmaps it. */
static int map_candidate(void)
{
	char path[] = "/tmp/gradwatch-c10-XXXXXX";
	int fd = mkstemp(path);
	void *address;

	if (fd < 0)
		return -errno;
	unlink(path);
	if (ftruncate(fd, 4096)) {
		close(fd);
		return -errno;
	}
	address = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);
	close(fd);
	if (address == MAP_FAILED)
		return -errno;
	munmap(address, 4096);
	return 0;
}

int selftest_mappings(struct err *err)
{
	struct seen seen = {false};
	const struct mappings_handler handler = {on_mapped, on_lost, &seen};
	struct mappings *mappings;
	int code = mappings_open(&mappings, &handler, err);

	if (code)
		return code;
	code = map_candidate();
	/* Other processes' records may come first; that ours wakes us is part of the test. */
	for (int tries = 0; !code && !seen.self && tries < 20; tries++) {
		struct pollfd ready = {.fd = mappings_fd(mappings), .events = POLLIN};

		if (poll(&ready, 1, 200) != 1)
			break;
		code = mappings_read(mappings);
	}
	mappings_close(mappings);
	if (code)
		return err_set(err, code, "listening for new mappings: %s", strerror(-code));
	if (!seen.self)
		return err_set(err, -ETIMEDOUT,
			       "listening for new mappings: no record came; libraries loaded after "
			       "the start would be missed");
	return 0;
}

int selftest_programs(struct err *err)
{
	struct programs *programs;
	int code = programs_open(&programs, &(struct programs_options){0}, err);

	if (!code)
		programs_close(programs);
	return code;
}

/* Where in this program's file an address of its code is. */
static int file_offset(uint64_t address, uint64_t *offset)
{
	char line[512];
	FILE *maps = fopen("/proc/self/maps", "re");
	uint64_t start, end, at;
	int code = -ENOENT;

	if (!maps)
		return -errno;
	while (code && fgets(line, sizeof(line), maps)) {
		if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %*s %" SCNx64, &start, &end, &at) != 3)
			continue;
		if (address >= start && address < end) {
			*offset = address - start + at;
			code = 0;
		}
	}
	fclose(maps);
	return code;
}

static uint64_t call_probed(void)
{
	uint64_t start = clock_monotonic();

	for (int i = 0; i < CALLS; i++)
		probed();
	return clock_monotonic() - start;
}

/* Hits of the probe in `calls` calls, with their time. */
static int count_hits(struct programs *programs, const struct inspect_plan *plan, int fd,
		      uint64_t *hits, uint64_t *elapsed, const char **way, struct err *err)
{
	uint64_t counter[GW_COUNTER_MAX];
	struct plans *plans = plans_new(programs);
	struct probes *probes = NULL;
	unsigned int placed;
	int code = plans ? programs_watch(programs, (uint32_t)getpid(), false, err)
			 : err_set(err, -ENOMEM, "out of memory");

	if (!code)
		code = probes_open(&probes, plans, plan, 0, fd, &placed, err);
	if (!code)
		*elapsed = call_probed();
	probes_close(probes);
	if (plans)
		*way = plans_attach_type(plans);
	plans_free(plans);
	if (code)
		return code;
	code = programs_counters(programs, counter);
	if (code)
		return err_set(err, code, "reading counters: %s", strerror(-code));
	*hits = counter[GW_HITS];
	return 0;
}

int selftest_uprobe(uint64_t *ns_per_hit, const char **way, struct err *err)
{
	struct inspect_plan plan = {0};
	struct programs *programs;
	uint64_t hits = 0, bare, elapsed = 0;
	int fd, code;

	plan.abi.site_address[GW_SITE_SET_ENABLED] = 1; /* any: no thread-local state is read */
	code = file_offset((uint64_t)(uintptr_t)probed,
			   &plan.site[GW_SITE_SET_ENABLED].file_offset);
	if (code)
		return err_set(err, code, "finding a function to probe: %s", strerror(-code));
	code = programs_open(&programs, &(struct programs_options){0}, err);
	if (code)
		return code;
	bare = call_probed();
	fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	code = count_hits(programs, &plan, fd, &hits, &elapsed, way, err);
	close(fd);
	programs_close(programs);
	if (!code && hits != CALLS)
		code = err_set(err, -EIO, "probing a function: %" PRIu64 " of %d calls were seen",
			       hits, CALLS);
	*ns_per_hit = elapsed > bare ? (elapsed - bare) / CALLS : 0;
	return code;
}

void selftest_newer(char *text, size_t size)
{
	static const struct {
		const char *name;
		int helper;       /* which the programs of probes could call */
		const char *type; /* or a type of the kernel that shows it */
		int kind;
	} parts[] = {
		{"bpf_loop", BPF_FUNC_loop, NULL, 0},
		{"BPF cookies", BPF_FUNC_get_attach_cookie, NULL, 0},
		{"task storage", BPF_FUNC_task_storage_get, NULL, 0},
		{"uprobe_multi", 0, "bpf_uprobe_multi_link", BTF_KIND_STRUCT},
		{"VMA iterators", 0, "bpf_iter_task_vma_new", BTF_KIND_FUNC},
	};
	struct btf *types = btf__load_vmlinux_btf();
	size_t used = 0;

	text[0] = '\0';
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		bool has = parts[i].type
				   ? types && btf__find_by_name_kind(types, parts[i].type,
								     (uint32_t)parts[i].kind) > 0
				   : libbpf_probe_bpf_helper(BPF_PROG_TYPE_KPROBE, parts[i].helper,
							     NULL) == 1;

		used += (size_t)snprintf(text + used, used < size ? size - used : 0, "%s%s: %s",
					 i ? ", " : "", parts[i].name, has ? "yes" : "no");
	}
	btf__free(types);
}

int selftest_registers(struct err *err)
{
	/* ctx->ip = 0; return 0 */
	const struct bpf_insn code[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0},
		{.code = BPF_STX | BPF_MEM | BPF_DW,
		 .dst_reg = BPF_REG_1,
		 .src_reg = BPF_REG_0,
		 .off = INSTRUCTION_POINTER},
		{.code = BPF_JMP | BPF_EXIT},
	};
	int fd = bpf_prog_load(BPF_PROG_TYPE_KPROBE, "registers", "GPL", code,
			       sizeof(code) / sizeof(code[0]), NULL);

	if (fd < 0)
		return err_set(err, -errno, "this kernel's uprobes cannot write registers");
	close(fd);
	return 0;
}
