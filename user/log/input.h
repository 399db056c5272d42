/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The bytes of a log file, plain or out of zstd or gzip. What cannot be decompressed is reported
 * with its place in the file; reading goes on at the next frame behind it.
 */
#ifndef GRADWATCH_LOG_INPUT_H
#define GRADWATCH_LOG_INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum input_form { INPUT_PLAIN, INPUT_ZSTD, INPUT_GZIP };

struct input {
	int fd;
	enum input_form form;
	void *stream;        /* the decompressor's */
	char *bytes;         /* of the file */
	size_t at, end;      /* of those that are not used yet */
	uint64_t position;   /* in the file, of bytes[0] */
	uint64_t frame;      /* where the frame begins that is read */
	bool in_frame;       /* it has begun */
	bool searching;      /* for the next frame */
	bool failed;         /* the frame is damaged behind the text that was given */
	bool unreadable;     /* a part of the file, which is not reported yet */
	bool ended;          /* there is no more in the file */
	uint64_t text;       /* bytes of text out of the frame so far */
	const char *problem; /* of input_read() */
	uint64_t where;      /* in the file */
	uint64_t missing;    /* bytes of the file there that cannot be read, 0: none */
};

/*
 * Of an open descriptor, which stays the caller's. name: its end says the form, or else the first
 * bytes do; NULL: only these. -ENOMEM.
 */
int input_open(struct input *input, int fd, const char *name);
void input_close(struct input *input);

/*
 * Up to size bytes of text; 0: there is no more. -EBADMSG: input->problem at input->where; what
 * comes next does not follow what came before. What a disk cannot read is such a damage, too, if
 * there is anything behind it. Other errors are the file's, and final.
 */
ssize_t input_read(struct input *input, char *text, size_t size);

#endif
