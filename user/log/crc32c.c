// SPDX-License-Identifier: GPL-2.0-or-later
#include "log/crc32c.h"

#include <pthread.h>
#include <string.h>

/* The reflected polynomial 0x82f63b78, for four bits at a time. */
static const uint32_t table[16] = {
	0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3,
	0x61c69362, 0x7198540d, 0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9,
	0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75,
};

uint32_t crc32c_by_table(const void *data, size_t size)
{
	const uint8_t *bytes = data;
	uint32_t crc = ~0u;

	for (size_t i = 0; i < size; i++) {
		crc ^= bytes[i];
		crc = crc >> 4 ^ table[crc & 15];
		crc = crc >> 4 ^ table[crc & 15];
	}
	return ~crc;
}

#if defined(__x86_64__)
#define HAS_INSTRUCTION     __builtin_cpu_supports("sse4.2")
#define TARGET              "sse4.2"
#define CRC_WORD(crc, word) __builtin_ia32_crc32di(crc, word)
#define CRC_BYTE(crc, byte) __builtin_ia32_crc32qi((uint32_t)(crc), byte)
typedef uint64_t crc_register; /* as the instruction takes it; the upper half is zero */
#elif defined(__aarch64__)
#include <sys/auxv.h>
#define HWCAP_OF_CRC32      (1ul << 7)
#define HAS_INSTRUCTION     (getauxval(AT_HWCAP) & HWCAP_OF_CRC32)
#define TARGET              "+crc"
#define CRC_WORD(crc, word) __builtin_aarch64_crc32cx(crc, word)
#define CRC_BYTE(crc, byte) __builtin_aarch64_crc32cb(crc, byte)
typedef uint32_t crc_register;
#endif

#ifdef TARGET
/*
 * The instruction takes three cycles, and each one waits for the one before: three streams at once
 * are three times as fast. What a stream has is then moved over the bytes of the streams behind it:
 * a linear map, so it is the sum of what each byte of the CRC becomes.
 */
#define STREAM 256 /* bytes of each */

static uint32_t moved[4][256];
static pthread_once_t moved_made = PTHREAD_ONCE_INIT;

static void make_moved(void)
{
	for (unsigned int byte = 0; byte < 4; byte++)
		for (uint32_t value = 0; value < 256; value++) {
			uint32_t crc = value << 8 * byte;

			for (unsigned int i = 0; i < 2 * STREAM; i++)
				crc = crc >> 4 ^ table[crc & 15];
			moved[byte][value] = crc;
		}
}

/* The CRC behind STREAM bytes of zero. */
static uint32_t move(uint32_t crc)
{
	return moved[0][crc & 255] ^ moved[1][crc >> 8 & 255] ^ moved[2][crc >> 16 & 255] ^
	       moved[3][crc >> 24];
}

static uint64_t word_at(const uint8_t *bytes)
{
	uint64_t word;

	memcpy(&word, bytes, sizeof(word));
	return word;
}

__attribute__((target(TARGET))) static uint32_t by_instruction(const void *data, size_t size)
{
	const uint8_t *bytes = data;
	crc_register crc = ~0u;

	for (; size >= 3 * STREAM; size -= 3 * STREAM, bytes += 3 * STREAM) {
		crc_register second = 0, third = 0;

		for (size_t i = 0; i < STREAM; i += 8) {
			crc = CRC_WORD(crc, word_at(bytes + i));
			second = CRC_WORD(second, word_at(bytes + STREAM + i));
			third = CRC_WORD(third, word_at(bytes + 2 * STREAM + i));
		}
		crc = move(move((uint32_t)crc) ^ (uint32_t)second) ^ third;
	}
	for (; size >= 8; size -= 8, bytes += 8)
		crc = CRC_WORD(crc, word_at(bytes));
	for (; size; size--, bytes++)
		crc = CRC_BYTE(crc, *bytes);
	return ~(uint32_t)crc;
}
#endif

uint32_t crc32c(const void *data, size_t size)
{
#ifdef TARGET
	if (HAS_INSTRUCTION) {
		pthread_once(&moved_made, make_moved);
		return by_instruction(data, size);
	}
#endif
	return crc32c_by_table(data, size);
}
