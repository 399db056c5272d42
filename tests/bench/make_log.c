// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * make_log OUT BYTES SOURCE...: a log of at least BYTES in the new folder OUT, made of the records
 * of real ones: their copies have other processes, traces, times and lines, and are written by
 * gradwatch's own writer, so with right numbers and checksums. A process that comes again has its
 * findings again: how many different ones there are does not grow with the log.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "log/segment.h"
#include "log/segments.h"

#define PROCESSES     1000
#define FINDINGS_MAX  1000 /* of one process */
#define LINES_MAX     100000
#define SEGMENT_BYTES (16u << 20)
#define TICK_NS       1000000ull

struct totals {
	uint64_t processes, traces, violations, infos, findings, notes;
};

static char *line[LINES_MAX], *end_line;
static size_t lines;
static struct totals totals;

static void fail(const char *what)
{
	fprintf(stderr, "make_log: %s\n", what);
	exit(1);
}

/* The record without its number and checksum. */
static char *body_of(const char *text)
{
	const char *seq = strstr(text, ",\"seq\":");
	char *body = NULL;

	for (const char *next = seq; next; next = strstr(next + 1, ",\"seq\":"))
		seq = next;
	if (!seq || asprintf(&body, "%.*s}", (int)(seq - text), text) < 0)
		fail("a line is no record of a log");
	return body;
}

static void read_source(const char *path)
{
	FILE *file = fopen(path, "r");
	char *text = NULL;
	size_t room = 0;
	ssize_t length;

	if (!file)
		fail(path);
	while ((length = getline(&text, &room, file)) > 0) {
		enum log_type type = segment_type(text, (size_t)length);

		if (type == LOG_TYPE_END)
			end_line = body_of(text);
		else if (type != LOG_TYPE_HEADER && type != LOG_TYPE_CLOSE &&
			 type != LOG_TYPE_START && lines < LINES_MAX)
			line[lines++] = body_of(text);
	}
	free(text);
	fclose(file);
}

/* What a copy has at a key instead; false: the same. */
static bool replace(const char *key, uint64_t old, uint64_t copy, uint64_t now, uint64_t *value)
{
	uint64_t process = copy % PROCESSES;

	if (!strcmp(key, "\"pid\":") || !strcmp(key, "\"tid\":") || !strcmp(key, "\"ns_pid\":") ||
	    !strcmp(key, "\"ns_tid\":"))
		*value = 10000 + process;
	else if (!strcmp(key, "\"mono_ns\":"))
		*value = now;
	else if (!strcmp(key, "\"trace\":"))
		*value = old + copy * 1000;
	else if (!strcmp(key, "\"finding\":"))
		*value = old + process * FINDINGS_MAX;
	else if (!strcmp(key, "\"count\":"))
		*value = old + copy / PROCESSES;
	else if (!strcmp(key, "\"line\":"))
		*value = old + copy % 50;
	else
		return false;
	return true;
}

/* The copy of a line, in place of the one before. */
static const char *copy_of(const char *text, uint64_t copy, uint64_t now, size_t *length)
{
	static char out[1 << 20];
	char *to = out;

	while (*text) {
		const char *colon;
		char key[32], *after;
		uint64_t value;

		*to++ = *text++;
		if (to > out + sizeof(out) - 128)
			fail("a line is too long");
		if (text[-1] != '"')
			continue;
		if (!strncmp(text, "time\":\"", 7)) {
			to = stpcpy(to, "time\":\"");
			clock_rfc3339(to, now);
			to += strlen(to);
			text = strchr(text + 7, '"');
			continue;
		}
		colon = memchr(text, ':', sizeof(key) - 2);
		if (!colon || colon[-1] != '"' || colon[1] < '0' || colon[1] > '9')
			continue;
		snprintf(key, sizeof(key), "\"%.*s", (int)(colon - text) + 1, text);
		if (!replace(key, strtoull(colon + 1, &after, 10), copy, now, &value))
			continue;
		to += sprintf(to, "%s%" PRIu64, key + 1, value);
		text = after;
	}
	*to = '\0';
	*length = (size_t)(to - out);
	return out;
}

/* What the record adds to the run's totals; a finding is one, however often it comes. */
static void count(const char *text, size_t length, uint64_t copy)
{
	enum log_type type = segment_type(text, length);
	bool note = strstr(text, "\"severity\":\"note\""), info = strstr(text, "\"info\":true");
	bool alarm = strstr(text, "\"severity\":\"violation\"") ||
		     strstr(text, "\"severity\":\"low\"");

	totals.traces += type == LOG_TYPE_TRACE_BEGIN;
	totals.violations += type == LOG_TYPE_CHANGE && !info;
	totals.infos += type == LOG_TYPE_CHANGE && info;
	totals.findings += type == LOG_TYPE_FINDING && alarm && copy < PROCESSES;
	totals.notes += type == LOG_TYPE_FINDING && note && copy < PROCESSES;
}

/* The record at the end of a run that had all of it. */
static char *make_end(void)
{
	const struct {
		const char *key;
		uint64_t value;
	} wanted[] = {
		{"\"traces\":", totals.traces}, {"\"violations\":", totals.violations},
		{"\"infos\":", totals.infos},   {"\"findings\":", totals.findings},
		{"\"notes\":", totals.notes},   {"\"processes\":", totals.processes},
		{"\"throttled\":", 0},
	};
	char *text = end_line;

	for (size_t i = 0; i < sizeof(wanted) / sizeof(*wanted); i++) {
		char *found = strstr(text, wanted[i].key), *after, *more;

		if (!found)
			fail("the end record lacks a total");
		found += strlen(wanted[i].key);
		(void)strtoull(found, &after, 10);
		if (asprintf(&more, "%.*s%" PRIu64 "%s", (int)(found - text), text, wanted[i].value,
			     after) < 0)
			fail("out of memory");
		text = more;
	}
	return text;
}

static void write_log(struct segments *segments, uint64_t bytes)
{
	uint64_t now = 1790000000000000000ull, written = 0;
	const char *text;
	size_t length;
	char *end;

	for (uint64_t copy = 0; written < bytes; copy++) {
		totals.processes += copy < PROCESSES;
		for (size_t i = 0; i < lines; i++) {
			if (segment_type(line[i], strlen(line[i])) == LOG_TYPE_TOTALS)
				continue;
			text = copy_of(line[i], copy, now += TICK_NS, &length);
			count(text, length, copy);
			if (segments_put(segments, text, length))
				fail("cannot write");
			written += length;
		}
	}
	end = make_end();
	text = copy_of(end, 0, now + TICK_NS, &length);
	if (segments_put(segments, text, length))
		fail("cannot write");
}

int main(int argc, char **argv)
{
	static const struct log_identity identity = {
		.host = "bench", .boot_id = "b", .run_id = "0123456789abcdef"};
	struct segments_config config = {
		.owner = geteuid(),
		.identity = &identity,
		.level = "changes",
		.sync = SEGMENTS_SYNC_NONE,
		.max_bytes = SEGMENT_BYTES,
		.plain = true,
	};
	struct segments *segments;
	const char *what = NULL;
	struct err err;

	if (argc < 4)
		fail("make_log OUT BYTES SOURCE...");
	for (int i = 3; i < argc; i++)
		read_source(argv[i]);
	if (!lines || !end_line)
		fail("the sources are no whole log");
	config.path = argv[1];
	segments = segments_open(&config, &err);
	if (!segments || segments_start(segments, &err))
		fail(err.text);
	write_log(segments, strtoull(argv[2], NULL, 10));
	if (segments_close(segments, &what))
		fail(what);
	return 0;
}
