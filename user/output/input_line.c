// SPDX-License-Identifier: GPL-2.0-or-later
#include "output/input_line.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/base64.h"
#include "base/clock.h"
#include "base/str.h"
#include "log/format.h"
#include "model/input_code.h"
#include "output/common.h"

#define KEY(name) log_fields[FIELD_##name]

/* All but the data, as text of an object without its last brace. */
static char *begin(const struct sink_context *context, const struct input_line *line, uint64_t now)
{
	char time[CLOCK_RFC3339_SIZE], host[3 * sizeof(context->host) + 1], *text;
	json_t *object;

	clock_rfc3339(time, output_utc(context, now));
	str_to_utf8(host, sizeof(host), context->host,
		    strnlen(context->host, sizeof(context->host)));
	object = json_pack("{si ss ss sI ss si sI sI}", KEY(V), LOG_SCHEMA, KEY(TYPE),
			   log_types[LOG_TYPE_INPUT], KEY(TIME), time, KEY(MONO_NS),
			   (json_int_t)now, KEY(HOST), host, KEY(FORMAT), INPUT_CODE_VERSION,
			   KEY(FIRST), (json_int_t)line->first, KEY(COUNT),
			   (json_int_t)line->count);
	text = object ? json_dumps(object, JSON_COMPACT) : NULL;
	json_decref(object);
	if (text)
		text[strlen(text) - 1] = '\0';
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
