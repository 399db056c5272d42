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

#if defined(__x86_64__) || defined(__aarch64__)
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
#endif

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) static uint32_t by_instruction(const void *data, size_t size)
{
	const uint8_t *bytes = data;
	uint64_t crc = ~0u;

	for (; size >= 3 * STREAM; size -= 3 * STREAM, bytes += 3 * STREAM) {
		uint64_t second = 0, third = 0;

		for (size_t i = 0; i < STREAM; i += 8) {
			crc = __builtin_ia32_crc32di(crc, word_at(bytes + i));
			second = __builtin_ia32_crc32di(second, word_at(bytes + STREAM + i));
			third = __builtin_ia32_crc32di(third, word_at(bytes + 2 * STREAM + i));
		}
		crc = move(move((uint32_t)crc) ^ (uint32_t)second) ^ third;
	}
	for (; size >= 8; size -= 8, bytes += 8)
		crc = __builtin_ia32_crc32di(crc, word_at(bytes));
	for (; size; size--, bytes++)
		crc = __builtin_ia32_crc32qi((uint32_t)crc, *bytes);
	return ~(uint32_t)crc;
}

static int has_instruction(void)
{
	return __builtin_cpu_supports("sse4.2");
}
#elif defined(__aarch64__)
#include <sys/auxv.h>

#define HAS_CRC32 (1ul << 7) /* HWCAP_CRC32 */

__attribute__((target("+crc"))) static uint32_t by_instruction(const void *data, size_t size)
{
	const uint8_t *bytes = data;
	uint32_t crc = ~0u;

	for (; size >= 3 * STREAM; size -= 3 * STREAM, bytes += 3 * STREAM) {
		uint32_t second = 0, third = 0;

		for (size_t i = 0; i < STREAM; i += 8) {
			crc = __builtin_aarch64_crc32cx(crc, word_at(bytes + i));
			second = __builtin_aarch64_crc32cx(second, word_at(bytes + STREAM + i));
			third = __builtin_aarch64_crc32cx(third, word_at(bytes + 2 * STREAM + i));
		}
		crc = move(move(crc) ^ second) ^ third;
	}
	for (; size >= 8; size -= 8, bytes += 8)
		crc = __builtin_aarch64_crc32cx(crc, word_at(bytes));
	for (; size; size--, bytes++)
		crc = __builtin_aarch64_crc32cb(crc, *bytes);
	return ~crc;
}

static int has_instruction(void)
{
	return (getauxval(AT_HWCAP) & HAS_CRC32) != 0;
}
#endif

uint32_t crc32c(const void *data, size_t size)
{
#if defined(__x86_64__) || defined(__aarch64__)
	if (has_instruction()) {
		pthread_once(&moved_made, make_moved);
		return by_instruction(data, size);
	}
#endif
	return crc32c_by_table(data, size);
}
