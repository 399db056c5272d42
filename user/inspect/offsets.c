// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Nothing is believed on one function's word. The grad mode's byte is what GradMode::is_enabled
 * returns a bit of, and must be what GradMode::set_enabled stores to. The PROXY slot is what the
 * keyed functions index with the key; two of unset_mode, get_mode and set_mode must agree, and the
 * step must be the size of std::optional<std::shared_ptr>. The mode stack is the pair of pointers
 * whose difference stack_len computes and to whose second push_onto_stack goes. All must be in this
 * module's own thread-local block.
 *
 * Layouts: c10/core/GradMode.h, c10/core/AutogradState.h, c10/core/impl/TorchDispatchModeTLS.h of
 * PyTorch 1.13 - 2.14; libstdc++'s std::optional (value, then "engaged" byte) and std::vector
 * (begin, end).
 */
#include "inspect/offsets.h"

#include <errno.h>
#include <string.h>

#include "base/str.h"
#include "inspect/code.h"
#include "inspect/dispatch_key.h"

#define LOCAL_KEYS          "_ZN3c104impl26raw_local_dispatch_key_setE"

#define OPTIONAL_SHARED_PTR 24 /* sizeof(std::optional<std::shared_ptr<T>>) */
#define OPTIONAL_ENGAGED    16 /* its "engaged" byte */
#define VECTOR              24 /* sizeof(std::vector<T>) */

struct finder {
	const struct elf_image *image;
	struct inspect_plan *plan;
	struct code_trace trace; /* of the function looked at last */
};

static int doubt(struct finder *finder, const char *what)
{
	struct inspect_plan *plan = finder->plan;

	if (finder->trace.doubt[0])
		str_format(plan->doubt, sizeof(plan->doubt), "%s: %s", what, finder->trace.doubt);
	else
		str_format(plan->doubt, sizeof(plan->doubt), "%s", what);
	return -ENOTSUP;
}

/* Walks the function with this name; -ENOENT when the build has none. */
static int walk(struct finder *finder, const char *name, enum code_key key)
{
	struct elf_function function;
	int code;

	memset(&finder->trace, 0, sizeof(finder->trace));
	code = elf_image_function(finder->image, name, &function);
	return code ? code : code_walk(finder->image, function.address, key, &finder->trace);
}

static bool same_address(const struct code_address *a, const struct code_address *b)
{
	return a->tls_slot == b->tls_slot && a->constant == b->constant &&
	       a->coefficient == b->coefficient;
}

static const struct code_access *find_access(const struct code_trace *trace,
					     enum code_access_kind kind, uint8_t size,
					     const struct code_address *at)
{
	for (size_t i = 0; i < trace->count; i++)
		if (trace->access[i].kind == kind && trace->access[i].size == size &&
		    (!at || same_address(&trace->access[i].address, at)))
			return &trace->access[i];
	return NULL;
}

/* Turns an address into an offset of the block, within the block, for `size` bytes. */
static int to_offset(struct finder *finder, const struct code_address *address, int64_t plus,
		     uint32_t size, uint32_t *offset)
{
	struct gw_plan *abi = &finder->plan->abi;
	struct code_address at = *address;
	struct code_variable variable;
	uint64_t result;

	at.constant = (int64_t)((uint64_t)at.constant + (uint64_t)plus);
	if (at.coefficient || code_block_offset(finder->image, &at, &result, &variable) ||
	    variable.offset > finder->image->tls_size || variable.offset >= GW_NO_OFFSET ||
	    result > finder->image->tls_size || finder->image->tls_size - result < size ||
	    result >= GW_NO_OFFSET)
		return doubt(finder, "an offset lies outside this library's thread-local block");
	abi->tls_pair = at.tls_slot;
	abi->tls_variable = variable.is_described ? (uint32_t)variable.offset : GW_NO_OFFSET;
	*offset = (uint32_t)result;
	return 0;
}

/* The guard that the last walked function went by; none is fine: constant initialisation. */
static int guard_offset(struct finder *finder, uint32_t *offset)
{
	const struct code_access *guard = find_access(&finder->trace, CODE_GUARD, 1, NULL);

	*offset = GW_NO_OFFSET;
	if (!guard)
		return 0;
	for (size_t i = 0; i < finder->trace.count; i++)
		if (finder->trace.access[i].kind == CODE_GUARD &&
		    !same_address(&finder->trace.access[i].address, &guard->address))
			return doubt(finder, "there are several guards");
	return to_offset(finder, &guard->address, 0, 1, offset);
}

