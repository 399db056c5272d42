/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef GRADWATCH_INSPECT_FILE_H
#define GRADWATCH_INSPECT_FILE_H

#include <stddef.h>

/*
 * Reads a whole file, regular and of bounded size, into *data (malloc'ed, the caller's).
 * 0, or -ENOEXEC, -EFBIG, -ENOMEM or the errno of a system call, with the cause in reason.
 * A copy, not a mapping: whoever may write the file could cut it off under our eyes.
 */
int inspect_file_read(int fd, char **data, size_t *size, char *reason, size_t reason_size);

#endif
