/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A set of numbers, as ranges: which records of a run there are (private to log/). */
#ifndef GRADWATCH_LOG_NUMBERS_H
#define GRADWATCH_LOG_NUMBERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct numbers_range {
	uint64_t first, last;
};

/* Zeros: none. Sorted, with numbers missing between two ranges. */
struct numbers {
	struct numbers_range *range; /* owned */
	size_t count, room;
};

void numbers_free(struct numbers *numbers);

/* 1: it is new; 0: it was there; -ENOMEM: it is not noted. */
int numbers_add(struct numbers *numbers, uint64_t number);

/* Adds all from first to last, which is not less. -ENOMEM. */
int numbers_add_range(struct numbers *numbers, uint64_t first, uint64_t last);

bool numbers_contain(const struct numbers *numbers, uint64_t number);

#endif
