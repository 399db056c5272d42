/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Uprobes: a BPF program at places in a file, for every process that maps it.
 *
 * Since 6.6 they are "uprobe_multi" links: one descriptor for all places of a program in a file,
 * and several links are removed at the same time. Those of perf events, which older kernels have,
 * are not: perf_uprobe_destroy() in kernel/trace/trace_event_perf.c waits for four grace periods
 * with a lock that all of them take, 0.2 s at best. Besides, a thread that hits a perf event's
 * uprobe which is being removed takes a lock for which the removal waits: 0.4 to 2 s where many
 * threads hit it without pause.
 */
#ifndef GRADWATCH_PROBE_UPROBES_H
#define GRADWATCH_PROBE_UPROBES_H

#include <bpf/libbpf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct uprobe;

/* Whether this kernel has uprobe_multi links. */
bool uprobes_have_multi(void);

/* Whether a program can ask for the cookie of the place that was hit (5.15). */
bool uprobes_have_cookies(void);

/* How uprobes are placed. */
enum uprobe_way {
	UPROBE_MULTI, /* uprobe_multi */
	UPROBE_LINK,  /* a perf event with a link, which has the cookie */
	UPROBE_EVENT, /* a perf event, without cookies */
};

/* Before the program is loaded: which way its uprobes will be placed. */
void uprobes_prepare(struct bpf_program *program, enum uprobe_way way);

struct uprobe_place {
	uint64_t offset; /* in the file */
	uint64_t cookie; /* 0 where the kernel has none */
};

#define UPROBE_MAX_PLACES 8 /* of one link */

/*
 * Places a program in the file behind fd, in the order of the places; a perf event has one place.
 * Takes one descriptor, and needs the program's no more. NULL: errno says why.
 */
struct uprobe *uprobes_place(enum uprobe_way way, int program_fd, int fd,
			     const struct uprobe_place *place, size_t count);

/* Removes several, NULL among them, at once. Waits until none of their programs runs any more. */
void uprobes_remove(struct uprobe *const *uprobes, size_t count);

#endif