/* The same for the mode functions, which must all have the one guard. */
static int mode_guard_offset(struct finder *finder, bool first)
{
	uint32_t offset, *known = &finder->plan->abi.tls_mode_guard;
	int code = guard_offset(finder, &offset);

	if (!code && !first && offset != *known)
		return doubt(finder, "the mode functions have different guards");
	*known = offset;
	return code;
}

/* The byte as it is before anyone stores to it: by the guarded initialiser, or by the file. */
static bool initial_byte(const struct finder *finder, const struct code_address *at, int64_t *byte)
{
	const struct elf_image *image = finder->image;
	const struct gw_plan *abi = &finder->plan->abi;
	bool known = false;

	for (size_t i = 0; i < finder->trace.count; i++) {
		const struct code_access *access = &finder->trace.access[i];
		uint64_t into = (uint64_t)at->constant - (uint64_t)access->address.constant;

		if ((access->kind != CODE_INITIAL && access->kind != CODE_INITIAL_OTHER) ||
		    access->address.tls_slot != at->tls_slot || into >= access->size)
			continue;
		known = access->kind == CODE_INITIAL && into < 8 && !access->address.coefficient;
		*byte = known ? access->value >> (8 * into) : 0;
	}
	if (known)
		return !finder->trace.unsure_initial;
	if (abi->tls_grad_guard != GW_NO_OFFSET)
		return false;
	*byte = 0;
	if (abi->tls_grad >= image->tls_image_size)
		return true;
	if (image->tls_image > image->size || abi->tls_grad >= image->size - image->tls_image)
		return false;
	*byte = image->data[image->tls_image + abi->tls_grad];
	return true;
}

static int find_grad(struct finder *finder)
{
	struct gw_plan *abi = &finder->plan->abi;
	struct code_access grad;
	int64_t initial;
	int code;

	code = walk(finder, "_ZN3c108GradMode10is_enabledEv", CODE_KEY_NONE);
	if (code == -ENOENT)
		return doubt(finder, "GradMode::is_enabled is missing");
	grad = finder->trace.result;
	if (!finder->trace.result_loaded || grad.size != 1 || !grad.mask ||
	    (grad.mask & (grad.mask - 1)) || grad.address.coefficient)
		return doubt(finder, "GradMode::is_enabled does not return a bit of a "
				     "thread-local byte");
	abi->grad_mask = grad.mask;
	if (finder->trace.unsure)
		return doubt(finder, "GradMode::is_enabled does more than that");
	code = to_offset(finder, &grad.address, 0, 1, &abi->tls_grad);
	if (!code)
		code = guard_offset(finder, &abi->tls_grad_guard);
	if (code)
		return code;
	if (initial_byte(finder, &grad.address, &initial))
		abi->grad_default = !!(initial & grad.mask);
	walk(finder, "_ZN3c108GradMode11set_enabledEb", CODE_KEY_NONE);
	if (!find_access(&finder->trace, CODE_STORE, 1, &grad.address))
		return doubt(finder, "GradMode::set_enabled does not store where is_enabled reads");
	return 0;
}

/* The byte that a keyed function finds by its key, whichever path it takes then. */
static bool keyed_byte(const struct code_trace *trace, struct code_address *address)
{
	for (size_t i = 0; i < trace->straight; i++) {
		const struct code_access *access = &trace->access[i];

		if (access->size == 1 && access->address.coefficient &&
		    (access->kind == CODE_LOAD || access->kind == CODE_STORE)) {
			*address = access->address;
			return true;
		}
	}
	return false;
}

