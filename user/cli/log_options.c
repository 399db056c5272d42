// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/log_options.h"

#include <errno.h>
#include <string.h>

#include "base/str.h"

#define SIZE_DEFAULT (64ull << 20)
#define NS_PER_SEC   1000000000ull

void log_options_defaults(struct log_options *options)
{
	options->level = LOG_DETAIL_CHANGES;
	options->segments.max_bytes = SIZE_DEFAULT;
}

int log_options_level(struct log_options *options, const char *text, struct err *err)
{
	for (int level = 0; level < LOG_DETAIL_MAX; level++)
		if (!strcmp(text, log_detail_name[level])) {
			options->level = (enum log_detail)level;
			return 0;
		}
	return err_set(err, -EINVAL, "--log-level knows no '%s': findings, changes or all", text);
}

int log_options_sync(struct log_options *options, const char *text, struct err *err)
{
	static const char *const name[] = {
		[SEGMENTS_SYNC_INTERVAL] = "interval",
		[SEGMENTS_SYNC_NONE] = "none",
		[SEGMENTS_SYNC_EACH] = "each",
	};

	for (int sync = 0; sync < 3; sync++)
		if (!strcmp(text, name[sync])) {
			options->segments.sync = (enum segments_sync)sync;
			return 0;
		}
	return err_set(err, -EINVAL, "--log-sync knows no '%s': none, interval or each", text);
}

/* A number with a unit of its kind: a letter and what it stands for, the first for none. */
static int parse_amount(const char *text, const char *letters, const uint64_t *factor,
			uint64_t *amount)
{
	char digits[32];
	size_t length = strlen(text), unit = 0;

	if (!length || length >= sizeof(digits))
		return -EINVAL;
	memcpy(digits, text, length + 1);
	if (text[length - 1] > '9') {
		const char *found = strchr(letters, text[length - 1]);

		if (!found)
			return -EINVAL;
		unit = (size_t)(found - letters) + 1;
		digits[length - 1] = '\0';
	}
	if (str_to_u64(digits, 1, UINT64_MAX / factor[unit], amount))
		return -EINVAL;
	*amount *= factor[unit];
	return 0;
}

static int rotate_word(struct segments_config *segments, const char *name, const char *value)
{
	static const uint64_t bytes[] = {1, 1ull << 10, 1ull << 20, 1ull << 30};
	static const uint64_t times[] = {NS_PER_SEC, NS_PER_SEC, 60 * NS_PER_SEC, 3600 * NS_PER_SEC,
					 86400 * NS_PER_SEC};

	if (!strcmp(name, "size"))
		return parse_amount(value, "KMG", bytes, &segments->max_bytes);
	if (!strcmp(name, "time"))
		return parse_amount(value, "smhd", times, &segments->max_age_ns);
	if (!strcmp(name, "records"))
		return parse_amount(value, "", bytes, &segments->max_records);
	if (!strcmp(name, "keep"))
		return parse_amount(value, "", bytes, &segments->keep);
	return -EINVAL;
}

int log_options_rotate(struct log_options *options, const char *text, struct err *err)
{
	options->segments.max_bytes = 0;
	for (;;) {
		size_t length = strcspn(text, ",");
		char word[64] = "", *value;

		if (length < sizeof(word))
			memcpy(word, text, length);
		value = strchr(word, '=');
		if (value)
			*value++ = '\0';
		if (!value || rotate_word(&options->segments, word, value))
			return err_set(err, -EINVAL,
				       "--log-rotate wants some of size=64M, time=1h, "
				       "records=100000, keep=10 (segments), not '%.*s'",
				       (int)length, text);
		text += length;
		if (!*text++)
			return 0;
	}
}
