/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Uprobes: a BPF program at a place in a file, for every process that maps it.
 *
 * Since 6.6 they are "uprobe_multi" links (here with one place each), which are removed at the same
 * time. Those of perf events, which older kernels have, are not: perf_uprobe_destroy() in
 * kernel/trace/trace_event_perf.c waits for four grace periods with a lock that all of them take,
 * 0.2 s at best. Besides, a thread that hits a perf event's uprobe which is being removed takes a
 * lock for which the removal waits: 0.4 to 2 s where many threads hit it without pause.
 */
#ifndef GRADWATCH_WATCH_UPROBES_H
#define GRADWATCH_WATCH_UPROBES_H

#include <bpf/libbpf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct uprobe;

/* Whether this kernel has uprobe_multi links. */
bool uprobes_have_multi(void);

/* Before the program is loaded: which of the two its uprobes will be. */
void uprobes_prepare(struct bpf_program *program, bool multi);

/* Places a program at an offset of the file behind fd. NULL: errno says why. */
struct uprobe *uprobes_place(const struct bpf_program *program, int fd, uint64_t offset);

/* Removes several, NULL among them, at once. Waits until none of their programs runs any more. */
void uprobes_remove(struct uprobe *const *uprobes, size_t count);

#endif
