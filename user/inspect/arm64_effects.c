// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What AArch64 instructions do that neither jump nor call. Some are computed; of all the others
 * every register that they name is taken as written.
 */
#include <string.h>

#include "inspect/arm64.h"

#define BITS(word, low, count) ((word) >> (low) & ((1u << (count)) - 1))

/* mrs xN, tpidr_el0: Arm ARM, C6.2 MRS, and D17 for the register's encoding. */
#define MRS_THREAD_POINTER      0xd53bd040u
#define MRS_THREAD_POINTER_MASK 0xffffffe0u

#define MOVE_WIDE               0x12800000u /* movn, movz, movk */
#define MOVE_WIDE_MASK          0x1f800000u

/* Groups of encodings. */
#define VECTORS       0x0e000000u /* what computes */
#define VECTORS_MASK  0x0e000000u
#define MEMORY        0x08000000u
#define MEMORY_MASK   0x0a000000u
#define MEMORY_VECTOR 0x04000000u
#define LITERAL       0x18000000u
#define LITERAL_MASK  0x3b000000u
#define LD64B         0xf83fd000u
#define LD64B_MASK    0xfffffc00u

#define KEY_BITS      8 /* of TorchDispatchModeKey, int8_t */

/* Bytes that a load or store of one register moves; 0: by the register's size. */
static uint8_t size_of(unsigned int id)
{
	switch (id) {
	case ARM64_INS_LDRB:
	case ARM64_INS_LDURB:
	case ARM64_INS_LDRSB:
	case ARM64_INS_LDURSB:
	case ARM64_INS_STRB:
	case ARM64_INS_STURB:
		return 1;
	case ARM64_INS_LDRH:
	case ARM64_INS_LDURH:
	case ARM64_INS_LDRSH:
	case ARM64_INS_LDURSH:
	case ARM64_INS_STRH:
	case ARM64_INS_STURH:
		return 2;
	case ARM64_INS_LDRSW:
	case ARM64_INS_LDURSW:
		return 4;
	default:
		return 0;
	}
}

/* The base of a pre- or post-indexed access moves. */
static void move_base(struct walker *walker, const cs_arm64_op *memory)
{
	if (memory->type == ARM64_OP_MEM && walker->insn->detail->arm64.writeback)
		arm64_set(walker, memory->mem.base, (struct value){0});
}

static void load(struct walker *walker, const cs_arm64_op *to, const cs_arm64_op *memory)
{
	struct value address = arm64_address(walker, memory), value;
	uint8_t size = size_of(walker->insn->id);

	value = walker_load(walker, &address, size ? size : arm64_size(to->reg));
	move_base(walker, memory);
	arm64_set(walker, to->reg, value);
}

static void store(struct walker *walker, const cs_arm64_op *from, const cs_arm64_op *memory)
{
	struct value address = arm64_address(walker, memory);
	struct value value = arm64_register(walker, from->reg);
	uint8_t size = size_of(walker->insn->id);

	walker_store(walker, &address, size ? size : arm64_size(from->reg), &value);
	move_base(walker, memory);
}

/* Two registers, next to each other in memory. */
static void move_pair(struct walker *walker, const cs_arm64_op *a, const cs_arm64_op *b,
		      const cs_arm64_op *memory, bool is_load)
{
	const cs_arm64_op *both[] = {a, b};
	struct value address = arm64_address(walker, memory), value[2];
	uint8_t size = arm64_size(a->reg);

	for (int i = 0; i < 2; i++) {
		value[i] = arm64_register(walker, both[i]->reg);
		if (is_load)
			value[i] = walker_load(walker, &address, size);
		else
			walker_store(walker, &address, size, &value[i]);
		address = value_add(address, value_constant(size));
	}
	move_base(walker, memory);
	for (int i = 0; is_load && i < 2; i++)
		arm64_set(walker, both[i]->reg, value[i]);
}

static struct value product(const struct walker *walker, struct value a, struct value b)
{
	int64_t factor;

