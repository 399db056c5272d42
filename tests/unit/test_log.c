// SPDX-License-Identifier: GPL-2.0-or-later
/* user/log: writing a log. What is written is read here by hand; test_log_reader.c has the reader.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <jansson.h>
#include <zstd.h>
#include <cmocka.h>

#include "log/compress.h"
#include "log/crc32c.h"
#include "log/folder.h"
#include "log/format.h"
#include "log/segments.h"

#define LINE      "{\"v\":2,\"type\":\"finding\",\"time\":\"x\"}\n"
#define TEXT_SIZE (1 << 20)

static char directory[] = "/tmp/gradwatch-log-XXXXXX";
static char text[TEXT_SIZE];

static int enter_directory(void **state)
{
	(void)state;
	signal(SIGXFSZ, SIG_IGN);
	return mkdtemp(directory) ? chdir(directory) : -1;
}

static int leave_directory(void **state)
{
	(void)state;
	return chdir("/") || rmdir(directory) ? -1 : 0;
}

static struct log_identity identity;

static struct segments_config make_config(void)
{
	return (struct segments_config){.path = "log",
					.owner = geteuid(),
					.identity = &identity,
					.level = "changes",
					.plain = true};
}

static struct segments *open_log(const struct segments_config *config)
{
	struct segments *segments;
	struct err err;

	log_identity_make(&identity); /* each run has one of its own */
	strcpy(identity.host, "box");
	segments = segments_open(config, &err);
	if (!segments || segments_start(segments, &err))
		fail_msg("%s", err.text);
	return segments;
}

static void put(struct segments *segments, int count)
{
	for (int i = 0; i < count; i++)
		assert_int_equal(segments_put(segments, LINE, strlen(LINE)), 0);
}

static void close_log(struct segments *segments)
{
	const char *what = NULL;

	assert_int_equal(segments_close(segments, &what), 0);
}

/* The names of the log's segments, and how many there are. */
static char **names_of(const char *end, size_t *count)
{
	int folder = open("log", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char **names = folder_names(folder, end);

	assert_non_null(names);
	for (*count = 0; names[*count]; (*count)++)
		;
	close(folder);
	return names;
}

static size_t count_of(const char *end)
{
	size_t count;

	folder_free_names(names_of(end, &count));
	return count;
}

static void remove_log(void)
{
	assert_int_equal(system("rm -r log"), 0);
}

/* The text of the log's segment number n from 0. */
static const char *read_segment(size_t n)
{
	size_t count, length;
	char **names = names_of(FOLDER_PLAIN, &count);
	char path[300];
	FILE *file;

	assert_true(n < count);
	snprintf(path, sizeof(path), "log/%s", names[n]);
	folder_free_names(names);
	file = fopen(path, "r");
	assert_non_null(file);
	length = fread(text, 1, sizeof(text) - 1, file);
	text[length] = '\0';
	fclose(file);
	return text;
}

/* The record of the line at *at, which has to be whole; NULL: there is none. */
static json_t *next_record(const char **at)
{
	const char *end = strchr(*at, '\n');
	size_t body = end ? (size_t)(end - *at) + 1 - LOG_TAIL_SIZE : 0;
	char tail[LOG_TAIL_SIZE + 1];
	json_t *record;

	if (!**at)
		return NULL;
	assert_non_null(end);
	snprintf(tail, sizeof(tail), LOG_TAIL, crc32c_by_table(*at, body));
	assert_memory_equal(*at + body, tail, LOG_TAIL_SIZE);
	record = json_loadb(*at, (size_t)(end - *at), JSON_REJECT_DUPLICATES, NULL);
	assert_non_null(record);
	*at = end + 1;
	return record;
}

static const char *type_of(const json_t *record)
{
	return json_string_value(json_object_get(record, "type"));
}

static json_int_t number_of(const json_t *record, const char *key)
{
	const json_t *number = json_object_get(record, key);

	assert_true(json_is_integer(number));
	return json_integer_value(number);
}

static void test_crc(void **state)
{
	static const size_t sizes[] = {767, 768, 769, 775, 776, 1535, 1536, 1537, 4096, 5000};
	char bytes[100], many[5008];

	(void)state;
	assert_int_equal(crc32c("123456789", 9), 0xe3069283);
	assert_int_equal(crc32c("", 0), 0);
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (char)(i * 37);
	for (size_t from = 0; from < 9; from++)
		for (size_t size = 0; from + size <= sizeof(bytes); size++)
			assert_int_equal(crc32c(bytes + from, size),
					 crc32c_by_table(bytes + from, size));
	for (size_t i = 0; i < sizeof(many); i++)
		many[i] = (char)(i * 37 + i / 256);
	for (size_t from = 0; from < 8; from++)
		for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++)
			assert_int_equal(crc32c(many + from, sizes[i]),
					 crc32c_by_table(many + from, sizes[i]));
}

