/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A file that is there whole or not at all: it is written under another name, then renamed. */
#ifndef GRADWATCH_CLI_WHOLE_FILE_H
#define GRADWATCH_CLI_WHOLE_FILE_H

#include <stdio.h>
#include <sys/types.h>

struct whole_file {
	int folder;       /* the caller's; AT_FDCWD */
	const char *path; /* the caller's */
	char *temporary;
	FILE *stream;
};

/*
 * Opens what is to become the file; an older one is left as it is until then. A path that is there
 * and no regular file (a folder, a device, a symbolic link) is refused. -errno: why is logged.
 */
int whole_file_open(struct whole_file *file, int folder, const char *path, mode_t mode);

/* Ends it: with code 0 it is put in place, else (the error of writing it) removed. -errno: logged.
 */
int whole_file_close(struct whole_file *file, int code);

#endif
