// SPDX-License-Identifier: GPL-2.0-or-later
#include "model/suppressions.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"

#define LINE_LENGTH SUPPRESSIONS_MAX_LINE_LENGTH
#define WORD_SIZE   64 /* of a word in a message */

struct suppression {
	unsigned int line;
	unsigned int name;  /* index */
	unsigned int kinds; /* set */
	char *file, *qualname;
	bool used;
};

struct suppression_name {
	char *text;
	uint64_t count;
};

struct suppressions {
	char *text; /* all of it, owned */
	size_t size;
	size_t count, names;
	struct suppression list[SUPPRESSIONS_MAX_LINES]; /* in the order of the file */
	struct suppression_name name[SUPPRESSIONS_MAX_LINES];
};

enum field { FIELD_NAME, FIELD_KIND, FIELD_FILE, FIELD_QUALNAME, FIELDS };

static const char *const field_names[FIELDS] = {"name", "kind", "file", "qualified name"};

/* The line that is being read: at is the next byte; decoded words go to word[]. */
struct reader {
	const char *start, *at, *end;
	unsigned int line;
	const char *starts[FIELDS]; /* of the words, in the line */
	char word[FIELDS][LINE_LENGTH + 1];
	struct err *err;
};

/* The error at a place of the line; what: the field, or what else is there. */
static int __attribute__((format(printf, 4, 5)))
refuse(const struct reader *reader, const char *at, const char *what, const char *format, ...)
{
	char text[sizeof(reader->err->text)];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	return err_set(reader->err, -EINVAL, "line %u, column %zu, %s: %s", reader->line,
		       (size_t)(at - reader->start) + 1, what, text);
}

static bool is_blank(char byte)
{
	return byte == ' ' || byte == '\t';
}

/* A line may hold printable UTF-8 and tabs: what is reviewed is what is read. */
static int check_printable(const struct reader *reader)
{
	char plain[LINE_LENGTH], escaped[4 * LINE_LENGTH + 1];
	size_t length = (size_t)(reader->end - reader->start);
	size_t i = 0;

	for (size_t j = 0; j < length; j++)
		plain[j] = reader->start[j] == '\t' ? ' ' : reader->start[j];
	str_escape(escaped, sizeof(escaped), plain, length);
	while (i < length && plain[i] == escaped[i])
		i++;
	if (i == length)
		return 0;
	if (plain[i] == '\r' && i + 1 == length)
		return refuse(reader, reader->start + i, "text",
			      "the line ends with a carriage return; save the file with Unix line "
			      "endings");
	if (!plain[i])
		return refuse(reader, reader->start + i, "text",
			      "a NUL byte, so this is no text file; remove it");
	return refuse(
		reader, reader->start + i, "text",
		"byte 0x%02x is a control character or not UTF-8; remove it, or write \\x%02x "
		"within double quotes",
		(unsigned char)plain[i], (unsigned char)plain[i]);
}

static int hex_digit(char byte)
{
	if (byte >= '0' && byte <= '9')
		return byte - '0';
	if (byte >= 'a' && byte <= 'f')
		return byte - 'a' + 10;
	if (byte >= 'A' && byte <= 'F')
		return byte - 'A' + 10;
	return -1;
}

/* Decodes what follows the backslash at reader->at, which is within quotes. */
static int read_escape(struct reader *reader, const char *what, char *out)
{
	const char *at = reader->at + 1;
	int high, low;

	if (at < reader->end && (*at == '"' || *at == '\\')) {
		*out = *at;
		reader->at += 2;
		return 0;
	}
	if (reader->end - at < 3 || *at != 'x')
		goto bad;
	high = hex_digit(at[1]);
	low = hex_digit(at[2]);
	if (high < 0 || low < 0)
		goto bad;
	if (!high && !low)
		return refuse(reader, reader->at, what, "\\x00 ends a string; remove it");
	*out = (char)(high << 4 | low);
	reader->at += 4;
	return 0;
bad:
	return refuse(reader, reader->at, what,
		      "after '\\' comes '\"', '\\' or xNN (two hexadecimal digits); to match '*', "
		      "'?' or '[' itself write [*], [?] or [[]");
}