static int find_keyed(struct finder *finder)
{
	static const struct {
		const char *name;
		enum code_key key;
	} functions[] = {
		{OFFSETS_MODE_TLS "10unset_modeE*", CODE_KEY_ALONE},
		{OFFSETS_MODE_TLS "8get_modeE*", CODE_KEY_ALONE},
		{OFFSETS_MODE_TLS "8set_modeE*", CODE_KEY_SECOND},
	};
	struct gw_plan *abi = &finder->plan->abi;
	struct code_address flag = {0}, other;
	const int64_t proxy = GW_MODE_KEY_PROXY * OPTIONAL_SHARED_PTR;
	int agree = 0, code;

	for (size_t i = 0; i < sizeof(functions) / sizeof(functions[0]); i++) {
		if (walk(finder, functions[i].name, functions[i].key) ||
		    !keyed_byte(&finder->trace, &other))
			continue;
		if (!agree)
			flag = other;
		else if (!same_address(&flag, &other))
			return doubt(finder, "the keyed mode functions disagree");
		code = mode_guard_offset(finder, agree++ == 0);
		if (code)
			return code;
	}
	if (agree < 2 || flag.coefficient != OPTIONAL_SHARED_PTR)
		return doubt(finder, "the slot of a mode key was not found");
	flag.coefficient = 0;
	code = to_offset(finder, &flag, proxy, 1, &abi->tls_proxy_flag);
	if (!code)
		code = to_offset(finder, &flag, proxy - OPTIONAL_ENGAGED, 8, &abi->tls_proxy_slot);
	if (!code)
		code = to_offset(finder, &flag, proxy + OPTIONAL_SHARED_PTR, 1,
				 &abi->tls_functional_flag);
	return code;
}

/* Two adjacent pointers that are loaded, whichever path is taken: begin and end. Only one such. */
static const struct code_access *pointer_pair(const struct code_trace *trace)
{
	const struct code_access *pair = NULL;

	for (size_t i = 0; i < trace->straight; i++) {
		const struct code_access *begin = &trace->access[i];
		struct code_address end = begin->address;
		size_t j = 0;

		if (begin->kind != CODE_LOAD || begin->size != 8)
			continue;
		end.constant = (int64_t)((uint64_t)end.constant + 8);
		while (j < trace->straight &&
		       !(trace->access[j].kind == CODE_LOAD && trace->access[j].size == 8 &&
			 same_address(&trace->access[j].address, &end)))
			j++;
		if (j == trace->straight)
			continue;
		if (pair && !same_address(&pair->address, &begin->address))
			return NULL;
		pair = begin;
	}
	return pair;
}

static int find_stack(struct finder *finder)
{
	struct gw_plan *abi = &finder->plan->abi;
	const struct code_access *pair;
	struct code_address begin, end;
	int code;

	if (walk(finder, OFFSETS_MODE_TLS "9stack_lenE*", CODE_KEY_NONE))
		return doubt(finder, "TorchDispatchModeTLS::stack_len is missing");
	pair = pointer_pair(&finder->trace);
	if (!pair)
		return doubt(finder, "TorchDispatchModeTLS::stack_len does not subtract pointers");
	begin = end = pair->address;
	end.constant = (int64_t)((uint64_t)end.constant + 8);
	code = to_offset(finder, &begin, 0, 16, &abi->tls_stack);
	if (!code)
		code = mode_guard_offset(finder, true);
	if (code)
		return code;
	walk(finder, OFFSETS_MODE_TLS "15push_onto_stackE*", CODE_KEY_NONE);
	if (!find_access(&finder->trace, CODE_LOAD, 8, &end))
		return doubt(finder, "TorchDispatchModeTLS::push_onto_stack uses another stack");
	return mode_guard_offset(finder, false);
}

/*
 * Keyed builds have a stack as well, for the modes without a key. No verdict depends on it, so it
 * is left out if it is not where it should be: the first member, right before the slots.
 */
static void find_keyed_stack(struct finder *finder)
{
	struct gw_plan *abi = &finder->plan->abi;
	const struct code_access *pair;
	struct code_variable variable;
	uint64_t offset;

	if (walk(finder, OFFSETS_MODE_TLS "9stack_lenE*", CODE_KEY_NONE))
		return;
	pair = pointer_pair(&finder->trace);
	if (pair && !pair->address.coefficient &&
	    !code_block_offset(finder->image, &pair->address, &offset, &variable) &&
	    abi->tls_proxy_slot - offset == VECTOR + GW_MODE_KEY_PROXY * OPTIONAL_SHARED_PTR)
		abi->tls_stack = (uint32_t)offset;
}

