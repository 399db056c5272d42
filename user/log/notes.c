// SPDX-License-Identifier: GPL-2.0-or-later
#include "log/notes.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>

#include "base/clock.h"
#include "base/str.h"
#include "gradwatch/abi.h"
#include "gradwatch/version.h"

#define STRING_MAX 256

struct note {
	json_t *object;
	bool failed;
};

static void put(struct note *note, const char *key, json_t *value)
{
	note->failed |= json_object_set_new(note->object, key, value) != 0;
}

static void put_number(struct note *note, enum log_field field, uint64_t number)
{
	put(note, log_fields[field], json_integer((json_int_t)(number & INT64_MAX)));
}

static void put_string(struct note *note, enum log_field field, const char *string)
{
	char utf8[3 * STRING_MAX + 1];
	size_t length = str_to_utf8(utf8, sizeof(utf8), string, strnlen(string, STRING_MAX));

	put(note, log_fields[field], json_stringn(utf8, length));
}

static struct note begin(const struct notes_run *run, enum log_type type, uint64_t now)
{
	struct note note = {.object = json_object()};
	char time[CLOCK_RFC3339_SIZE];

	clock_rfc3339(time, now + (uint64_t)clock_utc_offset());
	put_number(&note, FIELD_V, LOG_SCHEMA);
	put_string(&note, FIELD_TYPE, log_types[type]);
	put_string(&note, FIELD_TIME, time);
	put_number(&note, FIELD_MONO_NS, now);
	put_string(&note, FIELD_HOST, run->identity.host);
	put_string(&note, FIELD_BOOT_ID, run->identity.boot_id);
	put_string(&note, FIELD_RUN_ID, run->identity.run_id);
	return note;
}

static void put_types(struct note *note, const uint64_t types[LOG_TYPE_MAX + 1])
{
	struct note inner = {.object = json_object()};

	for (int i = 0; i <= LOG_TYPE_MAX; i++)
		if (types[i])
			put(&inner, i < LOG_TYPE_MAX ? log_types[i] : "other",
			    json_integer((json_int_t)types[i]));
	put(note, log_fields[FIELD_TYPES], inner.object);
	note->failed |= inner.failed;
}

static char *end(struct note *note)
{
	char *text = note->failed ? NULL : json_dumps(note->object, JSON_COMPACT);

	json_decref(note->object);
	return text;
}

/* The same moment by all clocks: what others have measured can be laid beside it. */
static void put_clocks(struct note *note, uint64_t now)
{
	struct note inner = {.object = json_object()};
	struct timespec boot;

	clock_gettime(CLOCK_BOOTTIME, &boot);
	put_number(&inner, FIELD_MONO_NS, now);
	put_number(&inner, FIELD_BOOTTIME_NS,
		   (uint64_t)boot.tv_sec * 1000000000ull + (uint64_t)boot.tv_nsec);
	put_number(&inner, FIELD_REALTIME_NS, now + (uint64_t)clock_utc_offset());
	put(note, log_fields[FIELD_CLOCK], inner.object);
	note->failed |= inner.failed;
}

char *notes_header(const struct notes_run *run, uint64_t segment, uint64_t now)
{
	struct note note = begin(run, LOG_TYPE_HEADER, now);
	struct utsname name;

	put_number(&note, FIELD_SEGMENT, segment);
	put_number(&note, FIELD_REMOVED, run->removed);
	put_string(&note, FIELD_LEVEL, run->level);
	put_string(&note, FIELD_GRADWATCH, GRADWATCH_VERSION);
	put_number(&note, FIELD_ABI, GW_ABI_VERSION);
	if (!uname(&name)) {
		put_string(&note, FIELD_KERNEL, name.release);
		put_string(&note, FIELD_MACHINE, name.machine);
	}
	put_clocks(&note, now);
	return end(&note);
}

char *notes_close(const struct notes_run *run, const struct notes_close *close, uint64_t now)
{
	struct note note = begin(run, LOG_TYPE_CLOSE, now);
	char *text, *with_totals;

	put_number(&note, FIELD_SEGMENT, close->segment);
	put_string(&note, FIELD_REASON, close->reason);
	put_number(&note, FIELD_FIRST_SEQ, close->first_seq);
	put_number(&note, FIELD_RECORDS, close->records + 1);
	put_types(&note, close->types);
	text = end(&note);
	if (!text || !close->totals)
		return text;
	text[strlen(text) - 1] = '\0';
	if (asprintf(&with_totals, "%s,\"%s\":%s}", text, log_fields[FIELD_TOTALS], close->totals) <
	    0)
		with_totals = NULL;
	free(text);
	return with_totals;
}

char *notes_gap(const struct notes_run *run, const struct notes_gap *gap, uint64_t now)
{
	struct note note = begin(run, LOG_TYPE_GAP, now);

	put_number(&note, FIELD_COUNT, gap->count);
	put_number(&note, FIELD_FIRST_SEQ, gap->first_seq);
	put_number(&note, FIELD_LAST_SEQ, gap->first_seq + gap->count - 1);
	put_types(&note, gap->types);
	put_string(&note, FIELD_REASON, strerror(-gap->error));
	return end(&note);
}
