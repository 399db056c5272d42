/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Why the kernel said no. EPERM alone sends people the wrong way: this looks for the cause. */
#ifndef GRADWATCH_PROBE_DIAGNOSE_H
#define GRADWATCH_PROBE_DIAGNOSE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

/* Fills err->text for a failure of `what` with code; looks at capabilities, lockdown, BTF and
 * uprobes. */
void diagnose_bpf(struct err *err, int code, const char *what);

/*
 * Names of the capabilities that gradwatch needs and this process lacks, comma-separated; an empty
 * string when none. Returns whether any is missing.
 */
bool diagnose_capabilities(char *missing, size_t size);

/*
 * kernel.perf_event_paranoid, 0 where it cannot be read. Values above 2 mean nothing upstream;
 * Debian's and Ubuntu's kernels then keep perf_event_open for CAP_SYS_ADMIN, whatever CAP_PERFMON
 * (Debian linux 6.12, debian/patches/features/all/
 * security-perf-allow-further-restriction-of-perf_event_open.patch).
 */
int diagnose_perf_event_paranoid(void);

/* Whether this process may send signals to those of other users (CAP_KILL). */
bool diagnose_can_signal(void);

/* "none", "integrity", "confidentiality", or "unknown" where the kernel does not show it. */
void diagnose_lockdown(char *mode, size_t size);

/*
 * Whether this process is in the initial pid namespace. BPF knows processes by their ids there, so
 * in another one a pid would name a stranger. (Linux include/linux/proc_ns.h: PROC_PID_INIT_INO.)
 */
bool diagnose_initial_pid_namespace(void);

/* Whether the clocks of this process are the kernel's own, as the times of records are. */
bool diagnose_initial_time_namespace(void);

/* Said where the kernel has no uprobes for perf events: such a kernel has no uprobe_multi either.
 */
#define NO_UPROBES                                                                                 \
	"this kernel has no uprobes (/sys/bus/event_source/devices/uprobe); use a kernel built "   \
	"with CONFIG_UPROBE_EVENTS"

/* Whether the kernel has them. */
bool diagnose_uprobes(void);

#endif
