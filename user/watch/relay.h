/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Signals for gradwatch that its command has to get as well.
 *
 * The command is in gradwatch's process group, so that Ctrl-C, job control and `kill -- -PGID`
 * reach it by themselves. Only what gradwatch alone was sent is passed on, and a signal does not
 * say which of the two it is: si_code and si_pid are the same. (sudo passes on what was sent from
 * outside its process group, so a supervisor's kill of the group arrives twice.) So BPF notes
 * who sends signals to either process, and one that both have got from the same sender, within
 * RELAY_NS, is not passed on. It is waited for that long, since timeout(1), systemd and pkill send
 * to one after the other.
 */
#ifndef GRADWATCH_WATCH_RELAY_H
#define GRADWATCH_WATCH_RELAY_H

#include <stdint.h>

#include "gradwatch/abi.h"

#define RELAY_NS 50000000ull

struct relay {
	const struct gw_signals *signals; /* as BPF notes them */
	uint64_t due[GW_MAX_SIGNALS];     /* when to decide, 0: nothing to decide */
};

/* Takes in a signal that gradwatch has got. */
void relay_take(struct relay *relay, uint32_t number, uint64_t now);

/* A signal that is to be passed on now; 0: none. */
uint32_t relay_next(struct relay *relay, uint64_t now);

/* When relay_next() is to be called, ns; 0: not as things are. */
uint64_t relay_due(const struct relay *relay);

#endif
