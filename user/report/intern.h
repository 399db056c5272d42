/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Numbers for byte strings: equal ones have one number, in order of arrival from 0 on. Bounded. */
#ifndef GRADWATCH_REPORT_INTERN_H
#define GRADWATCH_REPORT_INTERN_H

#include <stddef.h>
#include <stdint.h>

#define INTERN_NONE UINT32_MAX

struct intern_item;

/* Zeros but for the limits: an empty one. */
struct intern {
	struct intern_item *by_bytes, **item;
	size_t count, room;
	size_t bytes, bytes_max; /* of all */
	uint64_t refused;        /* times that there was no room */
};

void intern_free(struct intern *intern);

/* The number of bytes[0..size), which are copied. INTERN_NONE: no room, or no memory. */
uint32_t intern_add(struct intern *intern, const void *bytes, size_t size);

/* The bytes of a number, with a NUL behind them. */
const void *intern_at(const struct intern *intern, uint32_t number, size_t *size);

#endif
