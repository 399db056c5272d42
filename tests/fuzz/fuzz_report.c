// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A log of any lines is reported in every form. Whatever is in them: JSON is JSON, text is UTF-8
 * without control bytes, and no byte of a log is a part of the page.
 *
 * The first byte chooses a form of the log and options; the rest are its lines. In a segment they
 * get their number and checksum here, as the fuzzer would hardly find one.
 */
#include <fcntl.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zlib.h>

#include "fence.h"
#include "log/crc32c.h"
#include "page_text.h"
#include "report/history.h"
#include "report/page.h"
#include "report/perfetto.h"
#include "report/report.h"
#include "report/timeline.h"
#include "report/torch_trace.h"

#define SEGMENT   1u
#define SUPPRESS  2u
#define FILTER    4u
#define FAST      8u /* without what shows stacks */
#define UNKNOWN   16u

#define PLAIN_MAX (16u << 20) /* bytes of a page's data */
#define NS_PID    3           /* of the seeds */

struct sources {
	struct logs *logs;
	struct summary *summary;
	struct history *history;
	struct timeline *timeline;
	uint64_t damages;
};

/* A file of the log; its path in name[32]. */
static int make_file(const uint8_t *data, size_t size, bool segment, char *name)
{
	int fd = memfd_create("log", MFD_CLOEXEC);
	FILE *file = fd < 0 ? NULL : fdopen(dup(fd), "w");
	unsigned int number = 0;

	CHECK(file);
	while (size) {
		const uint8_t *newline = memchr(data, '\n', size);
		size_t length = newline ? (size_t)(newline - data) : size;
		char *line;

		if (segment && length && data[length - 1] == '}') {
			int used = asprintf(&line, "%.*s,\"seq\":%u", (int)length - 1,
					    (const char *)data, number++);

			CHECK(used > 0);
			fprintf(file, "%s" LOG_TAIL, line, crc32c(line, strlen(line)));
			free(line);
		} else {
			fwrite(data, 1, length, file);
			fputc('\n', file);
		}
		length += newline != NULL;
		data += length;
		size -= length;
	}
	CHECK(!fclose(file));
	snprintf(name, 32, "/proc/self/fd/%d", fd);
	return fd;
}

static void read_all(struct sources *sources)
{
	enum logs_item item;

	while ((item = logs_next(sources->logs)) != LOGS_END) {
		const struct record *record;

		if (item == LOGS_RECORD && logs_record(sources->logs)->head &&
		    summary_needs_stack(sources->summary, logs_record(sources->logs)) &&
		    !logs_complete(sources->logs))
			item = LOGS_DAMAGE;
		sources->damages += item == LOGS_DAMAGE;
		if (item != LOGS_RECORD)
			continue;
		record = logs_record(sources->logs);
		CHECK(logs_run(sources->logs));
		CHECK(!summary_add(sources->summary, logs_run(sources->logs), record));
		if (!sources->history)
			continue;
		CHECK(!history_add(sources->history, logs_run(sources->logs), record));
		CHECK(!timeline_add(sources->timeline, logs_run(sources->logs), record));
	}
	CHECK(!summary_finish(sources->summary, sources->logs));
	CHECK(!sources->history || !history_finish(sources->history));
}

/* UTF-8 without control bytes, but line feeds and perhaps tabs. */
static void check_utf8(const char *text, size_t size, bool tabs)
{
	json_t *string = json_stringn(text, size); /* NULL: it is not UTF-8 */

	CHECK(string);
	json_decref(string);
	for (size_t i = 0; i < size; i++)
		CHECK((unsigned char)text[i] >= 0x20 || text[i] == '\n' ||
		      (tabs && text[i] == '\t'));
}

/* Nor what else a terminal acts on, or turns the direction of reading: JSON may have that. */
static void check_text(const char *text, size_t size)
{
	check_utf8(text, size, false);
	CHECK(!memchr(text, 0x7f, size));
	for (size_t i = 0; i + 1 < size; i++)
		CHECK(text[i] != '\xc2' || (unsigned char)text[i + 1] >= 0xa0); /* C1 */
	CHECK(!memmem(text, size, "\u202e", 3) && !memmem(text, size, "\u2066", 3));
}

/* One object, and no key twice. */
static void check_json(const char *text, size_t size)
{
	/* Whole numbers may be as large as a log says. */
	json_t *json = json_loadb(text, size, JSON_REJECT_DUPLICATES | JSON_DECODE_INT_AS_REAL,
				  NULL);

	CHECK(json_is_object(json));
	json_decref(json);
}

static unsigned int digit_of(char character)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const char *found = strchr(digits, character);

	CHECK(character && found);
	return (unsigned int)(found - digits);
}

/* The data of a page is in base64 and nothing else, and is JSON in gzip. */
static void check_page(const char *text, size_t size)
{
	static const char head[] = PAGE_HEAD, tail[] = PAGE_TAIL;
	static unsigned char packed[PAGE_BYTES_MAX], plain[PLAIN_MAX];
	z_stream stream = {.next_in = packed, .next_out = plain, .avail_out = sizeof(plain)};
	size_t before = sizeof(head) - 1, behind = sizeof(tail) - 1, used = 0, end;

	CHECK(size <= PAGE_BYTES_MAX && size > before + behind);
	CHECK(!memcmp(text, head, before) && !memcmp(text + size - behind, tail, behind));
	end = size - behind;
	CHECK((end - before) % 4 == 0);
	for (size_t i = before; i < end; i += 4) {
		unsigned int padding = text[i + 3] != '=' ? 0 : text[i + 2] != '=' ? 1 : 2;
		uint32_t bits = digit_of(text[i]) << 18 | digit_of(text[i + 1]) << 12;

		CHECK(!padding || i + 4 == end);
		if (padding < 2)
			bits |= digit_of(text[i + 2]) << 6;
		if (!padding)
			bits |= digit_of(text[i + 3]);
		for (unsigned int byte = 0; byte < 3 - padding; byte++)
			packed[used++] = (unsigned char)(bits >> (16 - 8 * byte));
	}
	stream.avail_in = (unsigned int)used;
	CHECK(inflateInit2(&stream, 15 + 16) == Z_OK);
	CHECK(inflate(&stream, Z_FINISH) == Z_STREAM_END && !stream.avail_in);
	check_json((const char *)plain, stream.total_out);
	inflateEnd(&stream);
}

