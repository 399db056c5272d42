/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef GRADWATCH_MODEL_LINES_H
#define GRADWATCH_MODEL_LINES_H

#include <stddef.h>
#include <stdint.h>

/*
 * The line of an instruction, from its code object's line table.
 *
 * version: of CPython, major << 8 | minor. table[0..size): as much as is known of its total bytes.
 * position: byte offset of the instruction. Returns 0 when the table has no answer: it has no line,
 * or lies behind what is known of the table, or the table is no such.
 */
int lines_find(unsigned int version, const uint8_t *table, size_t size, size_t total,
	       int first_line, int position);

#endif
