/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Arrays that grow. */
#ifndef GRADWATCH_BASE_ARRAY_H
#define GRADWATCH_BASE_ARRAY_H

#include <stddef.h>

/*
 * Makes a malloc'ed array of *capacity elements of `size` bytes, `count` of them used, larger if it
 * is full. Returns the array, which may have moved. NULL: out of memory, and it is as it was. NULL
 * with a capacity of 0 is an empty one.
 */
void *array_grow(void *array, size_t count, size_t *capacity, size_t size);

#endif