	if (walker->insn->id == ARM64_INS_SMULL || walker->insn->id == ARM64_INS_SMADDL) {
		a = value_signed(a, 4);
		b = value_signed(b, 4);
	}
	if (value_is_constant(&b, &factor))
		return value_multiply(a, factor);
	return value_is_constant(&a, &factor) ? value_multiply(b, factor) : (struct value){0};
}

/*
 * What was loaded, and a mask. Where its bits have moved since is not kept: a mask that has been
 * taken stays as it is, if a second one goes by all of its bits.
 */
static struct value masked(struct value value, int64_t mask)
{
	bool from_lowest = mask >= 0 && !((uint64_t)mask & ((uint64_t)mask + 1));

	if (value.kind == VALUE_LOADED && value.mask)
		return from_lowest && value.mask <= mask ? value : (struct value){0};
	if (value.kind == VALUE_LOADED)
		return value_lowest(value_masked(value, mask), 1);
	return mask == UINT8_MAX ? value_lowest(value, 1) : (struct value){0};
}

/* The `width` bits from `low` on. Of what was loaded they are a mask. */
static struct value bits(struct value value, int64_t low, int64_t width)
{
	int64_t number;

	if (low < 0 || width <= 0 || low + width > 64)
		return (struct value){0};
	if (value_is_constant(&value, &number))
		return value_constant(
			(int64_t)((uint64_t)number >> low & UINT64_MAX >> (64 - width)));
	if (value.kind == VALUE_LOADED && low + width <= 8)
		return !low || !value.mask ? masked(value, ((1 << width) - 1) << low)
					   : (struct value){0};
	if (low || (width != 8 && width != 16 && width != 32))
		return (struct value){0};
	return value_lowest(value, (uint8_t)(width / 8));
}

/*
 * The lowest `width` bits, copies of the sign, shifted to the left. Keys are small and not
 * negative, so of them any 8 bits are all, and of their multiples any 24 (value_lowest).
 */
static struct value moved_up(struct value value, int64_t shift, int64_t width, bool is_signed)
{
	int64_t number, sign = width >= 1 && width <= 63 ? (int64_t)1 << (width - 1) : 0;

	if (shift < 0 || shift > 31 || width < 1 || width > 63)
		return (struct value){0};
	if (value_is_constant(&value, &number)) {
		value = bits(value, 0, width);
		number = value.address.constant;
		if (is_signed)
			value = value_constant((number ^ sign) - sign);
	} else if (width < KEY_BITS) {
		return (struct value){0};
	} else {
		value = value_lowest(value, width >= 24 ? 4 : 1);
	}
	return value_multiply(value, (int64_t)1 << shift);
}

/* Comparisons with zero set what the next conditional jump is about. */
static void compare(struct walker *walker, const cs_arm64_op *a, const cs_arm64_op *b)
{
	struct value right = arm64_value(walker, b);
	int64_t number;

	walker->compared = (struct value){0};
	if (value_is_constant(&right, &number) && !number)
		walker->compared = arm64_value(walker, a);
}

/* movz and movn, which are `mov` of a constant to some; by the encoding (Arm ARM, C4.1). */
static bool move_constant(struct walker *walker, const cs_arm64_op *a)
{
	uint32_t word = arm64_word(walker->insn);
	uint64_t number = (uint64_t)BITS(word, 5, 16) << 16 * BITS(word, 21, 2);
	bool is_not = BITS(word, 29, 2) == 0, is_zero = BITS(word, 29, 2) == 2;

	if ((word & MOVE_WIDE_MASK) != MOVE_WIDE || (!is_not && !is_zero))
		return false;
	arm64_set(walker, a->reg, value_constant((int64_t)(is_not ? ~number : number)));
	return true;
}

/* One operand and a result. */
static bool compute_one(struct walker *walker, const cs_arm64_op *a, const cs_arm64_op *b)
{
	struct value value = arm64_value(walker, b);

	switch (walker->insn->id) {
	case ARM64_INS_ADR:
	case ARM64_INS_ADRP:
	case ARM64_INS_MOV:
		break;
	case ARM64_INS_UXTB:
		value = value_lowest(value, 1);
		break;
	case ARM64_INS_UXTH:
		value = value_lowest(value, 2);
		break;
	case ARM64_INS_UXTW:
		value = value_lowest(value, 4);
		break;
	case ARM64_INS_SXTB:
		value = value_signed(value_lowest(value, 1), 1);
		break;
	case ARM64_INS_SXTH:
		value = value_signed(value_lowest(value, 2), 2);
		break;
	case ARM64_INS_SXTW:
		value = value_signed(value_lowest(value, 4), 4);
		break;
	default:
		return false;
	}
	arm64_set(walker, a->reg, value);
	return true;
}

