// SPDX-License-Identifier: GPL-2.0-or-later
#include "output/input_line.h"

#include <stdlib.h>
#include <string.h>

#include "base/base64.h"
#include "base/clock.h"
#include "base/object.h"
#include "log/format.h"
#include "model/input_code.h"
#include "output/common.h"

#define KEY(name) log_fields[FIELD_##name]

/* All but the data, as text of an object without its last brace. */
static char *begin(const struct sink_context *context, const struct input_line *line, uint64_t now)
{
	const struct log_identity *identity = &context->identity;
	struct object object = object_new();
	char time[CLOCK_RFC3339_SIZE], *text;
	size_t length;

	clock_rfc3339(time, output_utc(context, now));
	object_number(&object, KEY(V), LOG_SCHEMA);
	object_string(&object, KEY(TYPE), log_types[LOG_TYPE_INPUT]);
	object_string(&object, KEY(TIME), time);
	object_number(&object, KEY(MONO_NS), now);
	object_string(&object, KEY(HOST), identity->host);
	object_string(&object, KEY(BOOT_ID), identity->boot_id);
	object_string(&object, KEY(RUN_ID), identity->run_id);
	object_number(&object, KEY(FORMAT), INPUT_CODE_VERSION);
	object_number(&object, KEY(FIRST), line->first);
	object_number(&object, KEY(COUNT), line->count);
	text = object_text(&object, &length);
	if (text)
		text[length - 2] = '\0';
	return text;
}

/* The digits need no escapes: they are not put through a JSON library. */
char *input_line(const struct sink_context *context, const struct input_line *line, uint64_t now,
		 size_t *length)
{
	char *head = begin(context, line, now), *text = NULL;
	size_t size = base64_size(line->size);

	if (head)
		text = malloc(strlen(head) + size + 32);
	if (text) {
		size_t at = (size_t)sprintf(text, "%s,\"%s\":\"", head, KEY(DATA));

		base64_encode(text + at, line->bytes, line->size);
		memcpy(text + at + size, "\"}\n", 4);
		*length = at + size + 3;
	}
	free(head);
	return text;
}
