// SPDX-License-Identifier: GPL-2.0-or-later
#include "log/segments.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/str.h"
#include "log/compress.h"
#include "log/folder.h"
#include "log/notes.h"
#include "log/segment.h"

#define NS_PER_SEC     1000000000ull
#define SYNC_EVERY_NS  NS_PER_SEC
#define RETRY_EVERY_NS NS_PER_SEC /* a new segment that could not be made */

struct segments {
	struct segments_config config;
	struct notes_run run;
	int folder, lock;
	struct compress *compress; /* NULL: segments stay plain */
	struct segment segment;
	char name[FOLDER_NAME_SIZE]; /* of the segment */
	uint64_t number;             /* of the segment: 1, 2, ... */
	uint64_t seq;                /* of the next record */
	uint64_t begun, synced;      /* ns */
	uint64_t retry;              /* ns: no new segment before */
	struct notes_gap gap;        /* what could not be written; count 0: nothing */
	char *totals;                /* the last record with totals; NULL: none yet */
	int begin_error, compress_error;
	int sync_error; /* what was written may not be on the disk; 0: none */
};

/* "20260102T030405Z-0123456789ab-000001.jsonl": names sort by time. */
static int name_segment(struct segments *segments)
{
	return str_format(segments->name, sizeof(segments->name),
			  "%s-%.12s-%06" PRIu64 FOLDER_PLAIN, segments->run.begun,
			  segments->run.identity.run_id, segments->number);
}

static int put(struct segments *segments, const char *line, size_t length)
{
	int code = segment_put(&segments->segment, line, length, segments->seq);

	segments->seq += !code;
	return code;
}

/* Writes a note, malloc'ed text of ours. NULL: there was no memory for it. */
static int put_note(struct segments *segments, char *text)
{
	int code = text ? put(segments, text, strlen(text)) : -ENOMEM;

	free(text);
	return code;
}

/* The folder's segments but for the one that is written, above the limit, oldest first. */
static void remove_oldest(struct segments *segments)
{
	char **plain, **zstd;
	size_t p = 0, z = 0, count = 0;

	if (!segments->config.keep)
		return;
	plain = folder_names(segments->folder, FOLDER_PLAIN);
	zstd = folder_names(segments->folder, FOLDER_ZSTD);
	while (plain && plain[count])
		count++;
	for (size_t i = 0; zstd && zstd[i]; i++)
		count++;
	while (plain && zstd && count > segments->config.keep + 1) {
		bool is_plain = plain[p] && (!zstd[z] || strcmp(plain[p], zstd[z]) < 0);
		const char *name = is_plain ? plain[p++] : zstd[z++];

		if (strcmp(name, segments->name) != 0 && !unlinkat(segments->folder, name, 0))
			segments->run.removed++;
		count--;
	}
	folder_free_names(plain);
	folder_free_names(zstd);
}

/* Makes the next segment with its header. Negative errno: there is none, and none is tried for a
 * while. */
static int begin(struct segments *segments)
{
	uint64_t now = clock_monotonic();
	int code;

	segments->number++;
	code = name_segment(segments);
	if (!code)
		code = segment_create(&segments->segment, segments->folder, segments->name,
				      segments->seq);
	if (!code) {
		code = put_note(segments, notes_header(&segments->run, segments->number, now));
		if (code) {
			segment_close(&segments->segment);
			unlinkat(segments->folder, segments->name, 0);
		}
	}
	if (code) {
		segments->number--;
		segments->segment.fd = -1;
		segments->begin_error = code;
		segments->retry = now + RETRY_EVERY_NS;
		return code;
	}
	segments->begun = segments->synced = now;
	if (segments->config.sync != SEGMENTS_SYNC_NONE)
		(void)fsync(segments->folder);
	return 0;
}

/* The disk reports an error once, and the next time all is well: it is kept. */
static void sync_segment(struct segments *segments)
{
	int code = segment_sync(&segments->segment);

	if (code)
		segments->sync_error = code;
}

