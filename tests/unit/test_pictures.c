// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * user/report: pictures. What a history keeps of records and what it leaves out, and that no name
 * of a target becomes a part of a page or of a trace.
 */
#include <errno.h>
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <cmocka.h>

#include "no_memory.h"
#include "output/buffer.h"
#include "report/encode.h"
#include "report/history.h"
#include "report/md5.h"
#include "report/page.h"
#include "report/perfetto.h"
#include "report/torch_trace.h"

#define HOSTILE                                                                                    \
	"</script><script>alert(1)</script>\\u0000<!-- \\\" \\\\ \\u001b[2J \\u202e \\n'&lt;"
#define SECOND 1000000000u
#define BASE   1767323045u /* 2026-01-02T03:04:05Z */

static struct logs *logs;
static struct summary *summary;
static struct history *history;
static struct parser *parser;
static struct run run;

static int begin(void **state)
{
	const struct summary_filter filter = {0};

	(void)state;
	run = (struct run){.host = "box"};
	logs = logs_new();
	summary = summary_new(&filter);
	history = history_new(&filter);
	parser = parser_new();
	assert_true(logs && summary && history && parser);
	return 0;
}

static int end(void **state)
{
	(void)state;
	parser_free(parser);
	history_free(history);
	summary_free(summary);
	logs_free(logs);
	return 0;
}

/* A record at so many us after BASE; mono_ns is 1 s later than the time says. */
__attribute__((format(printf, 3, 4))) static void add(const char *type, unsigned int us,
						      const char *format, ...)
{
	char line[16384 + PARSE_PADDING];
	struct record record = {.type = LOG_TYPE_MAX};
	size_t length;
	va_list arguments;

	length = (size_t)snprintf(line, 16384,
				  "{\"v\":2,\"type\":\"%s\",\"time\":\"2026-01-02T03:04:05.%06d000Z"
				  "\",\"mono_ns\":%llu,\"host\":\"box\",",
				  type, us, 1000ull * us + SECOND);
	va_start(arguments, format);
	length += (size_t)vsnprintf(line + length, 16384 - length, format, arguments);
	va_end(arguments);
	assert_true(length < 16383);
	line[length++] = '}';
	assert_null(parser_parse(parser, line, length, &record));
	assert_int_equal(summary_add(summary, &run, &record), 0);
	assert_int_equal(history_add(history, &run, &record), 0);
}

#define PROCESS(tid)                                                                               \
	"\"pid\":7,\"tid\":" #tid ",\"ns_pid\":3,\"ns_tid\":4,\"start_ns\":5,\"comm\":\"py\","     \
	"\"uid\":0,\"exe\":\"/bin/python3.11\",\"torch\":{\"file\":\"/t/torch/lib/libc10.so\","    \
	"\"version\":\"2.13.0\"},"
#define STACK(name)                                                                                \
	"\"stack_status\":\"whole\",\"user\":{\"file\":\"/m/" name "\",\"function\":\"f\","        \
	"\"line\":3},\"stack\":[{\"file\":\"/m/" name "\",\"function\":\"f\",\"line\":3}]"

static void add_trace(unsigned int id, unsigned int from, unsigned int to)
{
	add("trace_begin", to,
	    PROCESS(8) "\"trace\":%u,\"kind\":\"make_fx\",\"operators\":0,"
		       "\"first_push_ns\":%llu,\"last_pop_ns\":null," STACK("begin.py"),
	    id, 1000ull * from + SECOND);
	add("trace_end", to,
	    PROCESS(8) "\"trace\":%u,\"kind\":\"make_fx\",\"operators\":9,"
		       "\"first_push_ns\":%llu,\"last_pop_ns\":%llu",
	    id, 1000ull * from + SECOND, 1000ull * to + SECOND);
}

static void add_change(unsigned int trace, unsigned int us, bool to)
{
	add("change", us,
	    PROCESS(8) "\"trace\":%u,\"kind\":\"make_fx\",\"from\":%s,\"to\":%s,"
		       "\"info\":false," STACK("change.py"),
	    trace, to ? "false" : "true", to ? "true" : "false");
}

static void add_finding(unsigned int number, unsigned int us, const char *name)
{
	add("finding", us,
	    PROCESS(8) "\"finding\":%u,\"count\":1,\"fingerprint\":"
		       "\"fp1:000000000000000%u\",\"category\":\"scope\",\"severity\":"
		       "\"violation\","
		       "\"trace\":1,\"kind\":\"make_fx\",\"from\":{\"grad\":true},\"to\":{\"grad\":"
		       "false},"
		       "\"restored\":true,\"duration_ns\":2000,\"operators\":1,\"stack_status\":"
		       "\"whole\","
		       "\"user\":{\"file\":\"%s\",\"function\":\"%s\",\"line\":3},"
		       "\"stack\":[{\"file\":\"%s\",\"function\":\"%s\",\"line\":3}]",
	    number, number, name, name, name, name);
}

