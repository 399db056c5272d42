/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Whose turn it is in a queue that many users have entries in: round robin by user id, so that an
 * entry waits for at most one entry of each other user, and for those of its own user before it.
 */
#ifndef GRADWATCH_BASE_FAIR_H
#define GRADWATCH_BASE_FAIR_H

#include <stdint.h>

/*
 * The distance of a user from the one served last, going up and starting again at 0: the entry with
 * the least distance is next, of several the one that came first.
 */
static inline uint32_t fair_distance(uint32_t uid, uint32_t last)
{
	return uid - last - 1;
}

#endif
