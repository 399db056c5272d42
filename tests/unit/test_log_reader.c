// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * user/log: reading. A log of 100 kB is cut at every byte, and bytes of it are changed: what is
 * read are exactly the lines that are left as they were, and every damage is told.
 */
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>
#include <cmocka.h>

#include "log/compress.h"
#include "log/crc32c.h"
#include "log/folder.h"
#include "log/logs.h"
#include "log/reader.h"
#include "log/segments.h"

#define LOG_SIZE  100000
#define LINES_MAX 1000

#ifdef __SANITIZE_ADDRESS__
#define EVERY 23 /* these take long there */
#else
#define EVERY 1
#endif
#define FLIPS 100000

struct line {
	const char *text;
	size_t length; /* with its newline */
};

static const struct log_identity identity = {
	.host = "box", .boot_id = "b", .run_id = "0123456789abcdef"};

static char directory[] = "/tmp/gradwatch-reader-XXXXXX";
static char *whole; /* the text of a segment */
static size_t whole_size;
static struct line lines[LINES_MAX];
static size_t line_count;

static void put_records(struct segments *segments, int from, int count)
{
	char text[2048];

	for (int i = from; i < from + count; i++) {
		snprintf(text, sizeof(text),
			 "{\"v\":2,\"type\":\"%s\",\"time\":\"2026-01-02T03:04:05.%09dZ\",\"mono_"
			 "ns\":%d,"
			 "\"host\":\"b\\u00f6x\",\"pid\":%d,\"torch\":{\"file\":null,\"version\":"
			 "\"2.1%d\"},"
			 "\"stack\":[{\"file\":\"/a/%d.py\",\"function\":\"f\",\"line\":%d},"
			 "{\"file\":\"/b\",\"function\":\"%.*s\",\"line\":null}],\"x\":-1.5e3}\n",
			 i % 3 ? "change" : "finding", i, i, 4711 + i % 7, i % 5, i, i, i % 300,
			 "ggggggggggggggggggggggggggggggggggggggggggggggggggggggggggggggggggggggggg"
			 "ggggggg"
			 "ggggggggggggggggggggggggggggggggggggggggggggggggggggggggggggggggggggggggg"
			 "ggggggg"
			 "ggggggggggggggggggggggggggggggggggggggggggggggggggggggggggggggggggggggggg"
			 "ggggggg"
			 "ggggggggggggggggggggggggggggggggggggggggggggggggggggggggggggggggggggggggg"
			 "ggggggg");
		assert_int_equal(segments_put(segments, text, strlen(text)), 0);
	}
}

static struct segments *open_log(const char *path, bool plain)
{
	const struct segments_config config = {.path = path,
					       .owner = geteuid(),
					       .identity = &identity,
					       .level = "changes",
					       .plain = plain};
	struct err err;
	struct segments *segments = segments_open(&config, &err);

	if (!segments || segments_start(segments, &err))
		fail_msg("%s", err.text);
	return segments;
}

static void close_log(struct segments *segments)
{
	const char *what;

	assert_int_equal(segments_close(segments, &what), 0);
}

/* The path of a log's only segment. */
static const char *segment_of(const char *path, const char *end)
{
	static char found[600];
	int folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char **names = folder_names(folder, end);

	close(folder);
	assert_non_null(names);
	assert_non_null(names[0]);
	assert_null(names[1]);
	snprintf(found, sizeof(found), "%s/%s", path, names[0]);
	folder_free_names(names);
	return found;
}

static char *contents(const char *path, size_t *size)
{
	FILE *file = fopen(path, "r");
	char *text = malloc(2 * LOG_SIZE);

	assert_non_null(file);
	assert_non_null(text);
	*size = fread(text, 1, 2 * LOG_SIZE, file);
	fclose(file);
	return text;
}