static uint64_t at(unsigned int us)
{
	return (uint64_t)BASE * SECOND + 1000ull * us;
}

/* --- encoders --------------------------------------------------------------------------------- */

static char *taken(struct buffer *buffer)
{
	char *text = NULL;
	size_t length = 0;

	assert_int_equal(buffer_take(buffer, &text, &length), 0);
	assert_non_null(text);
	return text;
}

static void test_md5(void **state)
{
	static const char *const vector[][2] = {
		{"", "d41d8cd98f00b204e9800998ecf8427e"},
		{"abc", "900150983cd24fb0d6963f7d28e17f72"},
		{"abcdefghijklmnopqrstuvwxyz", "c3fcd3d76192e4007dfb496cca67e13b"},
		{"12345678901234567890123456789012345678901234567890123456789012345678901234567890",
		 "57edf4a22be3c955ac49da2e2107b67a"},
	};
	char text[MD5_TEXT_SIZE];

	(void)state;
	for (size_t i = 0; i < sizeof(vector) / sizeof(vector[0]); i++) {
		md5_text(text, vector[i][0], strlen(vector[i][0]));
		assert_string_equal(text, vector[i][1]);
	}
}

static void test_strings(void **state)
{
	static const char *const text[] = {"",         "a\"\\/b",  "</script>",   "\n\t\x1b\x7f",
					   "\xc3\xa9", "\xff\xfe", "\xe2\x80\xa8"};

	(void)state;
	for (size_t i = 0; i < sizeof(text) / sizeof(text[0]); i++) {
		struct buffer buffer = {0};
		FILE *stream = buffer_stream(&buffer);
		json_t *string;
		char *json;

		assert_int_equal(encode_string(stream, text[i]), 0);
		fclose(stream);
		json = taken(&buffer);
		string = json_loads(json, JSON_DECODE_ANY, NULL);
		assert_non_null(string);
		if (text[i][0] != '\xff')
			assert_string_equal(json_string_value(string), text[i]);
		json_decref(string);
		free(json);
	}
}

static void test_intern(void **state)
{
	struct intern intern = {.bytes_max = 8};
	size_t size;

	(void)state;
	assert_int_equal(intern_add(&intern, "abc", 3), 0);
	assert_int_equal(intern_add(&intern, "de", 2), 1);
	assert_int_equal(intern_add(&intern, "abc", 3), 0);
	assert_int_equal(intern_add(&intern, "long", 4), INTERN_NONE);
	assert_int_equal(intern_add(&intern, "fgh", 3), 2);
	assert_int_equal(intern_add(&intern, "i", 1), INTERN_NONE);
	assert_int_equal(intern.refused, 2);
	assert_string_equal(intern_at(&intern, 1, &size), "de");
	assert_int_equal(size, 2);
	intern_free(&intern);
}

/* --- histories -------------------------------------------------------------------------------- */

static void test_spans(void **state)
{
	(void)state;
	add_change(1, 20, false);
	add_change(1, 30, true);
	add_change(1, 40, false);
	add_trace(1, 10, 60);
	add_change(2, 110, true); /* it began with grad off, and is not put back */
	add_trace(2, 100, 150);
	assert_int_equal(history_finish(history), 0);
	assert_int_equal(history->traces, 2);
	assert_true(history->trace[0].begin == at(10) && history->trace[0].end == at(60));
	assert_true(history->first == at(10));
	assert_int_equal(history->trace[0].operators, 9);
	assert_true(history->trace[0].began && history->trace[0].ended);
	assert_int_equal(history->trace[0].off, 0);
	assert_int_equal(history->trace[1].off, 10000);
	assert_int_equal(history->changes, 4);
	assert_int_equal(history->change[0].off, 10000);
	assert_int_equal(history->change[1].off, 0);
	assert_int_equal(history->change[2].off, 20000); /* until the trace's end */
	assert_int_equal(history->change[3].off, 0);
}

/* What was put back after a trace's end was off until that; the trace is no longer for it. */
static void test_end_of_trace(void **state)
{
	(void)state;
	add_trace(1, 10, 60);
	add_change(1, 20, false);
	add_change(1, 70, true);
	add_trace(2, 100, 150);
	add_change(2, 160, true);
	assert_int_equal(history_finish(history), 0);
	assert_true(history->trace[0].begin == at(10) && history->trace[0].end == at(60));
	assert_int_equal(history->change[0].off, 40000);
	assert_int_equal(history->trace[1].off, 50000);
}

