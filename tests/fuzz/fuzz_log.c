// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The reader of logs gets any bytes, plain, as zstd and as gzip. Whatever they are: it comes to an
 * end, what it gives as records is whole, and a file that gives none has a damage. Where it trusts
 * checksums, and parses what it has left out afterwards, it finds the same.
 */
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fence.h"
#include "log/reader.h"

/* All that is known of a record is looked at. */
static void look_at(const struct record *record)
{
	struct value value, inner, list[100];
	char text[64];
	uint64_t sum = 0;

	for (int field = 0; field < FIELD_MAX; field++) {
		const struct value *at = &record->field[field];

		if (at->kind == VALUE_STRING)
			sum += strlen(at->text) + at->length;
		if (value_get(at, "hits", &value) && value.kind == VALUE_NUMBER)
			sum += value.number;
		for (size_t i = value_list(at, list, 100); i-- > 0;)
			sum += value_get(&list[i], "line", &inner);
	}
	memset(text, (int)sum, sizeof(text));
}

static struct reader_state read_all(struct reader *reader, int fd, const char *name)
{
	struct reader_state state;
	enum reader_item item;
	uint64_t records = 0, damages = 0;

	CHECK(!lseek(fd, 0, SEEK_SET));
	CHECK(!reader_open(reader, fd, name));
	while ((item = reader_next(reader)) != READER_END) {
		if (item == READER_RECORD && reader_record(reader)->head) {
			look_at(reader_record(reader));
			item = reader_complete(reader) ? READER_RECORD : READER_DAMAGE;
		}
		if (item == READER_RECORD) {
			records++;
			look_at(reader_record(reader));
		} else {
			damages += reader_damage(reader)->what[0] != '\0';
		}
	}
	CHECK(records || damages);
	CHECK(records == reader_state(reader)->records);
	CHECK(damages == reader_state(reader)->damages);
	state = *reader_state(reader);
	reader_close(reader);
	return state;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const names[] = {"x.jsonl", "x.jsonl.zst", "x.jsonl.gz"};
	struct reader *whole = reader_new(), *fast = reader_new();
	int fd = memfd_create("log", MFD_CLOEXEC);

	CHECK(fd >= 0 && write(fd, data, size) == (ssize_t)size && whole && fast);
	reader_set_fast(fast);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct reader_state state = read_all(whole, fd, names[i]);
		struct reader_state other = read_all(fast, fd, names[i]);

		CHECK(state.records == other.records && state.damages == other.damages);
		CHECK(state.newer == other.newer && state.unknown == other.unknown);
		CHECK(state.closed == other.closed && state.checked == other.checked);
	}
	reader_free(whole);
	reader_free(fast);
	close(fd);
	return 0;
}
