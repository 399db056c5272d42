// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * libFuzzer: whatever the bytes, suppressions_parse gives suppressions that hold together or a
 * reason; and the line that is written for a finding of these bytes accepts that finding only.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "model/suppressions.h"

#define CHECK(condition)                                                                           \
	do {                                                                                       \
		if (!(condition))                                                                  \
			abort();                                                                   \
	} while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A finding made of the bytes: kind, name, file and qualified name, with NUL between. */
struct finding {
	enum trace_kind kind;
	const char *name, *file, *qualname;
};

static uint64_t count_of(const struct suppressions *parsed, const char *name)
{
	uint64_t count = 0;

	for (size_t i = 0; i < suppressions_names(parsed); i++)
		if (!strcmp(suppressions_name(parsed, i, &count), name))
			return count;
	abort();
}

static void check_parsed(struct suppressions *parsed, const struct finding *finding)
{
	unsigned int line, last = 0;
	int index = suppressions_match(parsed, finding->kind, finding->file, finding->qualname);

	CHECK(index >= -1);
	suppressions_count(parsed, index, 3);
	if (index >= 0)
		CHECK(count_of(parsed, suppressions_name_of(parsed, index)) == 3);
	for (line = 0; (line = suppressions_next_unused(parsed, line)); last = line)
		CHECK(line > last && (index < 0 || line != suppressions_line_of(parsed, index)));
	for (size_t i = 0; i < suppressions_names(parsed); i++) {
		uint64_t count;

		CHECK(suppressions_name(parsed, i, &count)[0]);
	}
}

/* Another string than text: a byte added, lost or changed. The caller frees it. */
static char *altered(const char *text, unsigned int how)
{
	size_t length = strlen(text);
	char *other = calloc(1, length + 2);

	CHECK(other);
	memcpy(other, text, length);
	if (!length || how % 3 == 0)
		other[length] = (char)(how ? how : 1);
	else if (how % 3 == 1)
		other[length - 1] = '\0';
	else
		other[how % length] = other[how % length] == '*' ? '\\' : '*';
	return other;
}

static void check_refuses_others(const struct suppressions *parsed, const struct finding *finding,
				 unsigned int how)
{
	char *file = altered(finding->file, how), *qualname = altered(finding->qualname, how);

	CHECK(suppressions_match(parsed, finding->kind, file, finding->qualname) == -1);
	CHECK(suppressions_match(parsed, finding->kind, finding->file, qualname) == -1);
	CHECK(suppressions_match(parsed, (finding->kind + 1) % TRACE_KIND_MAX, finding->file,
				 finding->qualname) == -1);
	free(file);
	free(qualname);
}

static void check_written(const struct finding *finding, unsigned int how)
{
	char *text = NULL;
	size_t size = 0;
	FILE *stream = open_memstream(&text, &size);
	struct suppressions *parsed;
	struct err err;
	int code;

	CHECK(stream);
	code = suppressions_write_line(stream, finding->name, finding->kind, finding->file,
				       finding->qualname);
	fclose(stream);
	if (code) {
		CHECK(!size && (code == -EINVAL || code == -EMSGSIZE));
		CHECK(code == -EMSGSIZE || !finding->name[0]);
		free(text);
		return;
	}
	parsed = suppressions_parse(text, size, &err);
	CHECK(parsed && suppressions_names(parsed) == 1);
	CHECK(!suppressions_match(parsed, finding->kind, finding->file, finding->qualname));
	CHECK(!strcmp(suppressions_name_of(parsed, 0), finding->name));
	CHECK(suppressions_next_unused(parsed, 0) == 1 && !suppressions_next_unused(parsed, 1));
	check_refuses_others(parsed, finding, how);
	suppressions_free(parsed);
	free(text);
}

/* The next string of the bytes; "" after the last. */
static const char *take(const char **at, const char *end)
{
	const char *text = *at;

	*at += strlen(text);
	if (*at < end)
		++*at;
	return text;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *copy = malloc(size + 1), *bytes = malloc(size ? size : 1);
	const char *at = copy;
	struct suppressions *parsed;
	struct finding finding;
	struct err err = {0};

	CHECK(copy && bytes);
	memcpy(bytes, data, size); /* of its exact size: ASan sees a byte too much */
	memcpy(copy, data, size);
	copy[size] = '\0';
	finding.kind = size ? data[0] % TRACE_KIND_MAX : TRACE_KIND_UNKNOWN;
	finding.name = take(&at, copy + size);
	finding.file = take(&at, copy + size);
	finding.qualname = take(&at, copy + size);

	parsed = suppressions_parse(bytes, size, &err);
	CHECK(parsed || (err.code < 0 && err.text[0]));
	if (parsed)
		check_parsed(parsed, &finding);
	suppressions_free(parsed);
	check_written(&finding, size ? data[size - 1] : 0);
	free(bytes);
	free(copy);
	return 0;
}