static int read_quoted(struct reader *reader, const char *what, char *out)
{
	const char *open = reader->at++;

	for (; reader->at < reader->end && *reader->at != '"'; out++) {
		if (*reader->at == '\\') {
			int code = read_escape(reader, what, out);

			if (code)
				return code;
		} else {
			*out = *reader->at++;
		}
	}
	*out = '\0';
	if (reader->at == reader->end)
		return refuse(reader, open, what, "the double quote is not closed on this line");
	reader->at++;
	if (reader->at < reader->end && !is_blank(*reader->at))
		return refuse(reader, reader->at, what,
			      "put a blank after the closing double quote, or \\\" for one within");
	return 0;
}

static int read_plain(struct reader *reader, const char *what, char *out)
{
	for (; reader->at < reader->end && !is_blank(*reader->at); reader->at++) {
		if (*reader->at == '"' || *reader->at == '\\')
			return refuse(reader, reader->at, what,
				      "'%c' needs double quotes around the whole field and a '\\' "
				      "before it; to match '*', '?' or '[' itself write [*], [?] "
				      "or [[]",
				      *reader->at);
		*out++ = *reader->at;
	}
	*out = '\0';
	return 0;
}

/* False at the end of the line or at a comment. */
static bool find_word(struct reader *reader)
{
	while (reader->at < reader->end && is_blank(*reader->at))
		reader->at++;
	return reader->at < reader->end && *reader->at != '#';
}

/* Reads a word for each field. 1; 0 for a line without words. */
static int read_words(struct reader *reader)
{
	for (int i = 0; i < FIELDS; i++) {
		int code;

		if (!find_word(reader)) {
			if (!i)
				return 0;
			return refuse(reader, reader->at, field_names[i],
				      "is missing; a line is: NAME KIND FILE QUALIFIED-NAME, with "
				      "* for any");
		}
		reader->starts[i] = reader->at;
		if (*reader->at == '"')
			code = read_quoted(reader, field_names[i], reader->word[i]);
		else
			code = read_plain(reader, field_names[i], reader->word[i]);
		if (code)
			return code;
	}
	return 1;
}

/* The index of the name, which is new or not. -ENOMEM. */
static int add_name(struct suppressions *suppressions, const char *text)
{
	struct suppression_name *name = suppressions->name;
	size_t i;

	for (i = 0; i < suppressions->names; i++)
		if (!strcmp(name[i].text, text))
			return (int)i;
	name[i].text = strdup(text);
	if (!name[i].text)
		return -ENOMEM;
	suppressions->names++;
	return (int)i;
}

static int add(struct suppressions *suppressions, const struct reader *reader, unsigned int kinds)
{
	struct suppression *new = &suppressions->list[suppressions->count];
	int name = add_name(suppressions, reader->word[FIELD_NAME]);

	if (name < 0)
		return err_set(reader->err, name, "out of memory");
	suppressions->count++;
	new->line = reader->line;
	new->name = (unsigned int)name;
	new->kinds = kinds;
	new->file = strdup(reader->word[FIELD_FILE]);
	new->qualname = strdup(reader->word[FIELD_QUALNAME]);
	if (!new->file || !new->qualname)
		return err_set(reader->err, -ENOMEM, "out of memory");
	return 0;
}

static int parse_kinds(const struct reader *reader, unsigned int *kinds)
{
	char word[WORD_SIZE], known[KINDS_TEXT_SIZE];

	*kinds = KINDS_ALL;
	if (!strcmp(reader->word[FIELD_KIND], "*"))
		return 0;
	if (!kinds_parse(reader->word[FIELD_KIND], kinds, word, sizeof(word)))
		return 0;
	kinds_text(known);
	return refuse(reader, reader->starts[FIELD_KIND], field_names[FIELD_KIND],
		      "'%s' is none; give one or several of %s, joined by commas without blanks, "
		      "or * for any",
		      word, known);
}

/* fnmatch takes a '[' without its ']' for itself, slowly; it is likelier to be a mistake. */
static int check_pattern(const struct reader *reader, enum field field)
{
	const char *open = reader->word[field];

	while ((open = strchr(open, '['))) {
		const char *member = open + 1;

		if (*member == '!' || *member == '^')
			member++;
		open = *member ? strchr(member + 1, ']') : NULL;
		if (!open)
			return refuse(reader, reader->starts[field], field_names[field],
				      "a '[' has no ']' after it; to match '[' itself write [[]");
	}
	return 0;
}