static void test_segment(void **state)
{
	struct segments_config config = make_config();
	static const char *const types[] = {"header", "finding", "finding", "end", "close"};
	static const char end[] = "{\"v\":2,\"type\":\"end\",\"lost\":5}\n";
	struct segments *segments = open_log(&config);
	const char *at;
	json_t *record = NULL;
	struct stat stat_of;

	(void)state;
	put(segments, 2);
	assert_int_equal(segments_put(segments, end, strlen(end)), 0);
	close_log(segments);
	at = read_segment(0);
	for (int i = 0; i < 5; i++) {
		json_decref(record);
		record = next_record(&at);
		assert_non_null(record);
		assert_string_equal(type_of(record), types[i]);
		assert_int_equal(number_of(record, "seq"), i);
	}
	assert_null(next_record(&at));
	assert_int_equal(number_of(record, "records"), 5);
	assert_int_equal(number_of(json_object_get(record, "types"), "finding"), 2);
	assert_int_equal(number_of(json_object_get(record, "totals"), "lost"), 5);
	json_decref(record);
	assert_int_equal(stat("log", &stat_of), 0);
	assert_int_equal(stat_of.st_mode & 07777, 0700);
	remove_log();
}

static void test_rotation(void **state)
{
	struct segments_config config = make_config();
	struct segments *segments;

	(void)state;
	config.max_records = 3; /* besides header and closing record */
	segments = open_log(&config);
	put(segments, 3);
	assert_int_equal(count_of(FOLDER_PLAIN), 1);
	put(segments, 1);
	assert_int_equal(count_of(FOLDER_PLAIN), 2);
	segments_rotate(segments);
	assert_int_equal(count_of(FOLDER_PLAIN), 3);
	segments_rotate(segments); /* there is nothing in it */
	assert_int_equal(count_of(FOLDER_PLAIN), 3);
	close_log(segments);
	remove_log();

	config.max_records = 0;
	config.max_bytes = 1;
	segments = open_log(&config);
	put(segments, 5);
	assert_int_equal(count_of(FOLDER_PLAIN), 5);
	close_log(segments);
	remove_log();

	config.max_bytes = 0;
	config.max_age_ns = 1;
	segments = open_log(&config);
	put(segments, 1);
	assert_int_equal(count_of(FOLDER_PLAIN), 1);
	segments_idle(segments);
	assert_int_equal(count_of(FOLDER_PLAIN), 2);
	close_log(segments);
	remove_log();
}

static void test_keep(void **state)
{
	struct segments_config config = make_config();
	struct segments *segments;
	const char *at;
	json_t *record;

	(void)state;
	config.max_records = 1;
	config.keep = 2;
	segments = open_log(&config);
	put(segments, 10);
	assert_int_equal(count_of(FOLDER_PLAIN), 3);
	close_log(segments);
	at = read_segment(2);
	record = next_record(&at);
	/* What is said is what was removed before this one began. */
	assert_int_equal(number_of(record, "segment"), 10);
	assert_int_equal(number_of(record, "removed"), 6);
	json_decref(record);
	remove_log();
}

