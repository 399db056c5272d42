/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The forms that pictures are made of. */
#ifndef GRADWATCH_REPORT_ENCODE_H
#define GRADWATCH_REPORT_ENCODE_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* A string of JSON, in quotes: any bytes, up to their NUL. -ENOMEM. */
int encode_string(FILE *stream, const char *text);

/* Compresses bytes with gzip; *packed is malloc'ed. -ENOMEM. */
int encode_gzip(const char *bytes, size_t size, unsigned char **packed, size_t *packed_size);

#endif
