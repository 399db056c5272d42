/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Strings that come from targets are bytes of unknown make: these bring them into a safe form. */
#ifndef GRADWATCH_BASE_STR_H
#define GRADWATCH_BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* snprintf that always ends the string; returns 0, or -ENAMETOOLONG when it was cut. */
int str_format(char *out, size_t size, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* The text, cut where it does not fit; always ends the string. */
void str_copy(char *out, size_t size, const char *text);

/*
 * Writes the bytes in[0..length) to out as printable UTF-8: control characters (C0, DEL, C1),
 * bidirectional overrides and bytes that are not UTF-8 become \xNN. Always ends the string; cuts
 * at a whole character. Returns the length written.
 */
size_t str_escape(char *out, size_t size, const char *in, size_t length);

/* The same bytes as valid UTF-8 for JSON: only what is not UTF-8 becomes U+FFFD. */
size_t str_to_utf8(char *out, size_t size, const char *in, size_t length);

/* What follows the last slash of a path, or all of it; the path's own memory. */
const char *str_base_name(const char *path);

/* Parses a whole decimal number; -EINVAL for anything else, -ERANGE outside [min, max]. */
int str_to_u64(const char *text, uint64_t min, uint64_t max, uint64_t *out);

#endif
