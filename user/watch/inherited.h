/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What gradwatch was given by its parent and changes for itself: the blocked and the ignored
 * signals, the nice value, and how many descriptors it may have. The command of `-- CMD` gets them
 * as they were given.
 */
#ifndef GRADWATCH_WATCH_INHERITED_H
#define GRADWATCH_WATCH_INHERITED_H

#include <stdbool.h>
#include <stdint.h>

/*
 * The first thing in main(). Notes what was given, and sets SIGCHLD to its default: a parent that
 * ignores it would have the kernel reap the command, and its status would be lost.
 */
void inherited_take(void);

/* Whether a signal was ignored when gradwatch was started. */
bool inherited_ignores(int signal);

/* Sets the nice value of all of gradwatch's threads, if that raises their priority. */
void inherited_raise_priority(int nice);

/* The calling thread has the highest priority for a short time, until it is called with false. */
void inherited_hurry(bool hurry);

/* As many descriptors as the hard limit allows. Returns how many. */
uint64_t inherited_allow_descriptors(void);

/* In the child: all as it was given. */
void inherited_restore(void);

#endif