static int set_up(void **state)
{
	struct segments *segments;

	(void)state;
	/* Many readers: their memory is not given back each time. */
	mallopt(M_MMAP_THRESHOLD, 64 << 20);
	mallopt(M_TRIM_THRESHOLD, 64 << 20);
	if (!mkdtemp(directory) || chdir(directory))
		return -1;
	segments = open_log("log", true);
	put_records(segments, 0, 240);
	close_log(segments);
	whole = contents(segment_of("log", FOLDER_PLAIN), &whole_size);
	assert_true(whole_size > LOG_SIZE * 9 / 10 && whole_size < LOG_SIZE * 11 / 10);
	for (const char *at = whole; at < whole + whole_size; at += lines[line_count++].length) {
		const char *newline = memchr(at, '\n', (size_t)(whole + whole_size - at));

		lines[line_count] = (struct line){at, (size_t)(newline - at) + 1};
	}
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	free(whole);
	return system("rm -r log") || chdir("/") || rmdir(directory) ? -1 : 0;
}

static int memory_file(const void *bytes, size_t size)
{
	int fd = memfd_create("log", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, size), size);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	return fd;
}

/* What a file gives: which records there are, and what is damaged. */
struct result {
	uint64_t records, damages, sum; /* of the numbers of records */
	/* Damaged offsets within a frame can make a line that was there before again. */
	uint64_t distinct;
	uint64_t first_offset; /* of a damage */
	const char *first_what;
	struct reader_state state;
};

static struct result read_fd(int fd, const char *name)
{
	struct reader *reader = reader_new();
	struct result result = {0};
	bool seen[LINES_MAX] = {0};
	enum reader_item item;

	assert_non_null(reader);
	assert_int_equal(reader_open(reader, fd, name), 0);
	while ((item = reader_next(reader)) != READER_END) {
		const struct reader_damage *damage = reader_damage(reader);

		if (item == READER_RECORD) {
			const struct value *seq = &reader_record(reader)->field[FIELD_SEQ];

			result.records++;
			result.sum += seq->kind == VALUE_NUMBER ? seq->number : 0;
			if (seq->kind == VALUE_NUMBER && seq->number < LINES_MAX) {
				result.distinct += !seen[seq->number];
				seen[seq->number] = true;
			}
			continue;
		}
		assert_non_null(damage->what);
		if (!result.damages++) {
			result.first_offset = damage->offset;
			result.first_what = damage->what;
		}
	}
	result.state = *reader_state(reader);
	assert_int_equal(result.state.records, result.records);
	assert_int_equal(result.state.damages, result.damages);
	reader_free(reader);
	return result;
}

static struct result read_bytes(const void *bytes, size_t size)
{
	int fd = memory_file(bytes, size);
	struct result result = read_fd(fd, NULL);

	close(fd);
	return result;
}

static void test_whole(void **state)
{
	struct result result = read_bytes(whole, whole_size);

	(void)state;
	assert_int_equal(result.damages, 0);
	assert_int_equal(result.records, line_count);
	assert_true(result.state.checked);
	assert_true(result.state.closed);
	assert_int_equal(result.state.bytes, whole_size);
}

/* At every byte: all lines before the cut are read, the cut is told with its place. */
static void test_every_cut(void **state)
{
	int fd = memory_file(whole, whole_size);
	size_t line = line_count, start = whole_size;

	(void)state;
	for (size_t size = whole_size; size-- > 0;) {
		struct result result;
		bool newline_only;

		while (line && start > size)
			start -= lines[--line].length;
		if (size % EVERY)
			continue;
		assert_int_equal(ftruncate(fd, (off_t)size), 0);
		assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
		result = read_fd(fd, NULL);
		newline_only = size - start == lines[line].length - 1;
		assert_int_equal(result.records, line + newline_only);
		assert_true(result.damages >= 1);
		assert_int_equal(result.first_offset, newline_only ? size : start);
	}
	close(fd);
}

static uint64_t state_of_random = 1;

static uint32_t random_number(void)
{
	state_of_random = state_of_random * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(state_of_random >> 33);
}

/* Which of the lines of a text are as they were. */
static struct result expected_of(const char *text, size_t size)
{
	struct result expected = {0};
	size_t n = 0;