/* Two operands and a result. */
static bool compute_two(struct walker *walker, const cs_arm64_op *a, const cs_arm64_op *b,
			const cs_arm64_op *c)
{
	struct value left = arm64_value(walker, b), right = arm64_value(walker, c);
	int64_t number = 0;
	bool known = value_is_constant(&right, &number);

	switch (walker->insn->id) {
	case ARM64_INS_ADD:
		left = arm64_add(walker, left, right);
		break;
	case ARM64_INS_SUB:
		left = arm64_add(walker, left, value_multiply(right, -1));
		break;
	case ARM64_INS_MUL:
	case ARM64_INS_SMULL:
	case ARM64_INS_UMULL:
		left = product(walker, left, right);
		break;
	case ARM64_INS_LSL:
		left = known && number >= 0 && number < 32
			       ? value_multiply(left, (int64_t)1 << number)
			       : (struct value){0};
		break;
	case ARM64_INS_AND:
		left = known ? masked(left, number) : (struct value){0};
		break;
	default:
		return false;
	}
	arm64_set(walker, a->reg, left);
	return true;
}

/* Three operands and a result. */
static bool compute_three(struct walker *walker, const cs_arm64_op *op)
{
	struct value value = arm64_value(walker, &op[1]);

	switch (walker->insn->id) {
	case ARM64_INS_MADD:
	case ARM64_INS_SMADDL:
	case ARM64_INS_UMADDL:
		value = arm64_add(walker, product(walker, value, arm64_value(walker, &op[2])),
				  arm64_value(walker, &op[3]));
		break;
	case ARM64_INS_UBFX:
		value = bits(value, op[2].imm, op[3].imm);
		break;
	case ARM64_INS_SBFIZ:
	case ARM64_INS_UBFIZ:
		value = moved_up(value, op[2].imm, op[3].imm, walker->insn->id == ARM64_INS_SBFIZ);
		break;
	default:
		return false;
	}
	arm64_set(walker, op[0].reg, value);
	return true;
}

static bool access_memory(struct walker *walker, const cs_arm64_op *op, int count)
{
	const cs_arm64_op *memory = &op[count > 1 && op[1].type == ARM64_OP_MEM ? 1 : 2];

	if (count < 2 || op[0].type != ARM64_OP_REG ||
	    (memory == &op[2] && (count < 3 || memory->type != ARM64_OP_MEM)))
		return false;
	switch (walker->insn->id) {
	case ARM64_INS_LDR:
	case ARM64_INS_LDUR:
	case ARM64_INS_LDRB:
	case ARM64_INS_LDURB:
	case ARM64_INS_LDRSB:
	case ARM64_INS_LDURSB:
	case ARM64_INS_LDRH:
	case ARM64_INS_LDURH:
	case ARM64_INS_LDRSH:
	case ARM64_INS_LDURSH:
	case ARM64_INS_LDRSW:
	case ARM64_INS_LDURSW:
		load(walker, &op[0], memory);
		return true;
	case ARM64_INS_STR:
	case ARM64_INS_STUR:
	case ARM64_INS_STRB:
	case ARM64_INS_STURB:
	case ARM64_INS_STRH:
	case ARM64_INS_STURH:
		store(walker, &op[0], memory);
		return true;
	case ARM64_INS_LDP:
	case ARM64_INS_STP:
		if (memory == &op[1] || op[1].type != ARM64_OP_REG)
			return false;
		move_pair(walker, &op[0], &op[1], memory, walker->insn->id == ARM64_INS_LDP);
		return true;
	default:
		return false;
	}
}

