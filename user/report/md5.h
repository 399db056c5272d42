/* SPDX-License-Identifier: GPL-2.0-or-later */
/* MD5 (RFC 1321): TORCH_TRACE logs name the payload of a record by it. Not for safety. */
#ifndef GRADWATCH_REPORT_MD5_H
#define GRADWATCH_REPORT_MD5_H

#include <stddef.h>

#define MD5_TEXT_SIZE 33

/* The digest of bytes[0..size) as 32 hexadecimal digits and a NUL. */
void md5_text(char out[MD5_TEXT_SIZE], const char *bytes, size_t size);

#endif
