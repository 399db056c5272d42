/* SPDX-License-Identifier: GPL-2.0-or-later */
/* An allocator whose allocations fail when a test says so, also those of libraries. */
#ifndef GRADWATCH_TESTS_NO_MEMORY_H
#define GRADWATCH_TESTS_NO_MEMORY_H

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#define MANY_ALLOCATIONS 100000

static long countdown = -1; /* allocations that are left before one fails; -1: none fails */
static bool fail_all;       /* from that one on */
static bool failed;

#ifdef __SANITIZE_ADDRESS__
static const bool can_fail = false;
#else
static const bool can_fail = true;

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *memory, size_t size);

static bool fails_now(void)
{
	if (countdown < 0)
		return false;
	if (countdown) {
		countdown--;
		return false;
	}
	if (!fail_all)
		countdown = -1;
	failed = true;
	errno = ENOMEM;
	return true;
}

void *malloc(size_t size)
{
	return fails_now() ? NULL : __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
	return fails_now() ? NULL : __libc_calloc(count, size);
}

void *realloc(void *memory, size_t size)
{
	return fails_now() ? NULL : __libc_realloc(memory, size);
}
#endif

static void fail_at(long number, bool and_after)
{
	failed = false;
	fail_all = and_after;
	countdown = number;
}

/* Returns whether one has failed. */
static bool fail_no_more(void)
{
	countdown = -1;
	return failed;
}

/*
 * Does something with each allocation failing, until none is left to fail. Returns how many there
 * are; in sanitized builds, whose allocator is another, 0.
 */
static long with_failures(void (*something)(void *context), void *context)
{
	long number = 0;

	for (int and_after = 0; and_after <= 1; and_after++) {
		for (number = 0; number < MANY_ALLOCATIONS; number++) {
			fail_at(number, and_after);
			something(context);
			if (!fail_no_more())
				break;
		}
		assert_true(number < MANY_ALLOCATIONS);
	}
	return number;
}

__attribute__((unused)) static void require_failures(void)
{
	if (!can_fail)
		skip();
}

#endif