/* Records of a TORCH_TRACE log: a line that ends in an object, and its payload behind a tab. */
static void check_torch_trace(char *text, size_t size)
{
	char *line;

	check_utf8(text, size, true);
	while ((line = strsep(&text, "\n")) && *line) {
		char *object = strstr(line, "] {"), *payload = strsep(&text, "\n");

		CHECK(line[0] == 'V' && object && payload && payload[0] == '\t');
		check_json(object + 2, strlen(object + 2));
		check_json(payload + 1, strlen(payload + 1));
	}
}

enum form { TEXT, JSON, PAGE, PERFETTO, TORCH_TRACE, TIMELINE, FORMS };

static int write_form(FILE *stream, enum form form, const struct report *report,
		      const struct sources *sources)
{
	size_t count;

	switch (form) {
	case TEXT:
		report_text(stream, report);
		return 0;
	case JSON:
		return report_json(stream, report);
	case PAGE:
		return page_write(stream, report, sources->history);
	case PERFETTO:
		return perfetto_write(stream, sources->history);
	case TORCH_TRACE:
		return torch_trace_write(stream, sources->history, sources->summary, NS_PID,
					 &count);
	default:
		timeline_text(stream, sources->timeline);
		return 0;
	}
}

static void check_form(enum form form, const struct report *report, const struct sources *sources)
{
	char *text = NULL;
	size_t size = 0;
	FILE *stream = open_memstream(&text, &size);

	CHECK(stream);
	CHECK(!write_form(stream, form, report, sources));
	CHECK(!fclose(stream));
	switch (form) {
	case TEXT:
	case TIMELINE:
		check_text(text, size);
		break;
	case PAGE:
		check_page(text, size);
		break;
	case TORCH_TRACE:
		check_torch_trace(text, size);
		break;
	default:
		check_utf8(text, size, false);
		check_json(text, size);
	}
	free(text);
}

static struct suppressions *make_suppressions(void)
{
	static const char text[] = "some make_fx */a.py *\nrest pre_dispatch,export * f*\n";
	struct err err;

	return suppressions_parse(text, sizeof(text) - 1, &err);
}

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned int seed);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Puts words that are JSON, and hostile, to the begin of a value: random bytes are mostly no
 * record. */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned int seed)
{
	static const char *const inside[] = {
		"\\u001b[2J", "</script>", "\\u0000",  "\\n\\t1. ",      "\u202e",
		"\xc2\x85",   "\\\"",      "\xc3\xa9", "\\ud83d\\ude00",
	};
	static const char *const number[] = {"1", "18446744073709551615", "9", "-1", "null,\"x\":"};
	const uint8_t *found = size ? memchr(data + seed % size, ':', size - seed % size) : NULL;
	size_t at = found ? (size_t)(found - data) + 1 : size;
	const char *word = number[seed / 7 % (sizeof(number) / sizeof(number[0]))];

	if (seed % 3 == 0 || at + 1 >= size)
		return LLVMFuzzerMutate(data, size, max);
	if (data[at] == '"') {
		at++;
		word = inside[seed / 7 % (sizeof(inside) / sizeof(inside[0]))];
	}
	if (size + strlen(word) > max)
		return LLVMFuzzerMutate(data, size, max);
	memmove(data + at + strlen(word), data + at, size - at);
	memcpy(data + at, word, strlen(word));
	return size + strlen(word);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const unsigned int options = size ? data[0] : 0;
	struct summary_filter filter = {0};
	struct sources sources = {0};
	struct report report = {0};
	char name[32];
	int fd;

	if (!size)
		return 0;
	sources.logs = logs_new();
	if (options & FILTER) {
		filter.since = "2026-01-02T03:04:05.5";
		filter.pid = 7;
	}
	if (options & SUPPRESS)
		filter.suppressions = make_suppressions();
	fd = make_file(data + 1, size - 1, options & SEGMENT, name);
	sources.summary = summary_new(&filter);
	CHECK(sources.logs && sources.summary && !logs_add(sources.logs, name));
	if (options & FAST) {
		logs_set_fast(sources.logs);
	} else {
		sources.history = history_new(&filter);
		sources.timeline = timeline_new(1);
		CHECK(sources.history && sources.timeline);
	}
	read_all(&sources);
	report = (struct report){.summary = sources.summary,
				 .logs = sources.logs,
				 .baseline = options & FILTER ? sources.summary : NULL,
				 .filtered = options & FILTER,
				 .damages = sources.damages,
				 .unknown = options & UNKNOWN ? "runs without an end: 1" : "",
				 .unknown_baseline = ""};
	for (enum form form = TEXT; form < FORMS; form++)
		if (form < PAGE || sources.history)
			check_form(form, &report, &sources);
	timeline_free(sources.timeline);
	history_free(sources.history);
	summary_free(sources.summary);
	logs_free(sources.logs);
	suppressions_free(filter.suppressions);
	close(fd);
	return 0;
}
