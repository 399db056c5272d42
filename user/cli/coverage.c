// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/coverage.h"

#include <stdbool.h>
#include <string.h>

/* Lines of coverage.tsv; the first has the names of the columns: situation, words, versions. */
static const char *const lines[] = {
#include "coverage.inc"
};

#define LINES         (sizeof(lines) / sizeof(lines[0]))
#define WORDS         1
#define FIRST_VERSION 2

/* A column of a line: where it begins, and its length; NULL: the line has not so many. */
static const char *column(const char *line, int number, int *length)
{
	for (; number > 0; number--) {
		line = strchr(line, '\t');
		if (!line)
			return NULL;
		line++;
	}
	*length = (int)strcspn(line, "\t");
	return line;
}

/* Length of "2.13" in "2.13.0". */
static size_t minor_length(const char *version)
{
	size_t length = strspn(version, "0123456789");

	if (version[length] == '.')
		length += 1 + strspn(version + length + 1, "0123456789");
	return length;
}

static int find_version(const char *version)
{
	const char *known;
	int length;

	for (int i = FIRST_VERSION; (known = column(lines[0], i, &length)); i++)
		if (minor_length(known) == minor_length(version) &&
		    !strncmp(known, version, minor_length(version)))
			return i;
	return -1;
}

static void print_versions(FILE *stream)
{
	const char *known;
	int length;

	fputs("not measured for this version; measured:", stream);
	for (int i = FIRST_VERSION; (known = column(lines[0], i, &length)); i++)
		fprintf(stream, " %.*s", length, known);
	fputs(" (see README)\n", stream);
}

void coverage_print(FILE *stream, const char *version)
{
	int number = version[0] ? find_version(version) : -1;

	if (number < 0) {
		print_versions(stream);
		return;
	}
	fputs("measured on this version, by kind of change:\n", stream);
	for (size_t i = 1; i < LINES; i++) {
		int words_length, length;
		const char *words = column(lines[i], WORDS, &words_length);
		const char *outcome = column(lines[i], number, &length);

		if (words && outcome)
			fprintf(stream, "  %.*s: %.*s\n", words_length, words, length, outcome);
	}
}
