// SPDX-License-Identifier: GPL-2.0-or-later
#include "base/array.h"

#include <stdlib.h>

#define MORE 64 /* elements at first */

void *array_grow(void *array, size_t count, size_t *capacity, size_t size)
{
	size_t larger = 2 * *capacity + MORE;
	void *grown;

	if (count < *capacity)
		return array;
	grown = reallocarray(array, larger, size);
	if (grown)
		*capacity = larger;
	return grown;
}
