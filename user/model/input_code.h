/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Inputs of the model as bytes, for logs. What comes again and again is written once: a stack gets
 * a place in a table and is then known by it, and of a record only the words are written that
 * differ from the record before. So a reader needs all bytes from the first one on, in order.
 *
 * Numbers are little-endian; structures of abi.h are as they are there, so bytes are good for one
 * GW_ABI_VERSION only.
 */
#ifndef GRADWATCH_MODEL_INPUT_CODE_H
#define GRADWATCH_MODEL_INPUT_CODE_H

#include <stddef.h>
#include <stdint.h>

#include "model/inputs.h"

/* Goes up when the bytes of an input change; what is in abi.h has a version of its own. */
#define INPUT_CODE_VERSION 1

/* No input has more bytes than this. */
#define INPUT_CODE_MAX (128u << 10)

struct input_writer;

/* NULL when out of memory; free is NULL-safe. */
struct input_writer *input_writer_new(void);
void input_writer_free(struct input_writer *writer);

/* Appends an input. -EMSGSIZE, -ENOMEM: it is not appended, and a reader would miss it. */
int input_writer_put(struct input_writer *writer, const struct model_input *input);

/* What was appended since the last input_writer_clear(); the writer's own. */
const uint8_t *input_writer_bytes(const struct input_writer *writer, size_t *size);

/* Forgets the bytes, not what they have told a reader. */
void input_writer_clear(struct input_writer *writer);

struct input_reader;

/* NULL when out of memory; free is NULL-safe. */
struct input_reader *input_reader_new(void);
void input_reader_free(struct input_reader *reader);

/* The next bytes, which stay the caller's until they are read. They begin with an input. */
void input_reader_begin(struct input_reader *reader, const uint8_t *bytes, size_t size);

/*
 * The next input, good until the next call. 1; 0: there are no more bytes; -EBADMSG: these are no
 * inputs, and the reader cannot go on; -ENOMEM. A record is what the writer was given: the model
 * checks it.
 */
int input_reader_next(struct input_reader *reader, struct model_input *input);

#endif