	for (const char *at = text; at < text + size;) {
		const char *newline = memchr(at, '\n', (size_t)(text + size - at));
		size_t length = newline ? (size_t)(newline - at) + 1 : (size_t)(text + size - at);

		/* Lines are in order, and differ by their number. */
		for (size_t i = n; i < line_count && i < n + 3; i++)
			if (lines[i].length == length && !memcmp(lines[i].text, at, length)) {
				expected.records++;
				expected.sum += i;
				n = i + 1;
				break;
			}
		at += length;
	}
	return expected;
}

static void test_flips(void **state)
{
	char *text = malloc(whole_size);

	(void)state;
	assert_non_null(text);
	memcpy(text, whole, whole_size);
	for (int i = 0; i < FLIPS / EVERY; i++) {
		size_t at = random_number() % whole_size;
		struct result expected, result;

		/* Each bit, and each other byte. */
		text[at] = (char)(text[at] ^ (i % 2 ? 1u << i / 2 % 8 : 1 + random_number() % 255));
		expected = expected_of(text, whole_size);
		result = read_bytes(text, whole_size);
		/* The last newline: its record is whole. */
		if (at == whole_size - 1 && result.records == expected.records + 1)
			expected.sum += line_count - 1;
		else
			assert_int_equal(result.records, expected.records);
		assert_int_equal(result.sum, expected.sum);
		assert_true(result.damages >= 1);
		/* Behind it, where it has become a newline: the line before is empty then. */
		assert_true(result.first_offset <= at + 1);
		assert_true(at + 1 - result.first_offset < 2048);
		text[at] = whole[at];
	}
	free(text);
}

/* Frames of some lines each. */
static size_t compress_text(char *out, size_t room)
{
	size_t used = 0;

	ZSTD_CCtx *context = ZSTD_createCCtx();

	assert_non_null(context);
	ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1);
	for (size_t line = 0; line < line_count; line += 20) {
		size_t length = 0;

		for (size_t i = line; i < line + 20 && i < line_count; i++)
			length += lines[i].length;
		used += ZSTD_compress2(context, out + used, room - used, lines[line].text, length);
	}
	ZSTD_freeCCtx(context);
	return used;
}

static void test_zstd_damage(void **state)
{
	char packed[LOG_SIZE], name[] = "x.jsonl.zst";
	size_t size = compress_text(packed, sizeof(packed));
	struct result result = read_bytes(packed, size);
	int fd;

	(void)state;
	assert_int_equal(result.records, line_count);
	assert_int_equal(result.damages, 0);
	for (int i = 0; i < FLIPS / 10 / EVERY; i++) {
		size_t at = random_number() % size;
		char before = packed[at];

		packed[at] = (char)(before ^ (1 + random_number() % 255));
		fd = memory_file(packed, size);
		result = read_fd(fd, name);
		close(fd);
		packed[at] = before;
		/* Not all bytes of a frame matter. */
		assert_true(result.damages || result.records == line_count);
		/* Frames that are not hurt are read. */
		assert_in_range(result.distinct, line_count - 20, line_count);
	}
	for (size_t cut = 0; cut < size; cut += EVERY) {
		result = read_bytes(packed, cut);
		assert_true(result.damages >= 1);
		assert_true(result.records < line_count || cut + 16 > size);
	}
}

static void test_gzip(void **state)
{
	char packed[LOG_SIZE];
	z_stream stream = {0};
	struct result result;
	size_t size;

	(void)state;
	assert_int_equal(deflateInit2(&stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY),
			 Z_OK);
	stream.next_in = (unsigned char *)whole;
	stream.avail_in = (unsigned int)whole_size;
	stream.next_out = (unsigned char *)packed;
	stream.avail_out = sizeof(packed);
	assert_int_equal(deflate(&stream, Z_FINISH), Z_STREAM_END);
	size = stream.total_out;
	deflateEnd(&stream);
	result = read_bytes(packed, size);
	assert_int_equal(result.records, line_count);
	assert_int_equal(result.damages, 0);
	for (size_t cut = 0; cut < size; cut += EVERY) {
		result = read_bytes(packed, cut);
		assert_true(result.damages >= 1);
		assert_true(result.records < line_count || cut + 16 > size); /* its trailer */
	}
	for (int i = 0; i < FLIPS / 100; i++) {
		size_t at = random_number() % size;

		packed[at] ^= 1;
		result = read_bytes(packed, size);
		packed[at] ^= 1;
		assert_true(result.damages || result.records == line_count);
		assert_true(result.records <= line_count);
	}
}

