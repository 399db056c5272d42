// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What registers and memory hold during a walk. Only whole addresses are tracked, and the lowest
 * bytes of what was loaded: everything else becomes unknown, which later is a doubt, never an
 * error.
 */
#include <string.h>

#include "base/str.h"
#include "inspect/walker.h"

struct value value_constant(int64_t number)
{
	return (struct value){.kind = VALUE_ADDRESS, .address.constant = number};
}

bool value_is_constant(const struct value *value, int64_t *number)
{
	if (value->kind != VALUE_ADDRESS || value->address.tls_slot || value->address.coefficient)
		return false;
	*number = value->address.constant;
	return true;
}

/* Sums are taken modulo 2^64, as the processor does; a hostile file may make any of them. */
static int64_t wrap_add(int64_t a, int64_t b)
{
	return (int64_t)((uint64_t)a + (uint64_t)b);
}

static int64_t wrap_multiply(int64_t a, int64_t b)
{
	return (int64_t)((uint64_t)a * (uint64_t)b);
}

static bool can_be_added(const struct value *value)
{
	return value->kind == VALUE_ADDRESS || value->kind == VALUE_DISTANCE;
}

struct value value_add(struct value a, struct value b)
{
	if (a.kind == VALUE_THREAD && b.kind == VALUE_DISTANCE) {
		b.kind = VALUE_ADDRESS;
		return b;
	}
	if (b.kind == VALUE_THREAD && a.kind == VALUE_DISTANCE)
		return value_add(b, a);
	if (!can_be_added(&a) || !can_be_added(&b) || (a.address.tls_slot && b.address.tls_slot))
		return (struct value){0};
	if (b.kind == VALUE_DISTANCE)
		a.kind = VALUE_DISTANCE;
	a.address.tls_slot |= b.address.tls_slot;
	a.address.constant = wrap_add(a.address.constant, b.address.constant);
	a.address.coefficient = wrap_add(a.address.coefficient, b.address.coefficient);
	return a;
}

struct value value_multiply(struct value a, int64_t factor)
{
	if (a.kind != VALUE_ADDRESS || (a.address.tls_slot && factor != 1))
		return (struct value){0};
	a.address.constant = wrap_multiply(a.address.constant, factor);
	a.address.coefficient = wrap_multiply(a.address.coefficient, factor);
	return a;
}

/*
 * Of an address nothing is left; a small multiple of the key is still that, as keys are small and
 * not negative.
 */
struct value value_lowest(struct value value, uint8_t size)
{
	struct code_address *address = &value.address;

	if (size == 8)
		return value;
	if (value.kind == VALUE_LOADED && size) {
		value.size = value.size < size ? value.size : size;
		return value;
	}
	if (value.kind != VALUE_ADDRESS || address->tls_slot || !size)
		return (struct value){0};
	if (!address->coefficient)
		address->constant &= (int64_t)(UINT64_MAX >> (64 - 8 * size));
	else if ((address->coefficient != 1 || address->constant) &&
		 (size < 4 || address->coefficient < 0 || address->coefficient > UINT16_MAX ||
		  address->constant < 0 || address->constant > UINT16_MAX))
		return (struct value){0};
	return value;
}

struct value value_signed(struct value value, uint8_t size)
{
	int64_t number, sign = (int64_t)1 << (8 * size - 1);

	if (size < 8 && value_is_constant(&value, &number))
		value.address.constant = (number ^ sign) - sign;
	return value;
}

struct value value_masked(struct value value, int64_t mask)
{
	if (value.kind != VALUE_LOADED || mask <= 0 || mask > UINT8_MAX)
		return (struct value){0};
	value.mask = (uint8_t)(mask & (value.mask ? value.mask : UINT8_MAX));
	return value.mask ? value : (struct value){0};
}

/* --- what is recorded --------------------------------------------------------------------------
 */

void walker_record(struct walker *walker, enum code_access_kind kind, const struct value *address,
		   uint8_t size, int64_t value)
{
	struct code_trace *trace = walker->trace;

	if (address->kind != VALUE_ADDRESS || !address->address.tls_slot ||
	    trace->count == CODE_MAX_ACCESSES || (walker->looking && kind < CODE_INITIAL))
		return;
	trace->access[trace->count++] = (struct code_access){
		.kind = kind,
		.size = size,
		.value = value,
		.address = address->address,
	};
}

struct value walker_load(struct walker *walker, const struct value *address, uint8_t size)
{
	walker_record(walker, CODE_LOAD, address, size, 0);
	if (address->kind != VALUE_ADDRESS)
		return (struct value){0};
	return (struct value){VALUE_LOADED, address->address, size, 0};
}

void walker_store(struct walker *walker, const struct value *address, uint8_t size,
		  const struct value *value)
{
	int64_t number = 0;

	walker_record(walker, CODE_STORE, address, size, 0);
	if (!walker->looking)
		return;
	if (value_is_constant(value, &number))
		walker_record(walker, CODE_INITIAL, address, size, number);
	else
		walker_record(walker, CODE_INITIAL_OTHER, address, size, 0);
}

void walker_unsure(struct walker *walker)
{
	if (walker->looking)
		walker->trace->unsure_initial = true;
	if (walker->looking || walker->trace->unsure)
		return;
	walker->trace->straight = walker->trace->count;
	walker->trace->unsure = true;
}

void walker_doubt(struct walker *walker, const char *why)
{
	if (!walker->trace->doubt[0])
		str_format(walker->trace->doubt, sizeof(walker->trace->doubt), "%s", why);
}