static void test_compression(void **state)
{
	struct segments_config config = make_config();
	struct segments *segments;
	char plain[4096];
	size_t count, length;
	char **names, path[300];
	FILE *file;
	int folder;

	(void)state;
	segments = open_log(&config);
	put(segments, 20);
	close_log(segments);
	snprintf(plain, sizeof(plain), "%s", read_segment(0));
	folder = open("log", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	names = names_of(FOLDER_PLAIN, &count);
	snprintf(path, sizeof(path), "log/%s.zst", names[0]);
	assert_int_equal(compress_file(folder, names[0]), 0);
	folder_free_names(names);
	close(folder);
	assert_int_equal(count_of(FOLDER_PLAIN), 0);
	file = fopen(path, "r");
	assert_non_null(file);
	length = fread(text, 1, sizeof(text) / 2, file);
	fclose(file);
	length = ZSTD_decompress(text + TEXT_SIZE / 2, TEXT_SIZE / 2, text, length);
	assert_int_equal(length, strlen(plain));
	assert_memory_equal(text + TEXT_SIZE / 2, plain, length);
	remove_log();
}

/* What a run has left that was killed: a plain segment, a file half made. */
static void test_earlier_run(void **state)
{
	struct segments_config config = make_config();
	int fd;

	(void)state;
	close_log(open_log(&config));
	fd = open("log/x" FOLDER_ZSTD FOLDER_UNDER_WAY, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	close(fd);
	config.plain = false;
	close_log(open_log(&config));
	assert_int_equal(count_of(FOLDER_PLAIN), 0);
	assert_int_equal(count_of(FOLDER_ZSTD), 2);
	assert_int_equal(count_of(FOLDER_UNDER_WAY), 0);
	remove_log();
}

static void check_refused(const char *path, int expected)
{
	struct segments_config config = make_config();
	struct err err = {0};

	config.path = path;
	assert_null(segments_open(&config, &err));
	assert_int_equal(err.code, expected);
	assert_non_null(strstr(err.text, path));
}

static void test_refused(void **state)
{
	(void)state;
	assert_int_equal(mkdir("target", 0700), 0);
	assert_int_equal(symlink("target", "link"), 0);
	check_refused("link", -ENOTDIR);
	unlink("link");
	assert_int_equal(chmod("target", 0720), 0);
	check_refused("target", -EPERM);
	assert_int_equal(chmod("target", 0702), 0);
	check_refused("target", -EPERM);
	assert_int_equal(chmod("target", 0755), 0);
	if (!geteuid()) {
		struct segments_config config = make_config();
		struct segments *segments;

		assert_int_equal(chown("target", 65534, 65534), 0);
		check_refused("target", -EPERM);
		config.path = "target";
		config.owner = 65534;
		segments = open_log(&config);
		close_log(segments);
	}
	assert_int_equal(system("rm -r target"), 0);
	check_refused("none/log", -ENOENT);
	check_refused("/dev/null", -ENOTDIR);
}

/* Whether files in it take the right to ignore modes; its lock is left for the next one. */
static bool needs_override(uid_t owner)
{
	struct segments_config config = make_config();
	struct segments *segments;
	struct err err;
	bool needs;

	config.owner = owner;
	segments = segments_open(&config, &err);
	assert_non_null(segments);
	needs = segments_need_override(segments);
	close_log(segments);
	return needs;
}

static void test_need_override(void **state)
{
	(void)state;
	assert_false(needs_override(geteuid()));
	assert_int_equal(count_of(FOLDER_PLAIN), 0); /* it was not started */
	assert_int_equal(chmod("log", 0500), 0);
	assert_true(needs_override(geteuid()));
	assert_int_equal(chmod("log", 0700), 0);
	if (!geteuid()) {
		assert_int_equal(chown("log", 65534, 65534), 0);
		assert_true(needs_override(65534));
	}
	remove_log();
}

static void test_second_writer(void **state)
{
	struct segments_config config = make_config();
	struct segments *segments = open_log(&config);
	int status;
	pid_t child;

	(void)state;
	child = fork();
	if (!child) {
		struct err err;
		char expected[64];

		snprintf(expected, sizeof(expected), "process %d writes there", getppid());
		_exit(!segments_open(&config, &err) && err.code == -EWOULDBLOCK &&
				      strstr(err.text, expected)
			      ? 0
			      : 1);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	close_log(segments);
	close_log(open_log(&config));
	remove_log();
}

static void set_limit(rlim_t bytes)
{
	struct rlimit limit;

	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	limit.rlim_cur = bytes;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

/* What cannot be written is taken back, and told as soon as something can be. */
static void test_gap(void **state)
{
	struct segments_config config = make_config();
	struct segments *segments = open_log(&config);
	static const char other[] = "{\"v\":2,\"type\":\"again\"}\n";
	json_t *record;
	const char *at;

	(void)state;
	put(segments, 1);
	/* Neither in this file nor in another one. */
	set_limit(100);
	assert_int_equal(segments_put(segments, LINE, strlen(LINE)), -EFBIG);
	assert_int_equal(segments_put(segments, other, strlen(other)), -EFBIG);
	assert_int_equal(segments_put(segments, LINE, strlen(LINE)), -EFBIG);
	set_limit(RLIM_INFINITY);
	usleep(1100000); /* a new segment is tried once a second */
	put(segments, 1);
	close_log(segments);
	assert_int_equal(count_of(FOLDER_PLAIN), 2);

	at = read_segment(0); /* without its closing record */
	json_decref(next_record(&at));
	json_decref(next_record(&at));
	assert_null(next_record(&at));
	at = read_segment(1);
	record = next_record(&at);
	assert_string_equal(type_of(record), "header");
	assert_int_equal(number_of(record, "seq"), 5);
	json_decref(record);
	record = next_record(&at);
	assert_string_equal(type_of(record), "gap");
	assert_int_equal(number_of(record, "count"), 3);
	assert_int_equal(number_of(record, "first_seq"), 2);
	assert_int_equal(number_of(record, "last_seq"), 4);
	assert_int_equal(number_of(json_object_get(record, "types"), "finding"), 2);
	assert_int_equal(number_of(json_object_get(record, "types"), "again"), 1);
	json_decref(record);
	remove_log();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_crc),         cmocka_unit_test(test_segment),
		cmocka_unit_test(test_rotation),    cmocka_unit_test(test_keep),
		cmocka_unit_test(test_compression), cmocka_unit_test(test_earlier_run),
		cmocka_unit_test(test_refused),     cmocka_unit_test(test_second_writer),
		cmocka_unit_test(test_gap),         cmocka_unit_test(test_need_override),
	};

	return cmocka_run_group_tests(tests, enter_directory, leave_directory);
}
