// SPDX-License-Identifier: GPL-2.0-or-later
#include "log/logs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/array.h"
#include "base/str.h"
#include "base/table.h"
#include "log/folder.h"

#define FOLDER_DEPTH 8
#define KEY_ID       12 /* digits of a run's id in a segment's name */

/* A run in the table of them. */
struct known {
	struct run run;
	UT_hash_handle hh;
};

struct logs {
	char **path; /* of files, owned */
	size_t paths, room, next;
	struct reader *reader; /* NULL: there was none yet */
	bool open;             /* it reads path[next - 1] */
	int fd;
	struct reader_damage damage;
	struct known *by_key, **run;
	size_t runs, runs_room;
	struct run *current;
	uint64_t bytes_before; /* of files that are done */
	struct logs_state state;
	bool fast;
};

struct logs *logs_new(void)
{
	struct logs *logs = calloc(1, sizeof(*logs));

	if (logs)
		logs->fd = -1;
	return logs;
}

void logs_set_fast(struct logs *logs)
{
	logs->fast = true;
}

static void close_file(struct logs *logs)
{
	if (logs->open)
		reader_close(logs->reader);
	logs->open = false;
	if (logs->fd > STDERR_FILENO)
		close(logs->fd);
	logs->fd = -1;
}

void logs_free(struct logs *logs)
{
	if (!logs)
		return;
	close_file(logs);
	reader_free(logs->reader);
	HASH_CLEAR(hh, logs->by_key);
	for (size_t i = 0; i < logs->runs; i++) {
		numbers_free(&logs->run[i]->run.seen);
		numbers_free(&logs->run[i]->run.gaps);
		free(logs->run[i]);
	}
	for (size_t i = 0; i < logs->paths; i++)
		free(logs->path[i]);
	free(logs->path);
	free(logs->run);
	free(logs);
}

/* Takes the string. */
static int add_path(struct logs *logs, char *path)
{
	struct stat file;

	char **grown = array_grow(logs->path, logs->paths, &logs->room, sizeof(*grown));

	if (grown)
		logs->path = grown;
	if (!grown || !path) {
		free(path);
		return -ENOMEM;
	}
	logs->path[logs->paths++] = path;
	if (!stat(path, &file) && S_ISREG(file.st_mode))
		logs->state.files_bytes += (uint64_t)file.st_size;
	return 0;
}

static int compare(const void *one, const void *other)
{
	return strcmp(*(char *const *)one, *(char *const *)other);
}

/* A file that is half made is of use only when the one that it is made of is gone. */
static bool is_alone(int folder, const char *name)
{
	char plain[FOLDER_NAME_SIZE];
	size_t length = strlen(name) - strlen(".zst" FOLDER_UNDER_WAY);

	return folder_ends_with(name, FOLDER_ZSTD FOLDER_UNDER_WAY) && length < sizeof(plain) &&
	       !str_format(plain, sizeof(plain), "%.*s", (int)length, name) &&
	       faccessat(folder, plain, F_OK, 0) != 0;
}

static int add_folder(struct logs *logs, const char *path, int depth)
{
	int folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char **names = folder < 0 ? NULL : folder_names(folder, "");
	int code = names ? 0 : -errno;

	/* Told in its turn, as of a file; the others are read. */
	if (folder < 0 && code == -EACCES)
		return add_path(logs, strdup(path));
	for (size_t i = 0; names && names[i] && !code; i++) {
		struct stat file;
		char *inner;

		if (names[i][0] == '.' || fstatat(folder, names[i], &file, 0))
			continue;
		if (S_ISDIR(file.st_mode)
			    ? depth >= FOLDER_DEPTH
			    : !folder_is_segment(names[i]) && !is_alone(folder, names[i]))
			continue;
		if (asprintf(&inner, "%s/%s", path, names[i]) < 0) {
			code = -ENOMEM;
		} else if (S_ISDIR(file.st_mode)) {
			code = add_folder(logs, inner, depth + 1);
			free(inner);
		} else {
			code = add_path(logs, inner);
		}
	}
	folder_free_names(names);
	if (folder >= 0)
		close(folder);
	return code;
}

int logs_add(struct logs *logs, const char *path)
{
	size_t before = logs->paths;
	struct stat file;
	int code;

	if (!strcmp(path, "-"))
		return add_path(logs, strdup(path));
	if (stat(path, &file))
		return errno == EACCES ? add_path(logs, strdup(path)) : -errno;
	if (!S_ISDIR(file.st_mode))
		return add_path(logs, strdup(path));
	code = add_folder(logs, path, 0);
	if (code)
		return code;
	if (logs->paths == before)
		return -ENOENT;
	qsort(logs->path + before, logs->paths - before, sizeof(*logs->path), compare);
	return 0;
}

static struct run *run_of_key(struct logs *logs, const char *key)
{
	struct known *known, **grown;

