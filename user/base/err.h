/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An error on its way to the edge: the negative errno that callers act on, and the one line that is
 * printed: what failed, why, and the fix.
 */
#ifndef GRADWATCH_BASE_ERR_H
#define GRADWATCH_BASE_ERR_H

struct err {
	int code;
	char text[1024];
};

/* Fills *err and returns code, so that `return err_set(...)` works. */
int err_set(struct err *err, int code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#endif
