// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * user/log on a disk that is full or bad: the system calls of this program fail when a test says
 * so. Writing goes on by itself, what was lost is told exactly; reading goes on behind what cannot
 * be read.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>
#include <zstd.h>
#include <cmocka.h>

#include "log/folder.h"
#include "log/logs.h"
#include "log/segments.h"

#define RECORDS 60
#define PAGE    4096

/* Which calls fail: those from the first on, so many, with this error. */
struct fault {
	int error; /* 0: none fails */
	long first, count;
	bool partly; /* the first one writes a half, as on a disk that gets full */
	bool no_truncate;
	long calls; /* so far */
};

static const struct log_identity identity = {
	.host = "box", .boot_id = "b", .run_id = "0123456789abcdef"};

static struct fault writes, syncs;
static off_t bad_from, bad_to; /* bytes that cannot be read, to 0: none */
static uint64_t ahead;         /* ns: the clock goes on between records */

static char directory[] = "/tmp/gradwatch-faults-XXXXXX";

static bool fails_now(struct fault *fault)
{
	long call = fault->calls++;

	return fault->error && call >= fault->first && call < fault->first + fault->count;
}

ssize_t write(int fd, const void *bytes, size_t size)
{
	if (fails_now(&writes)) {
		if (writes.partly && writes.calls == writes.first + 1)
			return syscall(SYS_write, fd, bytes, size / 2);
		errno = writes.error;
		return -1;
	}
	return syscall(SYS_write, fd, bytes, size);
}

int ftruncate(int fd, off_t size)
{
	if (writes.error && writes.no_truncate) {
		errno = writes.error;
		return -1;
	}
	return (int)syscall(SYS_ftruncate, fd, size);
}

int fdatasync(int fd)
{
	(void)fd;
	errno = syncs.error;
	return fails_now(&syncs) ? -1 : 0;
}

/* As the kernel does: up to the bad block, and then an error. */
ssize_t read(int fd, void *bytes, size_t size)
{
	off_t at = bad_to ? lseek(fd, 0, SEEK_CUR) : -1;

	if (at >= 0 && at < bad_from && at + (off_t)size > bad_from)
		size = (size_t)(bad_from - at);
	if (at >= bad_from && at < bad_to) {
		errno = EIO;
		return -1;
	}
	return syscall(SYS_read, fd, bytes, size);
}

int clock_gettime(clockid_t clock, struct timespec *time)
{
	int code = (int)syscall(SYS_clock_gettime, clock, time);

	time->tv_sec += (time_t)(ahead / 1000000000);
	return code;
}

static int enter_directory(void **state)
{
	(void)state;
	return mkdtemp(directory) ? chdir(directory) : -1;
}

static int leave_directory(void **state)
{
	(void)state;
	return chdir("/") || rmdir(directory) ? -1 : 0;
}

static struct segments *open_log(void)
{
	const struct segments_config config = {.path = "log",
					       .owner = geteuid(),
					       .identity = &identity,
					       .level = "changes",
					       .plain = true};
	struct err err;
	struct segments *segments = segments_open(&config, &err);

	if (!segments || segments_start(segments, &err))
		fail_msg("%s", err.text);
	return segments;
}

static bool put(struct segments *segments, int number)
{
	char text[200];

	snprintf(text, sizeof(text), "{\"v\":2,\"type\":\"%s\",\"time\":\"x\",\"pid\":%d}\n",
		 number % 3 ? "change" : "finding", number);
	ahead += 2000000000; /* later than the next try of a new segment */
	return !segments_put(segments, text, strlen(text));
}

/* What is read of a log. */
struct found {
	bool there[RECORDS]; /* by the number that put() gave */
	uint64_t records, told, told_findings, damages, damaged_lines, missing;
	char reason[64];
};

static void note_gap(const struct record *record, struct found *found)
{
	struct value findings;

	found->told += record->field[FIELD_COUNT].number;
	if (value_get(&record->field[FIELD_TYPES], "finding", &findings))
		found->told_findings += findings.number;
	value_copy(&record->field[FIELD_REASON], found->reason, sizeof(found->reason));
}

static struct found read_log(void)
{
	struct found found = {0};
	struct numbers missing = {0};
	struct logs *logs = logs_new();
	enum logs_item item;