/* Ends a segment. Without room for the closing record it has none. */
static void end(struct segments *segments, const char *reason)
{
	const struct notes_close close = {
		.segment = segments->number,
		.reason = reason,
		.types = segments->segment.types,
		.records = segments->segment.records,
		.first_seq = segments->segment.first_seq,
		.totals = segments->totals,
	};

	(void)put_note(segments, notes_close(&segments->run, &close, clock_monotonic()));
	if (segments->config.sync != SEGMENTS_SYNC_NONE)
		sync_segment(segments);
	segment_close(&segments->segment);
	if (segments->compress && compress_put(segments->compress, segments->name))
		segments->compress_error = -ENOMEM;
}

/* Whether the segment has more than what it begins with. */
static bool has_records(const struct segments *segments)
{
	return segments->segment.fd >= 0 && segments->segment.records > 1;
}

static void rotate(struct segments *segments, const char *reason)
{
	end(segments, reason);
	(void)begin(segments);
	remove_oldest(segments);
}

static void rotate_if_due(struct segments *segments, uint64_t now)
{
	const struct segments_config *config = &segments->config;
	const struct segment *segment = &segments->segment;

	if (!has_records(segments))
		return;
	if (config->max_bytes && segment->size >= config->max_bytes)
		rotate(segments, "size");
	else if (config->max_records && segment->records > config->max_records)
		rotate(segments, "records");
	else if (config->max_age_ns && now - segments->begun >= config->max_age_ns)
		rotate(segments, "time");
}

static void sync_if_due(struct segments *segments, uint64_t now)
{
	enum segments_sync sync = segments->config.sync;

	if (segments->segment.fd < 0 || sync == SEGMENTS_SYNC_NONE)
		return;
	if (sync == SEGMENTS_SYNC_INTERVAL && now - segments->synced < SYNC_EVERY_NS)
		return;
	sync_segment(segments);
	segments->synced = now;
}

/* A line that is lost has a number: the gap record says which. */
static int lose(struct segments *segments, const char *line, size_t length, int code)
{
	struct notes_gap *gap = &segments->gap;

	if (!gap->count++)
		gap->first_seq = segments->seq;
	gap->types[segment_type(line, length)]++;
	gap->error = code;
	segments->seq++;
	return code;
}

/* Says what could not be written, as soon as that can be. */
static int fill_gap(struct segments *segments)
{
	int code;

	if (!segments->gap.count)
		return 0;
	code = put_note(segments, notes_gap(&segments->run, &segments->gap, clock_monotonic()));
	if (!code)
		segments->gap = (struct notes_gap){0};
	return code;
}

static int try_put(struct segments *segments, const char *line, size_t length)
{
	int code = 0;

	if (segments->segment.fd < 0)
		code = clock_monotonic() < segments->retry ? segments->begin_error
							   : begin(segments);
	if (!code)
		code = fill_gap(segments);
	return code ? code : put(segments, line, length);
}

/* The totals so far are repeated in closing records. */
static void note_totals(struct segments *segments, const char *line, size_t length)
{
	enum log_type type = segment_type(line, length);
	char *copy;

	if (type != LOG_TYPE_TOTALS && type != LOG_TYPE_END)
		return;
	copy = strndup(line, length - (line[length - 1] == '\n'));
	if (!copy)
		return;
	free(segments->totals);
	segments->totals = copy;
}

int segments_put(struct segments *segments, const char *line, size_t length)
{
	uint64_t now = clock_monotonic();
	int code;

	note_totals(segments, line, length);
	rotate_if_due(segments, now);
	code = try_put(segments, line, length);
	/* A file may not grow beyond RLIMIT_FSIZE, or its blocks are bad: there may be more files.
	 */
	if ((code == -EFBIG || code == -EIO) && has_records(segments)) {
		rotate(segments, code == -EIO ? "error" : "limit");
		code = try_put(segments, line, length);
	}
	if (code)
		return lose(segments, line, length, code);
	sync_if_due(segments, now);
	return 0;
}