/* Both ends of a pipe: what is read comes in pieces. */
static void test_pipe(void **state)
{
	struct result result;
	int ends[2], status;
	pid_t child;

	(void)state;
	assert_int_equal(pipe(ends), 0);
	child = fork();
	if (!child) {
		for (size_t at = 0; at < whole_size; at += 7)
			if (write(ends[1], whole + at, whole_size - at < 7 ? whole_size - at : 7) <
			    0)
				_exit(1);
		_exit(0);
	}
	close(ends[1]);
	result = read_fd(ends[0], NULL);
	close(ends[0]);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	assert_int_equal(result.records, line_count);
	assert_int_equal(result.damages, 0);
}

static void check_bad(const char *text, const char *what)
{
	struct result result = read_bytes(text, strlen(text));

	assert_int_equal(result.records, 0);
	assert_true(result.damages >= 1);
	assert_string_equal(result.first_what, what);
}

static void test_bad_lines(void **state)
{
	static const char end[] = "{\"v\":2,\"type\":\"end\"}\n";
	static const char plain[] =
		"\n{\"v\":2,\"type\":\"start\"}\n\n{\"v\":3,\"type\":\"what\"}\n"
		"{\"v\":2,\"type\":\"end\"}";
	struct result result;
	char *giant, text[4096] = "";

	(void)state;
	check_bad("", "there is nothing in it");
	check_bad("\n\n", "there is nothing in it");
	check_bad("hello\n", "no JSON");
	check_bad("[1]\n", "no object");
	check_bad("{\"v\":1}\n", "no record: it lacks \"v\" or \"type\"");
	check_bad("{\"v\":2,\"type\":\"end\",\"type\":\"end\"}\n", "a key that is there twice");
	check_bad("{\"v\":2,\"type\":\"end\",\"a\":[{\"b\":1,\"b\":1}]}\n",
		  "a key that is there twice");
	check_bad("{\"v\":2,\"type\":\"end\",\"a\":\"\xff\"}\n", "no JSON");
	check_bad("{\"v\":2,\"type\":\"header\"}\n", "a record whose checksum is wrong");
	check_bad("{\"v\":2,\"type\":\"end\",\"crc\":\"00000000\"}\n",
		  "a record whose checksum is wrong");
	memset(text, '[', 2000);
	check_bad(text, "a line that is cut off");

	/* What --json writes, here with empty lines, and a last line without a newline. */
	result = read_bytes(plain, strlen(plain));
	assert_int_equal(result.records, 3);
	assert_int_equal(result.damages, 0);
	assert_int_equal(result.state.unknown, 1);
	assert_int_equal(result.state.newer, 1);
	assert_false(result.state.checked);

	/* A line that is too long; what is behind it is read. */
	giant = malloc(40 << 20);
	assert_non_null(giant);
	memset(giant, 'x', 40 << 20);
	memcpy(giant, "{\"v\":2,\"type\":\"start\"}\n", 23);
	memcpy(giant + (40 << 20) - sizeof(end), "\n", 1);
	memcpy(giant + (40 << 20) - sizeof(end) + 1, end, sizeof(end) - 1);
	result = read_bytes(giant, 40 << 20);
	assert_int_equal(result.records, 2);
	assert_int_equal(result.damages, 1);
	assert_int_equal(result.first_offset, 23);
	free(giant);
}

