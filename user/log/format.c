// SPDX-License-Identifier: GPL-2.0-or-later
#include "log/format.h"

#include <string.h>

#include "log/crc32c.h"

const char *const log_types[LOG_TYPE_MAX] = {
#define X(name, text) [LOG_TYPE_##name] = (text),
	LOG_TYPES(X)
#undef X
};

const char *const log_fields[FIELD_MAX] = {
#define X(name, text) [FIELD_##name] = (text),
	LOG_FIELDS(X)
#undef X
};

bool log_has_checksum(const char *line, size_t length)
{
	static const char before[] = LOG_TAIL_BEFORE, after[] = LOG_TAIL_AFTER;
	const size_t size = LOG_TAIL_SIZE - 1; /* without the newline */
	const char *tail = line + length - size;
	char digit[8];
	uint32_t crc;

	if (length <= size || memcmp(tail, before, sizeof(before) - 1) != 0 ||
	    memcmp(line + length - (sizeof(after) - 1), after, sizeof(after) - 1) != 0)
		return false;
	crc = crc32c(line, length - size);
	for (int i = 0; i < 8; i++)
		digit[i] = "0123456789abcdef"[crc >> (28 - 4 * i) & 15];
	return !memcmp(tail + sizeof(before) - 1, digit, sizeof(digit));
}
