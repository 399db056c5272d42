/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The head of a record: what it has before its stack, which is most of a line. It is for readers
 * that trust checksums.
 */
#ifndef GRADWATCH_LOG_HEAD_H
#define GRADWATCH_LOG_HEAD_H

#include "log/parse.h"

/*
 * Parses only the head of a line whose checksum is right, and takes the number from its end. False:
 * the whole line has to be parsed, as it is of another type or make. The line is the same after it.
 */
bool head_parse(struct parser *parser, char *line, size_t length, struct record *record);

#endif