	assert_int_equal(logs_add(logs, "log"), 0);
	while ((item = logs_next(logs)) != LOGS_END) {
		const struct record *record;

		if (item == LOGS_DAMAGE) {
			found.damages++;
			found.damaged_lines += logs_damage(logs)->length != 0;
		}
		if (item != LOGS_RECORD)
			continue;
		record = logs_record(logs);
		if (record->type == LOG_TYPE_GAP)
			note_gap(record, &found);
		if (record->type != LOG_TYPE_CHANGE && record->type != LOG_TYPE_FINDING)
			continue;
		assert_true(record->field[FIELD_PID].number < RECORDS);
		assert_false(found.there[record->field[FIELD_PID].number]);
		found.there[record->field[FIELD_PID].number] = true;
		found.records++;
	}
	assert_int_equal(logs_runs(logs), 1);
	assert_int_equal(run_missing(logs_run_at(logs, 0), &missing), 0);
	for (size_t i = 0; i < missing.count; i++)
		found.missing += missing.range[i].last - missing.range[i].first + 1;
	numbers_free(&missing);
	logs_free(logs);
	return found;
}

/* Writes a log while calls fail. What put() says is what is read; the rest is told, no more. */
static struct found check_writing(struct fault fault, const char *reason)
{
	struct segments *segments = open_log();
	uint64_t lost = 0, lost_findings = 0;
	bool written[RECORDS];
	struct found found;
	const char *what;

	writes = fault;
	for (int i = 0; i < RECORDS; i++) {
		written[i] = put(segments, i);
		lost += !written[i];
		lost_findings += !written[i] && i % 3 == 0;
	}
	assert_int_equal(segments_close(segments, &what), 0);
	writes = (struct fault){0};
	found = read_log();
	assert_memory_equal(found.there, written, sizeof(written));
	assert_int_equal(found.told, lost);
	assert_int_equal(found.told_findings, lost_findings);
	assert_int_equal(found.missing, 0);
	if (lost)
		assert_string_equal(found.reason, reason);
	assert_int_equal(system("rm -r log"), 0);
	return found;
}

/* From each write on, for a short and for a longer while. */
static void test_full_disk(void **state)
{
	(void)state;
	for (long first = 0; first < 40; first++)
		for (long count = 1; count < 20; count += 3)
			for (int partly = 0; partly < 2; partly++) {
				const struct fault fault = {.error = ENOSPC,
							    .first = first,
							    .count = count,
							    .partly = partly};
				struct found found = check_writing(fault,
								   "No space left on device");

				/* A half is taken back, so there is no damage. */
				assert_true(found.told > 0 || (partly && count == 1));
				assert_int_equal(found.damages, 0);
			}
}

/* Half a line that cannot be taken back is the one damage; what is behind it is read. */
static void test_torn_line(void **state)
{
	(void)state;
	for (long first = 0; first < 40; first++) {
		const struct fault fault = {.error = ENOSPC,
					    .first = first,
					    .count = 3,
					    .partly = true,
					    .no_truncate = true};
		struct found found = check_writing(fault, "No space left on device");

		assert_int_equal(found.damages, 1);
		assert_int_equal(found.damaged_lines, 1);
	}
}

/* A bad file is left for another one. It has no closing record if that cannot be written. */
static void test_bad_disk(void **state)
{
	(void)state;
	for (long first = 1; first < 40; first++)
		for (long count = 1; count < 20; count += 3) {
			const struct fault fault = {.error = EIO, .first = first, .count = count};
			struct found found = check_writing(fault, "Input/output error");

			assert_true(found.told > 0 || count < 3);
			assert_int_equal(found.damages, count > 1);
			assert_int_equal(found.damaged_lines, 0);
		}
}

/* An error of fdatasync comes once, and is told at the end. */
static void test_bad_sync(void **state)
{
	struct segments *segments = open_log();
	const char *what = NULL;

	(void)state;
	syncs = (struct fault){.error = EIO, .first = 3, .count = 1};
	for (int i = 0; i < RECORDS; i++)
		assert_true(put(segments, i));
	assert_int_equal(segments_close(segments, &what), -EIO);
	assert_non_null(strstr(what, "the disk has not taken"));
	assert_true(syncs.calls > 10);
	syncs = (struct fault){0};
	assert_int_equal(system("rm -r log"), 0);
}

