/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Enforcement: what BPF asks is answered here, and what was done is verified and reported.
 *
 * The ways, from the probe to the outcome:
 *   hold    the process is stopped by BPF at the setter; it is held till it is let go
 *   raise   stopped by BPF at the Python binding; the thread is made to raise, then it goes on
 *   signal  sent by BPF at the setter, or, while the kind of the trace is not known yet, from here,
 *           after BPF has stopped the process; then it is watched whether that ends it
 * A process that was stopped and is not to be acted in goes on at once. Nobody goes on before all
 * its threads stand still and all questions of them were taken: SIGCONT would take back a stop that
 * another thread has just asked for.
 */
#ifndef GRADWATCH_ENFORCE_ENFORCE_H
#define GRADWATCH_ENFORCE_ENFORCE_H

#include "enforce/policy.h"
#include "watch/actor.h"

struct enforce;

/* policy stays the caller's. NULL when out of memory; free is NULL-safe. */
struct enforce *enforce_new(const struct enforce_policy *policy);
void enforce_free(struct enforce *enforce);

/* What the loop is given. */
void enforce_actor(struct enforce *enforce, struct watch_actor *actor);

#endif