static int parse_line(struct suppressions *suppressions, struct reader *reader)
{
	unsigned int kinds;
	int code = check_printable(reader);

	if (code)
		return code;
	code = read_words(reader);
	if (code <= 0)
		return code;
	if (!reader->word[FIELD_NAME][0])
		return refuse(reader, reader->starts[FIELD_NAME], field_names[FIELD_NAME],
			      "is empty; give the suppression a name");
	code = parse_kinds(reader, &kinds);
	for (int i = FIELD_FILE; i <= FIELD_QUALNAME && !code; i++)
		code = check_pattern(reader, i);
	if (code)
		return code;
	if (find_word(reader))
		return refuse(reader, reader->at, "fifth field",
			      "a line has four: NAME KIND FILE QUALIFIED-NAME; put double quotes "
			      "around a field with blanks, '#' before a comment");
	return add(suppressions, reader, kinds);
}

static int parse_lines(struct suppressions *suppressions, const char *text, size_t size,
		       struct err *err)
{
	struct reader reader = {.err = err};
	const char *end = text + size;

	while (text < end) {
		const char *feed = memchr(text, '\n', (size_t)(end - text));
		int code;

		reader.start = reader.at = text;
		reader.end = feed ? feed : end;
		if (++reader.line > SUPPRESSIONS_MAX_LINES)
			return err_set(err, -EFBIG,
				       "line %u: a file has at most %d lines; let one pattern "
				       "match more findings",
				       reader.line, SUPPRESSIONS_MAX_LINES);
		if (reader.end - reader.start > LINE_LENGTH)
			return err_set(err, -EINVAL,
				       "line %u: longer than %d bytes; shorten its patterns with *",
				       reader.line, LINE_LENGTH);
		code = parse_line(suppressions, &reader);
		if (code)
			return code;
		text = feed ? feed + 1 : end;
	}
	return 0;
}

struct suppressions *suppressions_parse(const char *text, size_t size, struct err *err)
{
	struct suppressions *suppressions;

	if (size > SUPPRESSIONS_MAX_SIZE) {
		err_set(err, -EFBIG, "a file has at most %u bytes; is this one of suppressions?",
			SUPPRESSIONS_MAX_SIZE);
		return NULL;
	}
	suppressions = calloc(1, sizeof(*suppressions));
	if (!suppressions) {
		err_set(err, -ENOMEM, "out of memory");
		return NULL;
	}
	suppressions->text = malloc(size + 1);
	if (!suppressions->text) {
		err_set(err, -ENOMEM, "out of memory");
		suppressions_free(suppressions);
		return NULL;
	}
	memcpy(suppressions->text, text, size);
	suppressions->size = size;
	if (parse_lines(suppressions, text, size, err)) {
		suppressions_free(suppressions);
		return NULL;
	}
	return suppressions;
}

const char *suppressions_text(const struct suppressions *suppressions, size_t *size)
{
	*size = suppressions->size;
	return suppressions->text;
}

/* Reads at most one byte more than a file may have, so that a bigger one shows. */
static char *read_file(const char *path, size_t *size, struct err *err)
{
	FILE *stream = fopen(path, "re");
	char *text;
	bool failed;

	if (!stream) {
		err_set(err, -errno, "%m; give a text file that can be read");
		return NULL;
	}
	text = malloc(SUPPRESSIONS_MAX_SIZE + 1);
	if (!text) {
		fclose(stream);
		err_set(err, -ENOMEM, "out of memory");
		return NULL;
	}
	errno = EIO;
	*size = fread(text, 1, SUPPRESSIONS_MAX_SIZE + 1, stream);
	failed = ferror(stream);
	if (failed) {
		err_set(err, -errno, "%m; give a text file that can be read");
		free(text);
		text = NULL;
	}
	fclose(stream);
	return text;
}

struct suppressions *suppressions_load(const char *path, struct err *err)
{
	struct suppressions *suppressions = NULL;
	struct err inner = {0};
	size_t size = 0;
	char *text = read_file(path, &size, &inner);

	if (text)
		suppressions = suppressions_parse(text, size, &inner);
	free(text);
	if (!suppressions) /* the name is cut so that the reason fits */
		err_set(err, inner.code, "%.500s: %.500s", path, inner.text);
	return suppressions;
}

void suppressions_free(struct suppressions *suppressions)
{
	if (!suppressions)
		return;
	for (size_t i = 0; i < suppressions->count; i++) {
		free(suppressions->list[i].file);
		free(suppressions->list[i].qualname);
	}
	for (size_t i = 0; i < suppressions->names; i++)
		free(suppressions->name[i].text);
	free(suppressions->text);
	free(suppressions);
}