	HASH_FIND_STR(logs->by_key, key, known);
	if (known)
		return &known->run;
	grown = array_grow(logs->run, logs->runs, &logs->runs_room, sizeof(*grown));
	if (!grown)
		return NULL;
	logs->run = grown;
	known = calloc(1, sizeof(*known));
	if (!known)
		return NULL;
	str_format(known->run.key, sizeof(known->run.key), "%s", key);
	known->run.index = logs->runs;
	HASH_ADD_STR(logs->by_key, run.key, known);
	if (!known->hh.tbl) {
		free(known);
		return NULL;
	}
	logs->run[logs->runs++] = known;
	return &known->run;
}

/* Until its header is read, a file's records are of the run that its name says, or of their own. */
static struct run *run_of_file(struct logs *logs)
{
	const char *path = logs_file(logs), *name = str_base_name(path);
	const char *dash = strchr(name, '-');
	char key[sizeof(logs->current->key)];

	if (dash && strspn(dash + 1, "0123456789abcdef") == KEY_ID && dash[1 + KEY_ID] == '-')
		str_format(key, sizeof(key), "%.*s", KEY_ID, dash + 1);
	else
		str_format(key, sizeof(key), "file %zu %s", logs->next, name);
	return run_of_key(logs, key);
}

void value_copy(const struct value *value, char *out, size_t size)
{
	size_t length = value->kind == VALUE_STRING ? value->length : 0;

	if (length >= size)
		length = size - 1;
	if (length)
		memcpy(out, value->text, length);
	out[length] = '\0';
}

/* A record that says which run it is of. */
static void note_run(struct logs *logs, const struct record *record)
{
	char id[sizeof(logs->current->id)], key[KEY_ID + 1];
	struct run *run = logs->current;
	const struct value *said = &record->field[FIELD_RUN_ID];

	/* Most records are of the run of the one before. */
	if (record->type != LOG_TYPE_HEADER && run && said->kind == VALUE_STRING &&
	    said->length == strlen(run->id) && !memcmp(said->text, run->id, said->length))
		return;
	value_copy(said, id, sizeof(id));
	if (strlen(id) < KEY_ID || id[strspn(id, "0123456789abcdef")])
		return;
	str_format(key, sizeof(key), "%.*s", KEY_ID, id);
	run = run_of_key(logs, key);
	if (!run)
		return;
	logs->current = run;
	str_format(run->id, sizeof(run->id), "%s", id);
	if (record->type != LOG_TYPE_HEADER)
		return;
	value_copy(&record->field[FIELD_BOOT_ID], run->boot_id, sizeof(run->boot_id));
	value_copy(&record->field[FIELD_KERNEL], run->kernel, sizeof(run->kernel));
	value_copy(&record->field[FIELD_GRADWATCH], run->gradwatch, sizeof(run->gradwatch));
	value_copy(&record->field[FIELD_LEVEL], run->level, sizeof(run->level));
	if (record->field[FIELD_REMOVED].kind == VALUE_NUMBER &&
	    record->field[FIELD_REMOVED].number > run->removed)
		run->removed = record->field[FIELD_REMOVED].number;
}

/* Texts of this form are in order of time. */
static void note_time(struct run *run, const struct record *record)
{
	const struct value *time = &record->field[FIELD_TIME];
	const char *text = time->kind == VALUE_STRING ? time->text : "";

	if (*text && (!*run->first || strcmp(text, run->first) < 0))
		value_copy(time, run->first, sizeof(run->first));
	if (*text && strcmp(text, run->last) > 0)
		value_copy(time, run->last, sizeof(run->last));
	if (!*run->host)
		value_copy(&record->field[FIELD_HOST], run->host, sizeof(run->host));
}

static void note_gap(struct logs *logs, struct run *run, const struct record *record)
{
	const struct value *first = &record->field[FIELD_FIRST_SEQ];
	const struct value *last = &record->field[FIELD_LAST_SEQ];

	if (first->kind != VALUE_NUMBER || last->kind != VALUE_NUMBER ||
	    last->number < first->number)
		return;
	run->gap_records += last->number - first->number + 1;
	if (numbers_add_range(&run->gaps, first->number, last->number))
		logs->state.no_memory = true;
}

/* False: the record was there before. */
static bool note_record(struct logs *logs, const struct record *record)
{
	const struct value *seq = &record->field[FIELD_SEQ];
	struct run *run;
	int added = 1;

	if (record->type == LOG_TYPE_HEADER || record->type == LOG_TYPE_CLOSE ||
	    record->type == LOG_TYPE_GAP)
		note_run(logs, record);
	if (!logs->current)
		logs->current = run_of_file(logs);
	run = logs->current;
	if (!run)
		return true;
	run->checked = reader_state(logs->reader)->checked;
	if (run->checked && seq->kind == VALUE_NUMBER)
		added = numbers_add(&run->seen, seq->number);
	if (added < 0)
		logs->state.no_memory = true;
	if (!added)
		return false;
	note_time(run, record);
	if (record->type == LOG_TYPE_GAP)
		note_gap(logs, run, record);
	if (record->type == LOG_TYPE_CLOSE)
		run->ended |= record->field[FIELD_REASON].kind == VALUE_STRING &&
			      !strcmp(record->field[FIELD_REASON].text, "end");
	if (record->type == LOG_TYPE_END && !run->checked)
		run->ended = true;
	return true;
}

