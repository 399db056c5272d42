/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Makes processes ready to be acted in: gives them to BPF, finds the Python binding of the setter
 * in the file that they map, and where in them an exception can be raised.
 */
#ifndef GRADWATCH_ENFORCE_ARMING_H
#define GRADWATCH_ENFORCE_ARMING_H

#include "enforce/policy.h"
#include "enforce/raise.h"
#include "watch/discover.h"

struct arming;

/* Both stay the caller's. NULL when out of memory; free is NULL-safe. */
struct arming *arming_new(const struct enforce_policy *policy, struct discover *discover);
void arming_free(struct arming *arming);

/*
 * A watched process maps a probed library. May be called again: then what was missing is looked
 * for. 0, or a negative errno when something is short, which it may not be later.
 */
int arming_process(struct arming *arming, struct process *process, struct library *library,
		   const struct process_file *file, const struct mapped *mapped);

/* Forgets what is known of a process that has ended. */
void arming_forget(struct arming *arming, uint32_t pid);

/* Where calls of the binding raise in a process. A negative errno and the cause when they cannot.
 */
int arming_place(struct arming *arming, uint32_t pid, uint64_t start_time,
		 struct raise_place *place, char *reason, size_t reason_size);

/*
 * Writes into a process what BPF lets calls raise with, and gives BPF the addresses. Where that
 * fails, user space is asked at each call.
 */
void arming_prepare(struct arming *arming, uint32_t pid, uint64_t start_time);

#endif