/* What overlaps is in another lane; the next one that does not is in the first again. */
static void test_lanes(void **state)
{
	(void)state;
	add_trace(1, 10, 60);
	add_trace(2, 20, 70);
	add_trace(3, 60, 90);
	assert_int_equal(history_finish(history), 0);
	assert_int_equal(history->trace[0].lane, 0);
	assert_int_equal(history->trace[1].lane, 1);
	assert_int_equal(history->trace[2].lane, 0);
}

/* A finding that occurs again has the thread, trace and stack of the change of its time. */
static void test_again(void **state)
{
	size_t count;
	const uint32_t *stack;

	(void)state;
	add_trace(1, 10, 60);
	add_change(1, 20, false);
	add_finding(1, 20, "/m/model.py");
	add_trace(2, 100, 160);
	add_change(2, 120, false);
	add("again", 120, "\"finding\":1,\"count\":2");
	add("again", 130, "\"finding\":1,\"count\":3"); /* no change is of this time */
	add("again", 140, "\"finding\":9,\"count\":3"); /* nor is this finding in the log */
	assert_int_equal(history_finish(history), 0);
	assert_int_equal(history->marks, 2);
	assert_true(history->mark[0].first && !history->mark[1].first);
	assert_int_equal(history->mark[1].trace, 1);
	assert_int_equal(history->mark[1].fingerprint, history->mark[0].fingerprint);
	stack = history_stack_at(history, history->mark[1].stack, &count);
	assert_int_equal(count, 1);
	assert_string_equal(history_name_at(history, history_frame_at(history, *stack)->file),
			    "/m/change.py");
	assert_int_equal(history->left_out.marks, 2);
}

static void test_limits(void **state)
{
	(void)state;
	history->max = 4;
	add_trace(1, 10, 60);
	for (unsigned int i = 0; i < 5; i++)
		add_change(1, 20 + i, i % 2);
	assert_int_equal(history->changes, 3);
	assert_int_equal(history->left_out.changes, 2);
	for (unsigned int i = 1; i < 5; i++) /* they take the places of changes */
		add_finding(i, 30 + i, "/m/model.py");
	assert_int_equal(history->marks, 3);
	assert_int_equal(history->changes, 0);
	assert_int_equal(history->left_out.changes, 5);
	assert_int_equal(history->left_out.marks, 1);
	add_trace(2, 100, 200);
	assert_int_equal(history->traces, 1);
	assert_int_equal(history->left_out.traces, 1);
	assert_int_equal(history_finish(history), 0);
}

/* --- pages and traces ------------------------------------------------------------------------- */

static struct report report_of(void)
{
	assert_int_equal(summary_finish(summary, logs), 0);
	assert_int_equal(history_finish(history), 0);
	return (struct report){.summary = summary, .logs = logs, .unknown = ""};
}

static char *page_of(const struct report *report)
{
	struct buffer buffer = {0};
	FILE *stream = buffer_stream(&buffer);

	assert_int_equal(page_write(stream, report, history), 0);
	fclose(stream);
	return taken(&buffer);
}

static size_t count_of(const char *text, const char *what)
{
	size_t count = 0;

	for (; (text = strstr(text, what)); text += strlen(what))
		count++;
	return count;
}

static unsigned char digit_of(char character)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const char *at = strchr(digits, character);

	assert_non_null(at);
	return (unsigned char)(at - digits);
}

/* The data of a page. */
static json_t *data_of(const char *page)
{
	const char *from = strstr(page, "id=\"data\">\n"), *to;
	unsigned char *packed;
	char *text = malloc(64u << 20);
	z_stream zip = {0};
	size_t size = 0;
	json_t *data;

	assert_true(from && text);
	from += strlen("id=\"data\">\n");
	to = strchr(from, '<');
	packed = malloc((size_t)(to - from));
	for (; from < to && *from != '='; from += 4) {
		uint32_t three = (uint32_t)digit_of(from[0]) << 18 | digit_of(from[1]) << 12;

		packed[size++] = (unsigned char)(three >> 16);
		if (from[2] == '=')
			break;
		three |= (uint32_t)digit_of(from[2]) << 6;
		packed[size++] = (unsigned char)(three >> 8);
		if (from[3] == '=')
			break;
		packed[size++] = (unsigned char)(three | digit_of(from[3]));
	}
	zip.next_in = packed;
	zip.avail_in = (uInt)size;
	zip.next_out = (unsigned char *)text;
	zip.avail_out = 64u << 20;
	assert_int_equal(inflateInit2(&zip, 15 + 16), Z_OK);
	assert_int_equal(inflate(&zip, Z_FINISH), Z_STREAM_END);
	data = json_loadb(text, zip.total_out, 0, NULL);
	inflateEnd(&zip);
	free(packed);
	free(text);
	assert_non_null(data);
	return data;
}