/* A backslash is a byte like others, so that "\" in a file and in a pattern mean the same. */
static bool matches(const char *pattern, const char *text)
{
	return !fnmatch(pattern, text, FNM_NOESCAPE);
}

int suppressions_match(const struct suppressions *suppressions, enum trace_kind kind,
		       const char *file, const char *qualname)
{
	if (!kind_name(kind))
		return -1;
	for (size_t i = 0; i < suppressions->count; i++) {
		const struct suppression *one = &suppressions->list[i];

		if (one->kinds & 1u << kind && matches(one->qualname, qualname) &&
		    matches(one->file, file))
			return (int)i;
	}
	return -1;
}

static bool has(const struct suppressions *suppressions, int index)
{
	return index >= 0 && (size_t)index < suppressions->count;
}

void suppressions_count(struct suppressions *suppressions, int index, uint64_t n)
{
	struct suppression *one;

	if (!has(suppressions, index))
		return;
	one = &suppressions->list[index];
	one->used |= n > 0;
	suppressions->name[one->name].count += n;
}

const char *suppressions_name_of(const struct suppressions *suppressions, int index)
{
	if (!has(suppressions, index))
		return NULL;
	return suppressions->name[suppressions->list[index].name].text;
}

unsigned int suppressions_line_of(const struct suppressions *suppressions, int index)
{
	return has(suppressions, index) ? suppressions->list[index].line : 0;
}

size_t suppressions_names(const struct suppressions *suppressions)
{
	return suppressions->names;
}

const char *suppressions_name(const struct suppressions *suppressions, size_t i, uint64_t *count)
{
	if (i >= suppressions->names)
		return NULL;
	*count = suppressions->name[i].count;
	return suppressions->name[i].text;
}

unsigned int suppressions_next_unused(const struct suppressions *suppressions, unsigned int line)
{
	for (size_t i = 0; i < suppressions->count; i++)
		if (suppressions->list[i].line > line && !suppressions->list[i].used)
			return suppressions->list[i].line;
	return 0;
}

/* --- writing --------------------------------------------------------------------------------- */

/* A byte takes at most four: as \xNN. */
struct line {
	size_t length;
	char text[FIELDS * (4 * LINE_LENGTH + 4)];
};

static bool needs_quotes(const char *text)
{
	if (!*text || *text == '#')
		return true;
	for (; *text; text++)
		if (*text <= ' ' || *text > '~' || *text == '"' || *text == '\\')
			return true;
	return false;
}

/* Puts brackets round what is special in a pattern, in quotes a backslash before " and \. */
static void protect(char *out, const char *in, bool pattern, bool quoted)
{
	for (; *in; in++) {
		bool glob = pattern && strchr("*?[", *in);

		if (glob)
			*out++ = '[';
		if (quoted && (*in == '"' || *in == '\\'))
			*out++ = '\\';
		*out++ = *in;
		if (glob)
			*out++ = ']';
	}
	*out = '\0';
}

/* One field and the blank after it. */
static int put_field(struct line *line, const char *in, bool pattern)
{
	char text[3 * LINE_LENGTH + 1];
	bool quoted = needs_quotes(in);

	if (strlen(in) > LINE_LENGTH)
		return -EMSGSIZE;
	protect(text, in, pattern, quoted);
	if (quoted)
		line->text[line->length++] = '"';
	line->length += str_escape(line->text + line->length, sizeof(line->text) - line->length,
				   text, strlen(text));
	if (quoted)
		line->text[line->length++] = '"';
	line->text[line->length++] = ' ';
	return 0;
}

int suppressions_write_line(FILE *stream, const char *name, enum trace_kind kind, const char *file,
			    const char *qualname)
{
	struct line line;

	if (!*name || !kind_name(kind))
		return -EINVAL;
	line.length = 0;
	if (put_field(&line, name, false) || put_field(&line, kind_name(kind), false) ||
	    put_field(&line, file, true) || put_field(&line, qualname, true))
		return -EMSGSIZE;
	if (line.length - 1 > LINE_LENGTH)
		return -EMSGSIZE;
	line.text[line.length - 1] = '\n'; /* instead of the last blank */
	errno = EIO;
	return fwrite(line.text, 1, line.length, stream) == line.length ? 0 : -errno;
}