static void test_too_many_keys(void **state)
{
	char *text = malloc(PARSE_KEYS_MAX * 16);
	size_t at = (size_t)sprintf(text, "{\"v\":2,\"type\":\"end\"");

	(void)state;
	for (int i = 0; i < PARSE_KEYS_MAX; i++)
		at += (size_t)sprintf(text + at, ",\"k%d\":1", i);
	strcpy(text + at, "}\n");
	check_bad(text, "an object with too many keys");
	free(text);
}

/* A log that is written is read up to its last whole record, without an alarm. */
static void test_live(void **state)
{
	struct segments *segments;
	int ready[2], go[2], status, fd;
	struct result result;
	char byte;
	pid_t child;

	(void)state;
	assert_int_equal(pipe(ready), 0);
	assert_int_equal(pipe(go), 0);
	child = fork();
	if (!child) {
		segments = open_log("live", true);
		put_records(segments, 0, 10);
		if (write(ready[1], "x", 1) != 1 || read(go[0], &byte, 1) != 1)
			_exit(1);
		close_log(segments);
		_exit(0);
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	fd = open(segment_of("live", FOLDER_PLAIN), O_RDONLY | O_CLOEXEC);
	result = read_fd(fd, NULL);
	assert_int_equal(result.records, 11);
	assert_int_equal(result.damages, 0);
	assert_true(result.state.live);
	assert_int_equal(write(go[1], "x", 1), 1);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	result = read_fd(fd, NULL);
	assert_int_equal(result.records, 12);
	assert_int_equal(result.damages, 0);
	assert_false(result.state.live);
	close(fd);
	for (int i = 0; i < 2; i++) {
		close(ready[i]);
		close(go[i]);
	}
	assert_int_equal(system("rm -r live"), 0);
}

/* Killed while it writes: at most the record that was being written is missing. */
static void test_killed_writer(void **state)
{
	(void)state;
	for (int i = 0; i < 1000 / EVERY; i++) {
		volatile uint64_t *done = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
					       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
		struct logs *logs = logs_new();
		struct numbers missing = {0};
		enum logs_item item;
		uint64_t wrong = 0;
		int status;
		pid_t child = fork();

		assert_true(done != MAP_FAILED);
		if (!child) {
			struct segments *segments = open_log("killed", i % 2);

			for (int n = 0;; n += 1) {
				put_records(segments, n, 1);
				*done = (uint64_t)n + 1;
				if (n % 50 == 49)
					segments_rotate(segments);
			}
		}
		usleep(1 + random_number() % 4000);
		kill(child, SIGKILL);
		assert_int_equal(waitpid(child, &status, 0), child);
		if (access("killed", F_OK)) { /* before it had begun */
			logs_free(logs);
			munmap((void *)done, 4096);
			continue;
		}
		if (logs_add(logs, "killed") != 0) {
			assert_int_equal(*done, 0);
		} else {
			uint64_t records = 0;

			while ((item = logs_next(logs)) != LOGS_END) {
				enum log_type type;

				if (item != LOGS_RECORD) {
					wrong += item == LOGS_DAMAGE;
					continue;
				}
				type = logs_record(logs)->type;
				records += type == LOG_TYPE_CHANGE || type == LOG_TYPE_FINDING;
			}
			assert_in_range(records, *done, *done + 1);
			assert_in_range(wrong, 0, 3);
			for (size_t r = 0; r < logs_runs(logs); r++) {
				/* It is told that there is no end. */
				assert_false(logs_run_at(logs, r)->ended);
				assert_int_equal(run_missing(logs_run_at(logs, r), &missing), 0);
			}
			assert_int_equal(missing.count, 0);
		}
		logs_free(logs);
		munmap((void *)done, 4096);
		assert_int_equal(system("rm -r killed"), 0);
	}
}

/* Copies and compressed forms are counted once; a segment that is gone is told. */
static void test_many_files(void **state)
{
	struct numbers missing = {0};
	struct segments *segments = open_log("many", true);
	enum logs_item item;
	struct logs *logs;
	char command[1400];
	int folder;
	char **names;

	(void)state;
	for (int i = 0; i < 3; i++) {
		put_records(segments, 10 * i, 10);
		segments_rotate(segments);
	}
	close_log(segments);
	folder = open("many", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	names = folder_names(folder, FOLDER_PLAIN);
	assert_int_equal(mkdir("many/deeper", 0700), 0);
	snprintf(command, sizeof(command), "cp many/%s many/deeper/copy.jsonl", names[0]);
	assert_int_equal(system(command), 0);
	snprintf(command, sizeof(command), "cp many/%s kept", names[1]);
	assert_int_equal(system(command), 0);
	assert_int_equal(compress_file(folder, names[1]), 0);
	snprintf(command, sizeof(command), "cp kept many/%s", names[1]);
	assert_int_equal(system(command), 0);
	logs = logs_new();
	assert_int_equal(logs_add(logs, "many"), 0);
	while ((item = logs_next(logs)) != LOGS_END)
		assert_int_not_equal(item, LOGS_DAMAGE);
	assert_int_equal(logs_state(logs)->records, 30 + 4 * 2);
	assert_int_equal(logs_state(logs)->duplicates, 24);
	assert_int_equal(logs_state(logs)->files, 6);
	assert_int_equal(logs_runs(logs), 1);
	assert_true(logs_run_at(logs, 0)->ended);
	assert_int_equal(run_missing(logs_run_at(logs, 0), &missing), 0);
	assert_int_equal(missing.count, 0);
	logs_free(logs);

	snprintf(command, sizeof(command), "rm many/%s*", names[1]);
	assert_int_equal(system(command), 0);
	logs = logs_new();
	assert_int_equal(logs_add(logs, "many"), 0);
	while ((item = logs_next(logs)) != LOGS_END)
		assert_int_not_equal(item, LOGS_DAMAGE);
	assert_int_equal(run_missing(logs_run_at(logs, 0), &missing), 0);
	assert_int_equal(missing.count, 1);
	assert_int_equal(missing.range[0].first, 12);
	assert_int_equal(missing.range[0].last, 23);
	numbers_free(&missing);
	logs_free(logs);
	folder_free_names(names);
	close(folder);
	assert_int_equal(system("rm -r many kept"), 0);
}

static void test_numbers(void **state)
{
	struct numbers numbers = {0};
	bool in[200] = {0};

	(void)state;
	for (int round = 0; round < 200; round++) {
		numbers_free(&numbers);
		memset(in, 0, sizeof(in));
		for (int i = 0; i < 60; i++) {
			uint64_t first = random_number() % 180, last = first + random_number() % 15;

			if (i % 3) {
				assert_int_equal(numbers_add(&numbers, first), !in[first]);
				last = first;
			} else {
				assert_int_equal(numbers_add_range(&numbers, first, last), 0);
			}
			memset(in + first, 1, last - first + 1);
			for (uint64_t n = 0; n < 200; n++)
				assert_int_equal(numbers_contain(&numbers, n), in[n]);
			for (size_t r = 1; r < numbers.count; r++)
				assert_true(numbers.range[r].first > numbers.range[r - 1].last + 1);
		}
	}
	numbers_free(&numbers);
}

/* A segment of these records, without their seq and crc. */
static int segment_file(const char *const *bodies, size_t count)
{
	char text[4096];
	size_t used = 0;

	for (size_t i = 0; i < count; i++) {
		char *line = text + used;
		int length = snprintf(line, sizeof(text) - used, "%s,\"seq\":%zu", bodies[i], i);

		used += (size_t)length;
		used += (size_t)snprintf(text + used, sizeof(text) - used, LOG_TAIL,
					 crc32c(line, (size_t)length));
	}
	return memory_file(text, used);
}

/*
 * A reader that trusts checksums leaves out stacks, and has them when it is asked. What is no JSON
 * in one is a damage then. It reads one file after the other.
 */
static void test_heads(void **state)
{
	static const char *const bodies[] = {
		"{\"v\":2,\"type\":\"header\"",
		"{\"v\":2,\"type\":\"change\",\"pid\":7,\"stack_status\":\"whole\",\"stack\":[{}]",
		"{\"v\":2,\"type\":\"finding\",\"count\":9,\"stack_status\":\"whole\",\"stack\":[}"
		"]",
		"{\"v\":2,\"type\":\"trace_end\",\"pid\":8,\"stack_status\":\"whole\",\"stack\":[]",
		"{\"v\":2,\"type\":\"finding\",\"pid\":9,\"stack\":[]",
	};
	struct reader *reader = reader_new();
	const struct record *record = reader_record(reader);

	(void)state;
	reader_set_fast(reader);
	for (int round = 0; round < 3; round++) {
		int fd = segment_file(bodies, sizeof(bodies) / sizeof(bodies[0]));

		assert_int_equal(reader_open(reader, fd, NULL), 0);
		assert_int_equal(reader_next(reader), READER_RECORD);
		assert_false(record->head);

		assert_int_equal(reader_next(reader), READER_RECORD);
		assert_true(record->head);
		assert_int_equal(record->type, LOG_TYPE_CHANGE);
		assert_int_equal(record->field[FIELD_PID].number, 7);
		assert_int_equal(record->field[FIELD_SEQ].number, 1);
		assert_int_equal(record->field[FIELD_STACK].kind, VALUE_ABSENT);
		assert_true(reader_complete(reader));
		assert_false(record->head);
		assert_int_equal(record->field[FIELD_STACK].kind, VALUE_ARRAY);
		assert_int_equal(record->field[FIELD_SEQ].number, 1);

		assert_int_equal(reader_next(reader), READER_RECORD);
		assert_true(record->head);
		assert_int_equal(record->field[FIELD_COUNT].number, 9);
		assert_int_equal(reader_state(reader)->records, 3);
		assert_false(reader_complete(reader));
		assert_int_equal(reader_state(reader)->records, 2);
		assert_int_equal(reader_state(reader)->damages, 1);
		assert_string_equal(reader_damage(reader)->what, "no JSON");
		assert_int_equal(reader_damage(reader)->offset,
				 strlen(bodies[0]) + strlen(bodies[1]) +
					 2 * (strlen(",\"seq\":0") + LOG_TAIL_SIZE));

		/* Of a type that has none, and one that lacks it: all is parsed. */
		for (int i = 3; i < 5; i++) {
			assert_int_equal(reader_next(reader), READER_RECORD);
			assert_false(record->head);
			assert_int_equal(record->field[FIELD_STACK].kind, VALUE_ARRAY);
		}
		assert_int_equal(reader_next(reader), READER_DAMAGE); /* it has no end */
		assert_int_equal(reader_next(reader), READER_END);
		reader_close(reader);
		close(fd);
	}
	reader_free(reader);
}

/* A run's name is printed as it is: digits, or it is none. */
static void test_hostile_run(void **state)
{
	static const char *const bodies[] = {
		"{\"v\":2,\"type\":\"header\",\"run_id\":\"\\u001b[2J0123456789\"",
		"{\"v\":2,\"type\":\"close\",\"run_id\":\"\\u202e0123456789ab\"",
	};
	struct logs *logs = logs_new();
	char path[32];
	int fd = segment_file(bodies, sizeof(bodies) / sizeof(bodies[0]));

	(void)state;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	assert_int_equal(logs_add(logs, path), 0);
	while (logs_next(logs) != LOGS_END)
		;
	assert_int_equal(logs_runs(logs), 1);
	assert_string_equal(logs_run_at(logs, 0)->id, "");
	assert_int_equal(logs_state(logs)->records, 2);
	logs_free(logs);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whole),      cmocka_unit_test(test_every_cut),
		cmocka_unit_test(test_flips),      cmocka_unit_test(test_zstd_damage),
		cmocka_unit_test(test_gzip),       cmocka_unit_test(test_pipe),
		cmocka_unit_test(test_bad_lines),  cmocka_unit_test(test_too_many_keys),
		cmocka_unit_test(test_live),       cmocka_unit_test(test_killed_writer),
		cmocka_unit_test(test_many_files), cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_heads),      cmocka_unit_test(test_hostile_run),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