/* Names are in the data and nowhere else, without control characters. */
static void test_hostile_page(void **state)
{
	struct report empty, full;
	char *before, *page;
	json_t *data, *finding;
	const char *file;

	empty = report_of();
	before = page_of(&empty);
	end(state);
	begin(state);
	add_trace(1, 10, 60);
	add_finding(1, 20, HOSTILE);
	full = report_of();
	page = page_of(&full);
	assert_int_equal(count_of(page, "<script"), count_of(before, "<script"));
	assert_int_equal(count_of(page, "</script"), count_of(before, "</script"));
	assert_null(strstr(page, "alert(1)"));
	data = data_of(page);
	finding = json_array_get(json_object_get(data, "findings"), 0);
	file = json_string_value(json_object_get(finding, "file"));
	assert_true(file && !strncmp(file, "</script><script>alert(1)</script>", 34));
	for (; *file; file++)
		assert_true((unsigned char)*file >= ' ' && *file != 0x7f);
	json_decref(data);
	free(page);
	free(before);
}

static uint64_t number_in(json_t *data, const char *object, const char *key)
{
	return (uint64_t)json_integer_value(json_object_get(json_object_get(data, object), key));
}

/* Stacks that have nothing in common do not fit: the page is small all the same, and says so. */
static void test_large_page(void **state)
{
	static char name[4000];
	unsigned int seed = 1;
	struct report report;
	char *page;
	json_t *data;

	(void)state;
	add_trace(1, 10, 60);
	for (unsigned int i = 0; i < 700; i++) {
		for (size_t j = 0; j < sizeof(name) - 1; j++)
			name[j] = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ./"
				[rand_r(&seed) % 64];
		add("change", 20 + i,
		    PROCESS(8) "\"trace\":1,\"kind\":\"make_fx\",\"from\":true,"
			       "\"to\":false,\"stack_status\":\"whole\",\"stack\":[{\"file\":\"%"
			       "s\","
			       "\"function\":\"f\",\"line\":3}]",
		    name);
		snprintf(name + 3900, 100, "%u", i);
		add("finding", 20 + i,
		    PROCESS(8) "\"finding\":%u,\"count\":1,\"fingerprint\":"
			       "\"fp1:%016x\",\"category\":\"scope\",\"severity\":\"violation\","
			       "\"trace\":1,"
			       "\"kind\":\"make_fx\",\"operators\":1,\"stack_status\":\"whole\","
			       "\"user\":{\"file\":\"%s\",\"function\":\"f\",\"line\":3},"
			       "\"stack\":[{\"file\":\"%s\",\"function\":\"f\",\"line\":3}]",
		    i + 1, i + 1, name, name);
	}
	report = report_of();
	page = page_of(&report);
	assert_true(strlen(page) <= PAGE_BYTES_MAX);
	data = data_of(page);
	assert_true(number_in(data, "left_out", "stacks") > 1000);
	assert_int_equal(
		number_in(data, "left_out", "changes") +
			json_array_size(json_object_get(json_object_get(data, "changes"), "time")),
		700);
	assert_int_equal(json_integer_value(json_object_get(data, "findings_left_out")) +
				 (json_int_t)json_array_size(json_object_get(data, "findings")),
			 700);
	json_decref(data);
	free(page);
}

static json_t *perfetto_of(void)
{
	struct buffer buffer = {0};
	FILE *stream = buffer_stream(&buffer);
	json_t *trace;
	char *text;

	assert_int_equal(perfetto_write(stream, history), 0);
	fclose(stream);
	text = taken(&buffer);
	trace = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
	free(text);
	assert_non_null(trace);
	return trace;
}

