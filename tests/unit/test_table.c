// SPDX-License-Identifier: GPL-2.0-or-later
/* user/base/table: bounded, by key, and in an order. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/table.h"
#include "no_memory.h"

#define CAPACITY 50

struct number {
	struct table_item item;
	uint64_t value;
};

static struct number *find(const struct table *table, uint64_t value)
{
	return (struct number *)table_find(table, &value, sizeof(value));
}

static int add(struct table *table, uint64_t value)
{
	struct number *number = calloc(1, sizeof(*number));
	int code;

	if (!number)
		return -ENOMEM;
	number->value = value;
	code = table_add(table, &number->item, &number->value, sizeof(number->value));
	if (code)
		free(number);
	return code;
}

static void empty(struct table *table)
{
	struct table_item *item;

	while ((item = table_pop(table)))
		free(item);
	assert_int_equal(table_count(table), 0);
	assert_null(table->oldest);
}

static void test_bounded(void **state)
{
	struct table table = {.capacity = CAPACITY};

	(void)state;
	for (int round = 0; round < 2; round++) {
		for (uint64_t value = 0; value < CAPACITY; value++) {
			assert_null(table_surplus(&table));
			assert_int_equal(add(&table, value), 0);
		}
		assert_int_equal(add(&table, CAPACITY), -ENOSPC);
		assert_int_equal(table_count(&table), CAPACITY);
		assert_ptr_equal(table_surplus(&table), find(&table, 0));
		assert_null(find(&table, CAPACITY));
		empty(&table);
	}
}

static void test_order(void **state)
{
	static const uint64_t expected[] = {3, 4, 0, 2};
	struct table table = {.capacity = CAPACITY};
	struct number *middle;
	size_t count = 0;

	(void)state;
	for (uint64_t value = 0; value < 5; value++)
		assert_int_equal(add(&table, value), 0);
	table_touch(&table, &find(&table, 0)->item); /* the oldest */
	table_touch(&table, &find(&table, 0)->item); /* the youngest */
	table_touch(&table, &find(&table, 2)->item);
	middle = find(&table, 1);
	table_remove(&table, &middle->item);
	free(middle);
	for (struct table_item *item = table.oldest; item; item = item->next)
		assert_int_equal(((struct number *)item)->value, expected[count++]);
	assert_int_equal(count, 4);
	empty(&table);
}

/* Without memory an item is not added, and the table is as before. */
static void fill(void *context)
{
	struct table table = {.capacity = 10 * CAPACITY};
	size_t count = 0;

	(void)context;
	for (uint64_t value = 0; value < 10 * CAPACITY; value++) {
		int code = add(&table, value);

		assert_true(!code || code == -ENOMEM);
		count += !code;
		assert_true(!code == !!find(&table, value));
	}
	assert_int_equal(table_count(&table), count);
	empty(&table);
}

static void test_no_memory(void **state)
{
	(void)state;
	require_failures();
	with_failures(fill, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bounded),
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
