// SPDX-License-Identifier: GPL-2.0-or-later
#include "log/numbers.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"

void numbers_free(struct numbers *numbers)
{
	free(numbers->range);
	*numbers = (struct numbers){0};
}

/* The first range that does not end before the number. */
static size_t find(const struct numbers *numbers, uint64_t number)
{
	size_t low = 0, high = numbers->range ? numbers->count : 0;

	/* Records come in order: mostly it is behind the last one. */
	if (high && numbers->range[high - 1].last < number)
		return high;
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (numbers->range[middle].last < number)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

bool numbers_contain(const struct numbers *numbers, uint64_t number)
{
	size_t at = find(numbers, number);

	return numbers->range && at < numbers->count && numbers->range[at].first <= number;
}

static int insert(struct numbers *numbers, size_t at, struct numbers_range range)
{
	struct numbers_range *grown = array_grow(numbers->range, numbers->count, &numbers->room,
						 sizeof(*grown));

	if (!grown)
		return -ENOMEM;
	numbers->range = grown;
	memmove(numbers->range + at + 1, numbers->range + at,
		(numbers->count - at) * sizeof(*numbers->range));
	numbers->range[at] = range;
	numbers->count++;
	return 0;
}

int numbers_add_range(struct numbers *numbers, uint64_t first, uint64_t last)
{
	/* Those that it touches become one with it. */
	size_t from = find(numbers, first ? first - 1 : 0), to = from;
	struct numbers_range *range = numbers->range;

	while (range && to < numbers->count && (last == UINT64_MAX || range[to].first <= last + 1))
		to++;
	if (!range || from == to)
		return insert(numbers, from, (struct numbers_range){first, last});
	if (range[from].first > first)
		range[from].first = first;
	if (range[to - 1].last > last)
		last = range[to - 1].last;
	if (range[from].last < last)
		range[from].last = last;
	memmove(range + from + 1, range + to, (numbers->count - to) * sizeof(*range));
	numbers->count -= to - from - 1;
	return 0;
}

int numbers_add(struct numbers *numbers, uint64_t number)
{
	struct numbers_range *last = numbers->count ? &numbers->range[numbers->count - 1] : NULL;
	int code;

	if (last && last->last + 1 == number) {
		last->last = number;
		return 1;
	}
	if (numbers_contain(numbers, number))
		return 0;
	code = numbers_add_range(numbers, number, number);
	return code ? code : 1;
}