/* A segment may have been compressed since its name was read. */
static int open_path(const char *path)
{
	char compressed[4096 + 8];
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);

	if (fd < 0 && errno == ENOENT && folder_ends_with(path, FOLDER_PLAIN) &&
	    !str_format(compressed, sizeof(compressed), "%s.zst", path))
		fd = open(compressed, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	return fd < 0 ? -errno : fd;
}

static enum logs_item file_damage(struct logs *logs, const char *what)
{
	logs->damage = (struct reader_damage){.what = what};
	logs->state.damages++;
	return LOGS_DAMAGE;
}

static enum logs_item open_next(struct logs *logs)
{
	const char *path = logs->path[logs->next++];
	bool input = !strcmp(path, "-");

	logs->state.files++;
	logs->fd = input ? STDIN_FILENO : open_path(path);
	if (logs->fd < 0)
		return file_damage(logs, strerrordesc_np(-logs->fd));
	if (!logs->reader)
		logs->reader = reader_new();
	logs->open = logs->reader && !reader_open(logs->reader, logs->fd, input ? NULL : path);
	if (!logs->open) {
		close_file(logs);
		return file_damage(logs, "there is no memory to read it");
	}
	if (logs->fast)
		reader_set_fast(logs->reader);
	logs->current = NULL;
	return LOGS_FILE;
}

static enum logs_item end_file(struct logs *logs)
{
	const struct reader_state *state = reader_state(logs->reader);
	struct stat file;

	logs->state.newer += state->newer;
	logs->state.unknown += state->unknown;
	logs->state.bytes += state->bytes;
	if (logs->current) {
		logs->current->live |= state->live;
		logs->current->cut = !state->closed && !state->live;
	}
	if (!fstat(logs->fd, &file) && S_ISREG(file.st_mode))
		logs->bytes_before += (uint64_t)file.st_size;
	logs->state.read_bytes = logs->bytes_before;
	close_file(logs);
	return LOGS_FILE;
}

enum logs_item logs_next(struct logs *logs)
{
	for (;;) {
		if (!logs->open) {
			if (logs->next == logs->paths)
				return LOGS_END;
			if (open_next(logs) == LOGS_DAMAGE)
				return LOGS_DAMAGE;
		}
		switch (reader_next(logs->reader)) {
		case READER_RECORD:
			if (note_record(logs, reader_record(logs->reader))) {
				logs->state.records++;
				return LOGS_RECORD;
			}
			logs->state.duplicates++;
			break;
		case READER_DAMAGE:
			logs->damage = *reader_damage(logs->reader);
			logs->state.damages++;
			return LOGS_DAMAGE;
		case READER_END:
			return end_file(logs);
		}
	}
}

bool logs_complete(struct logs *logs)
{
	if (reader_complete(logs->reader))
		return true;
	logs->damage = *reader_damage(logs->reader);
	logs->state.records--;
	logs->state.damages++;
	return false;
}

const struct record *logs_record(const struct logs *logs)
{
	return reader_record(logs->reader);
}

const char *logs_line(const struct logs *logs, size_t *length)
{
	return reader_line(logs->reader, length);
}

const struct reader_damage *logs_damage(const struct logs *logs)
{
	return &logs->damage;
}

const char *logs_file(const struct logs *logs)
{
	const char *path = logs->next ? logs->path[logs->next - 1] : "";

	return strcmp(path, "-") ? path : "standard input";
}

struct run *logs_run(const struct logs *logs)
{
	return logs->current;
}

const struct logs_state *logs_state(const struct logs *logs)
{
	return &logs->state;
}

size_t logs_runs(const struct logs *logs)
{
	return logs->runs;
}

const struct run *logs_run_at(const struct logs *logs, size_t index)
{
	return &logs->run[index]->run;
}

static int add_all(struct numbers *to, const struct numbers *from)
{
	int code = 0;

	for (size_t i = 0; i < from->count && !code; i++)
		code = numbers_add_range(to, from->range[i].first, from->range[i].last);
	return code;
}

int run_missing(const struct run *run, struct numbers *missing)
{
	struct numbers all = {0};
	uint64_t next = 0;
	int code = add_all(&all, &run->seen);

	if (!code)
		code = add_all(&all, &run->gaps);
	for (size_t i = 0; i < all.count && !code; i++) {
		if (all.range[i].first > next)
			code = numbers_add_range(missing, next, all.range[i].first - 1);
		next = all.range[i].last + 1;
	}
	numbers_free(&all);
	return code;
}