void segments_idle(struct segments *segments)
{
	uint64_t now = clock_monotonic();

	if (segments->segment.fd < 0 && now >= segments->retry)
		(void)begin(segments);
	if (segments->segment.fd >= 0)
		(void)fill_gap(segments);
	rotate_if_due(segments, now);
	sync_if_due(segments, now);
}

void segments_rotate(struct segments *segments)
{
	if (has_records(segments))
		rotate(segments, "asked");
}

/* What an earlier run has left, which did not come to its end. */
static void finish_earlier(struct segments *segments)
{
	char **names = folder_names(segments->folder, FOLDER_ZSTD FOLDER_UNDER_WAY);

	for (size_t i = 0; names && names[i]; i++)
		unlinkat(segments->folder, names[i], 0);
	folder_free_names(names);
	if (!segments->compress)
		return;
	names = folder_names(segments->folder, FOLDER_PLAIN);
	for (size_t i = 0; names && names[i]; i++)
		if (compress_put(segments->compress, names[i]))
			segments->compress_error = -ENOMEM;
	folder_free_names(names);
}

static void name_run(struct segments *segments)
{
	struct notes_run *run = &segments->run;
	time_t now = time(NULL);
	struct tm tm;

	gmtime_r(&now, &tm);
	strftime(run->begun, sizeof(run->begun), "%Y%m%dT%H%M%SZ", &tm);
}

int segments_start(struct segments *segments, struct err *err)
{
	const struct segments_config *config = &segments->config;
	int code;

	if (!config->plain && !(segments->compress = compress_new(segments->folder)))
		return err_set(err, -ENOMEM, "out of memory, or no thread can be made");
	name_run(segments);
	finish_earlier(segments);
	code = begin(segments);
	if (code)
		return err_set(err, code, "cannot log to '%s': %s", config->path, strerror(-code));
	remove_oldest(segments);
	return 0;
}

static void free_all(struct segments *segments)
{
	if (segments->segment.fd >= 0)
		segment_close(&segments->segment);
	if (segments->lock >= 0)
		close(segments->lock);
	if (segments->folder >= 0)
		close(segments->folder);
	free(segments->totals);
	free(segments);
}

struct segments *segments_open(const struct segments_config *config, struct err *err)
{
	struct segments *segments = calloc(1, sizeof(*segments));

	if (!segments) {
		err_set(err, -ENOMEM, "out of memory");
		return NULL;
	}
	segments->config = *config;
	segments->folder = segments->lock = segments->segment.fd = -1;
	segments->run.identity = *config->identity;
	str_format(segments->run.level, sizeof(segments->run.level), "%s", config->level);
	segments->folder = folder_open(config->path, config->owner, &segments->lock, err);
	if (segments->folder >= 0)
		return segments;
	free_all(segments);
	return NULL;
}

bool segments_need_override(const struct segments *segments)
{
	const mode_t needed = S_IWUSR | S_IXUSR;
	struct stat folder;

	return fstat(segments->folder, &folder) || folder.st_uid != geteuid() ||
	       (folder.st_mode & needed) != needed;
}

int segments_close(struct segments *segments, const char **what)
{
	int code = 0, error;

	if (!segments)
		return 0;
	if (segments->segment.fd >= 0) {
		code = fill_gap(segments);
		end(segments, "end");
	} else if (segments->gap.count) {
		code = segments->begin_error;
	}
	*what = "its last records cannot be written";
	if (!code && segments->sync_error) {
		*what = "the disk has not taken all that was written; gradwatch verify says what "
			"is missing";
		code = segments->sync_error;
	}
	error = compress_free(segments->compress);
	if (!error)
		error = segments->compress_error;
	if (!code && error) {
		*what = "closed segments cannot be compressed, and stay as they are";
		code = error;
	}
	free_all(segments);
	return code;
}
