/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Notices that a probed file is written to. The kernel places the breakpoints of a probe at their
 * offsets in whatever the file has there by then: in new code they would be in the middle of other
 * instructions. Writes through a shared mapping are not seen.
 */
#ifndef GRADWATCH_TARGET_REWRITES_H
#define GRADWATCH_TARGET_REWRITES_H

/* A descriptor that is readable when there are rewrites to read; negative errno. */
int rewrites_open(void);

/* Has writes to the file behind file_fd noticed. Returns a number for it, or negative errno. */
int rewrites_add(int fd, int file_fd);

/* Has writes not noticed any more. */
void rewrites_remove(int fd, int number);

/* Calls written for each write, with the file's number; -1: some are unknown, it may be any. */
void rewrites_read(int fd, void (*written)(void *context, int number), void *context);

#endif