static int memory_file(const void *bytes, size_t size)
{
	int fd = memfd_create("log", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(syscall(SYS_write, fd, bytes, size), size);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	return fd;
}

/* A log of some pages, in memory, malloc'ed. */
static char *make_text(size_t *size)
{
	struct segments *segments = open_log();
	int folder = open("log", O_RDONLY | O_DIRECTORY | O_CLOEXEC), fd;
	char **names, *text = malloc(64 * PAGE);
	const char *what;

	for (int i = 0; i < 600; i++)
		put(segments, i);
	assert_int_equal(segments_close(segments, &what), 0);
	names = folder_names(folder, FOLDER_PLAIN);
	fd = openat(folder, names[0], O_RDONLY | O_CLOEXEC);
	*size = (size_t)read(fd, text, 64 * PAGE);
	assert_in_range(*size, 6 * PAGE, 63 * PAGE);
	close(fd);
	folder_free_names(names);
	close(folder);
	assert_int_equal(system("rm -r log"), 0);
	return text;
}

/* How many lines lie wholly outside of the bad bytes. */
static uint64_t good_lines(const char *text, size_t size)
{
	uint64_t count = 0;

	for (const char *at = text, *end; at < text + size; at = end) {
		end = (const char *)memchr(at, '\n', (size_t)(text + size - at)) + 1;
		count += end - text <= bad_from || at - text >= bad_to;
	}
	return count;
}

static uint64_t read_all(int fd, const char *name, uint64_t *error_at, uint64_t *errors)
{
	struct reader *reader = reader_new();
	uint64_t records = 0;
	enum reader_item item;

	assert_non_null(reader);
	assert_int_equal(reader_open(reader, fd, name), 0);
	*errors = 0;
	while ((item = reader_next(reader)) != READER_END) {
		const struct reader_damage *damage = reader_damage(reader);

		records += item == READER_RECORD;
		if (item == READER_DAMAGE && !strcmp(damage->what, "Input/output error")) {
			*error_at = damage->offset;
			++*errors;
		}
	}
	reader_free(reader);
	return records;
}

/* One or two bad blocks at each place: they are told, and all lines outside of them are read. */
static void test_bad_blocks(void **state)
{
	uint64_t error_at = 0, errors;
	size_t size;
	char *text = make_text(&size);
	int fd = memory_file(text, size);

	(void)state;
	for (off_t from = 0; from < (off_t)size; from += PAGE)
		for (off_t pages = 1; pages < 3; pages++) {
			uint64_t records;

			bad_from = from;
			bad_to = from + pages * PAGE;
			lseek(fd, 0, SEEK_SET);
			records = read_all(fd, NULL, &error_at, &errors);
			assert_int_equal(errors, 1);
			assert_int_equal(error_at, from);
			/* Without its header a file is no segment before the first damage. */
			assert_int_equal(records, good_lines(text, size));
		}
	bad_to = 0;
	close(fd);
	free(text);
}

/* The same of a compressed file: frames behind the bad block are read. */
static void test_bad_blocks_of_zstd(void **state)
{
	uint64_t error_at = 0, errors, all = 0;
	size_t size, used = 0, room;
	char *text = make_text(&size), *packed;
	int fd;

	(void)state;
	/* A frame for each line: they are not much smaller. */
	room = 4 * size;
	packed = malloc(room);
	for (char *at = text, *end; at < text + size; at = end, all++) {
		end = (char *)memchr(at, '\n', (size_t)(text + size - at)) + 1;
		used += ZSTD_compress(packed + used, room - used, at, (size_t)(end - at), 1);
	}
	assert_true(used > 5 * PAGE);
	fd = memory_file(packed, used);
	for (off_t from = 0; from < (off_t)used; from += PAGE) {
		uint64_t records;

		bad_from = from;
		bad_to = from + PAGE;
		lseek(fd, 0, SEEK_SET);
		records = read_all(fd, "x.jsonl.zst", &error_at, &errors);
		assert_int_equal(errors, 1);
		assert_int_equal(error_at, from);
		/* Frames have more than 60 bytes each. */
		assert_in_range(records, all - PAGE / 60 - 2, all - 1);
	}
	bad_to = 0;
	close(fd);
	free(packed);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_full_disk),  cmocka_unit_test(test_torn_line),
		cmocka_unit_test(test_bad_disk),   cmocka_unit_test(test_bad_sync),
		cmocka_unit_test(test_bad_blocks), cmocka_unit_test(test_bad_blocks_of_zstd),
	};

	return cmocka_run_group_tests(tests, enter_directory, leave_directory);
}