static bool compute(struct walker *walker)
{
	const cs_arm64 *arm64 = &walker->insn->detail->arm64;
	const cs_arm64_op *op = arm64->operands;

	if (arm64->op_count < 2 || op[0].type != ARM64_OP_REG)
		return false;
	if (walker->insn->id == ARM64_INS_CMP) {
		compare(walker, &op[0], &op[1]);
		return true;
	}
	if (move_constant(walker, &op[0]) || access_memory(walker, op, arm64->op_count))
		return true;
	if (arm64->update_flags)
		return false;
	switch (arm64->op_count) {
	case 2:
		return compute_one(walker, &op[0], &op[1]);
	case 3:
		return compute_two(walker, &op[0], &op[1], &op[2]);
	case 4:
		return compute_three(walker, op);
	default:
		return false;
	}
}

static bool reads_thread_pointer(const struct walker *walker)
{
	return (arm64_word(walker->insn) & MRS_THREAD_POINTER_MASK) == MRS_THREAD_POINTER;
}

static void forget(struct walker *walker, uint32_t number)
{
	if (number < ARM64_REGISTERS)
		walker->reg[number] = (struct value){0};
}

/*
 * Hints have no operands, but some sign or check what is in x17 or x30 (pacia1716, paciasp,
 * xpaclri), or answer in x16 (chkfeat): Arm ARM, C6.2.
 */
static void forget_hinted(struct walker *walker)
{
	if (walker->insn->id == ARM64_INS_NOP)
		return;
	forget(walker, 16);
	forget(walker, 17);
	forget(walker, 30);
}

/*
 * Capstone does not name every result, those of the newest instructions least of all. By the
 * encoding (Arm ARM, C4.1) it is in the lowest bits; loads and stores have more, a base that may
 * move, and pairs of registers of which the first is named. ld64b has 8. Vectors are not tracked;
 * what comes out of them is named.
 */
static void forget_encoded(struct walker *walker)
{
	static const unsigned int fields[] = {0, 5, 10, 16};
	const uint32_t word = arm64_word(walker->insn);

	if ((word & VECTORS_MASK) == VECTORS)
		return;
	if ((word & MEMORY_MASK) != MEMORY || (word & LITERAL_MASK) == LITERAL) {
		forget(walker, BITS(word, 0, 5));
		return;
	}
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		if ((word & MEMORY_VECTOR) && fields[i] != 5)
			continue;
		forget(walker, BITS(word, fields[i], 5));
		forget(walker, BITS(word, fields[i], 5) + 1);
	}
	for (uint32_t i = 0; i < 8 && (word & LD64B_MASK) == LD64B; i++)
		forget(walker, BITS(word, 0, 5) + i);
}

/* An instruction of no interest: what it may write is unknown from here on. */
static void forget_written(struct walker *walker)
{
	cs_regs read, written;
	uint8_t read_count = 0, written_count = 0;

	for (int i = 0; i < walker->insn->detail->arm64.op_count; i++) {
		const cs_arm64_op *op = arm64_operand(walker, i);
		struct value address;

		if (op->type == ARM64_OP_REG)
			arm64_set(walker, op->reg, (struct value){0});
		if (op->type != ARM64_OP_MEM)
			continue;
		address = arm64_address(walker, op);
		walker_store(walker, &address, 8, &(struct value){0});
		move_base(walker, op);
	}
	forget_encoded(walker);
	if (cs_regs_access(walker->capstone, walker->insn, read, &read_count, written,
			   &written_count))
		memset(walker->reg, 0, sizeof(walker->reg));
	for (int i = 0; i < written_count; i++)
		arm64_set(walker, written[i], (struct value){0});
}

/* What is computed sets no flags but those that compare() knows; of the rest nobody knows. */
void arm64_apply(struct walker *walker)
{
	if (reads_thread_pointer(walker)) {
		if (arm64_operand(walker, 0))
			arm64_set(walker, arm64_operand(walker, 0)->reg,
				  (struct value){.kind = VALUE_THREAD});
	} else if (arm64_is_hint(walker->insn)) {
		forget_hinted(walker);
	} else if (!compute(walker)) {
		forget_written(walker);
		walker->compared = (struct value){0};
	}
}