/* Whether a function loads the word at this offset of the thread-local block. */
static bool loads_word(struct finder *finder, const char *name, uint64_t offset)
{
	struct code_variable variable;
	uint64_t at;

	if (walk(finder, name, CODE_KEY_NONE))
		return false;
	for (size_t i = 0; i < finder->trace.count; i++) {
		const struct code_access *access = &finder->trace.access[i];

		if (access->kind == CODE_LOAD && access->size == 8 &&
		    !access->address.coefficient &&
		    !code_block_offset(finder->image, &access->address, &at, &variable) &&
		    at == offset)
			return true;
	}
	return false;
}

/*
 * The set of included dispatch keys (c10/core/impl/LocalDispatchKeySet.h: PODLocalDispatchKeySet
 * begins with it), and the bit of PreDispatch. It is kept as the difference from a default, which
 * that key is not in. No verdict depends on it: where it is not found, there is no report of
 * pre-dispatch traces.
 */
static void find_pre_dispatch(struct finder *finder)
{
	struct gw_plan *abi = &finder->plan->abi;
	uint64_t offset;
	int bit = dispatch_key_bit(finder->image, "PreDispatch");

	if (bit < 0 || elf_image_tls(finder->image, LOCAL_KEYS, &offset) ||
	    !loads_word(finder, DISPATCH_KEY_INCLUDE, offset) || offset > finder->image->tls_size ||
	    finder->image->tls_size - offset < 8)
		return;
	abi->tls_included = (uint32_t)offset;
	abi->pre_dispatch_bit = (uint8_t)bit;
}

/* The smallest piece of the block that holds all that a probe reads. */
static int find_span(struct finder *finder)
{
	struct gw_plan *abi = &finder->plan->abi;
	const struct {
		uint32_t offset, size;
	} parts[] = {
		{abi->tls_grad, 1},       {abi->tls_grad_guard, 1},      {abi->tls_mode_guard, 1},
		{abi->tls_proxy_flag, 1}, {abi->tls_functional_flag, 1}, {abi->tls_proxy_slot, 8},
		{abi->tls_stack, 16},     {abi->tls_included, 8},
	};
	uint32_t start = GW_NO_OFFSET, end = 0;

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		if (parts[i].offset == GW_NO_OFFSET)
			continue;
		if (parts[i].offset < start)
			start = parts[i].offset;
		if (parts[i].offset + parts[i].size > end)
			end = parts[i].offset + parts[i].size;
	}
	if (end - start > GW_SPAN_MAX && abi->tls_included != GW_NO_OFFSET) {
		abi->tls_included = GW_NO_OFFSET; /* what one can do without goes first */
		return find_span(finder);
	}
	if (end - start > GW_SPAN_MAX && abi->mode_api == GW_MODES_KEYED &&
	    abi->tls_stack != GW_NO_OFFSET) {
		abi->tls_stack = GW_NO_OFFSET; /* and this next */
		return find_span(finder);
	}
	if (end - start > GW_SPAN_MAX)
		return doubt(finder, "the thread-local state is spread too wide");
	abi->tls_span = start;
	abi->tls_span_size = end - start;
	return 0;
}

int offsets_find(const struct elf_image *image, struct inspect_plan *plan)
{
	struct finder finder = {.image = image, .plan = plan};
	struct gw_plan *abi = &plan->abi;
	int code;

	abi->tls_grad = abi->tls_grad_guard = abi->tls_mode_guard = GW_NO_OFFSET;
	abi->tls_proxy_flag = abi->tls_proxy_slot = abi->tls_functional_flag = GW_NO_OFFSET;
	abi->tls_stack = abi->tls_included = abi->tls_variable = GW_NO_OFFSET;
	abi->grad_default = 1;
	code = find_grad(&finder);
	if (!code && abi->mode_api == GW_MODES_KEYED)
		code = find_keyed(&finder);
	else if (!code && abi->mode_api == GW_MODES_STACK)
		code = find_stack(&finder);
	else if (!code)
		code = doubt(&finder, "the functions that push and pop dispatch modes are missing");
	if (!code && abi->mode_api == GW_MODES_KEYED)
		find_keyed_stack(&finder);
	if (!code)
		find_pre_dispatch(&finder);
	if (!code)
		code = find_span(&finder);
	abi->certain = !code;
	return code == -ENOMEM ? code : 0;
}