static void test_perfetto(void **state)
{
	json_t *trace, *events, *event;
	size_t i;
	double base, seen = 0;
	unsigned int slices = 0, instants = 0;

	(void)state;
	add_trace(1, 10, 60);
	add_trace(2, 20, 70);
	add_change(1, 20, false);
	add_change(1, 30, true);
	add_finding(1, 20, HOSTILE);
	assert_int_equal(history_finish(history), 0);
	trace = perfetto_of();
	base = (double)json_integer_value(json_object_get(trace, "baseTimeNanoseconds"));
	assert_true((uint64_t)base % ((uint64_t)PERFETTO_QUARTER_S * SECOND) == 0);
	events = json_object_get(trace, "traceEvents");
	json_array_foreach(events, i, event)
	{
		const char *phase = json_string_value(json_object_get(event, "ph"));
		const char *name = json_string_value(json_object_get(event, "name"));

		assert_true(json_integer_value(json_object_get(event, "pid")) >= PERFETTO_FIRST_ID);
		if (!strcmp(name, "make_fx trace 1"))
			seen = json_number_value(json_object_get(event, "ts"));
		slices += !strcmp(phase, "X");
		instants += !strcmp(phase, "i");
	}
	assert_int_equal(slices, 3);
	assert_int_equal(instants, 1);
	assert_true(seen == (double)(at(10) - (uint64_t)base) / 1000);
	json_decref(trace);
}

static void test_torch_trace(void **state)
{
	struct buffer buffer = {0};
	FILE *stream = buffer_stream(&buffer);
	char *text, *payload, *named, digest[MD5_TEXT_SIZE];
	size_t count;

	(void)state;
	assert_int_equal(torch_trace_pid("V1126 16:17:17.602000 28014 torch/x.py:28] {}"), 28014);
	assert_int_equal(torch_trace_pid("\tV1126 16:17:17.602000 28014 torch/x.py:28] {}"), 0);
	assert_int_equal(torch_trace_pid(""), 0);
	add_trace(1, 10, 60);
	add_finding(1, 20, HOSTILE);
	(void)report_of();
	assert_int_equal(torch_trace_write(stream, history, summary, 7, &count), 0);
	assert_int_equal(count, 0); /* 7 is its pid elsewhere */
	assert_int_equal(torch_trace_write(stream, history, summary, 3, &count), 0);
	assert_int_equal(count, 1);
	fclose(stream);
	text = taken(&buffer);
	assert_int_equal(count_of(text, "\n"), 2);
	assert_int_equal(torch_trace_pid(text), 3);
	payload = strchr(text, '\t');
	assert_non_null(payload);
	payload++;
	payload[strlen(payload) - 1] = '\0';
	md5_text(digest, payload, strlen(payload));
	named = strstr(text, "\"has_payload\": \"");
	assert_non_null(named);
	assert_memory_equal(named + 16, digest, 32);
	free(text);
}

/* --- memory ----------------------------------------------------------------------------------- */

static void write_all(void *context)
{
	const struct report *report = context;
	struct buffer page = {0}, trace = {0};
	FILE *stream = buffer_stream(&page);
	char *text = NULL;
	size_t length;
	int code = stream ? page_write(stream, report, history) : -ENOMEM;

	if (stream)
		fclose(stream);
	if (!buffer_take(&page, &text, &length) && !code)
		assert_true(strstr(text, "</html>"));
	free(text);
	text = NULL;
	stream = buffer_stream(&trace);
	code = stream ? perfetto_write(stream, history) : -ENOMEM;
	if (stream)
		fclose(stream);
	if (!buffer_take(&trace, &text, &length) && !code)
		assert_int_equal(text[length - 2], '}');
	free(text);
}

static void test_no_memory(void **state)
{
	struct report report;

	(void)state;
	require_failures();
	add_trace(1, 10, 60);
	add_change(1, 20, false);
	add_finding(1, 20, "/m/model.py");
	report = report_of();
	assert_true(with_failures(write_all, &report) > 10);
}

/* What is printed as it is must be what gradwatch makes: else the record is not understood. */
static void test_hostile_fingerprint(void **state)
{
	static const char *const bad[] = {"fp1:\\u001b[2J", "fp1:\\u009b2J", "\\u202efp1:0",
					  "fp1:<b>"};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		add("finding", 20,
		    PROCESS(8) "\"finding\":1,\"count\":1,\"fingerprint\":\"%s\","
			       "\"category\":\"scope\",\"severity\":\"violation\"," STACK("a.py"),
		    bad[i]);
		assert_int_equal(summary_facts(summary)->undecoded, i + 1);
	}
	assert_int_equal(summary_finish(summary, logs), 0);
	assert_int_equal(summary_findings(summary), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_md5),
		cmocka_unit_test(test_strings),
		cmocka_unit_test(test_intern),
		TEST(test_spans),
		TEST(test_end_of_trace),
		TEST(test_lanes),
		TEST(test_again),
		TEST(test_limits),
		TEST(test_hostile_page),
		TEST(test_large_page),
		TEST(test_perfetto),
		TEST(test_torch_trace),
		TEST(test_hostile_fingerprint),
		TEST(test_no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
