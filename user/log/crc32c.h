/* SPDX-License-Identifier: GPL-2.0-or-later */
/* CRC32C (Castagnoli), as in iSCSI, ext4 and SSE 4.2; by the processor's instruction if it has one.
 */
#ifndef GRADWATCH_LOG_CRC32C_H
#define GRADWATCH_LOG_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* Of data[0..size). crc32c("123456789", 9) is 0xe3069283. */
uint32_t crc32c(const void *data, size_t size);

/* The same by a table, for processors without the instruction and for tests. */
uint32_t crc32c_by_table(const void *data, size_t size);

#endif
