/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Does what watching does, on gradwatch itself: what a kernel can is found out by doing it. */
#ifndef GRADWATCH_WATCH_SELFTEST_H
#define GRADWATCH_WATCH_SELFTEST_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* Each returns 0, or a negative errno with the cause and the fix in *err. */

/* Makes a ring buffer. */
int selftest_ring(struct err *err);

/* Opens the records of new mappings, maps a file and waits for its record. */
int selftest_mappings(struct err *err);

/* Loads the programs of process life and attaches them. */
int selftest_programs(struct err *err);

/* Loads a program that writes a register of what it probes. */
int selftest_registers(struct err *err);

/*
 * What newer kernels have that gradwatch does without: "bpf_loop: no, BPF cookies: yes, ...".
 * Helpers are found by loading a program that calls them, the rest by the kernel's types.
 */
void selftest_newer(char *text, size_t size);

/*
 * Probes a function of this very program, calls it and counts the hits. *ns_per_hit: what a hit
 * costs at an instruction that this kernel emulates; *way: how it was probed, as in
 * plans_attach_type().
 */
int selftest_uprobe(uint64_t *ns_per_hit, const char **way, struct err *err);

#endif
