/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The BPF programs for the life of processes, and the maps, which they own. The programs in
 * libtorch's probes (probes.h) share them. All errors come with a line for people in *err.
 */
#ifndef GRADWATCH_PROBE_PROGRAMS_H
#define GRADWATCH_PROBE_PROGRAMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "gradwatch/abi.h"

struct programs;

struct programs_options {
	bool watch_all; /* probes of all processes count */
	uint32_t rate;  /* changes with their stacks per second and thread, 0: no limit */
	struct gw_policy policy;
	bool signals; /* see programs_signals() */
};

/* Loads the process programs and attaches them. */
int programs_open(struct programs **programs, const struct programs_options *options,
		  struct err *err);
void programs_close(struct programs *programs);

/* The ring buffer's map, for ring_buffer__new(). */
int programs_ring_fd(const struct programs *programs);

/* Adds a process to the watched ones; follow: its children too. */
int programs_watch(struct programs *programs, uint32_t pid, bool follow, struct err *err);
void programs_unwatch(struct programs *programs, uint32_t pid);
bool programs_is_watched(const struct programs *programs, uint32_t pid);

/* Any process of the map of watched ones (it leaves the map when it ends); false: none is left. */
bool programs_first_watched(const struct programs *programs, uint32_t *pid);

/* Signals that gradwatch and the command are sent from now on; stays valid while programs are open.
 */
const struct gw_signals *programs_signals(struct programs *programs, uint32_t own_pid,
					  uint32_t command_pid);

/* Gives BPF what it walks the Python stacks of a process by; children inherit it. -E2BIG: full.
 */
int programs_set_interpreter(struct programs *programs, uint32_t pid,
			     const struct gw_interpreter *interpreter);

/* Makes BPF act in a process, and gives it what that takes. -E2BIG: the map is full. */
int programs_enforce(struct programs *programs, uint32_t pid, const struct gw_enforced *process);

/* The same as it is now; -ENOENT: one does not act in it. */
int programs_enforced(const struct programs *programs, uint32_t pid, struct gw_enforced *process);

/* Counts something that did not fit, in the counter of that map (programs_counters()). */
void programs_count_full(struct programs *programs, enum gw_counter full);

/*
 * Removes what the two above have put there. BPF does so when a process ends; this is for one that
 * had ended before.
 */
void programs_forget(struct programs *programs, uint32_t pid);

/* What is decided of a trace; 0: forget it. What does not fit is counted. */
void programs_decide(struct programs *programs, uint64_t trace, uint8_t decision);

/* Whether a thread is still where it put a question. */
bool programs_is_asking(const struct programs *programs, uint32_t tid, uint64_t asked);

/* Whether BPF acts and asks at all; at first it does not. */
void programs_set_acting(struct programs *programs, bool acting);

/*
 * From here on the probes do nothing, so that what they cost is little while they are removed. It
 * is as if all were removed at the same moment.
 */
void programs_end_probes(struct programs *programs);

/* Answers a thread's question: its call goes on. */
void programs_let_go(struct programs *programs, uint32_t tid, uint64_t asked);

/*
 * Whether a thread has gone on after the violation for which its process was sent a signal, or
 * after a later one: asked is a time.
 */
bool programs_ran_on(const struct programs *programs, uint32_t tid, uint64_t asked);

/* The maps of processes that were stopped, by pid: struct gw_held, struct gw_answer. */
int programs_held_fd(const struct programs *programs);
int programs_answers_fd(const struct programs *programs);

/* The traces: next id after `previous` (0: the first); false at the end. */
bool programs_next_trace(const struct programs *programs, uint64_t previous, uint64_t *next);
bool programs_trace(const struct programs *programs, uint64_t id, struct gw_trace *trace);
void programs_forget_trace(const struct programs *programs, uint64_t id);

/* Sums the counters of all CPUs. */
int programs_counters(const struct programs *programs, uint64_t counter[GW_COUNTER_MAX]);

/* What programs_open() was given. */
const struct programs_options *programs_options(const struct programs *programs);

/* Before an object is loaded: its maps become those of the process programs. 0 or negative errno.
 */
struct bpf_object;
int programs_share_maps(const struct programs *programs, struct bpf_object *object);

#endif
