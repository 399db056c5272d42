// SPDX-License-Identifier: GPL-2.0-or-later
#include "base/object.h"

#include <stdlib.h>
#include <string.h>

#include "base/str.h"

struct object object_new(void)
{
	return (struct object){.json = json_object()};
}

void object_put(struct object *object, const char *key, json_t *value)
{
	object->failed |= json_object_set_new(object->json, key, value) != 0;
}

void object_number(struct object *object, const char *key, uint64_t number)
{
	object_put(object, key, json_integer(number > INT64_MAX ? INT64_MAX : (json_int_t)number));
}

void object_bool(struct object *object, const char *key, bool value)
{
	object_put(object, key, json_boolean(value));
}

void object_string(struct object *object, const char *key, const char *string)
{
	char utf8[3 * OBJECT_STRING_MAX + 1];
	size_t length = 0;

	if (string)
		length = str_to_utf8(utf8, sizeof(utf8), string,
				     strnlen(string, OBJECT_STRING_MAX));
	object_put(object, key, length ? json_stringn(utf8, length) : json_null());
}

void object_add(struct object *object, const char *key, struct object *inner)
{
	object->failed |= inner->failed;
	object_put(object, key, inner->json);
}

char *object_text(struct object *object, size_t *length)
{
	char *text = object->failed ? NULL : json_dumps(object->json, JSON_COMPACT);
	char *line = NULL;

	json_decref(object->json);
	if (text) {
		*length = strlen(text) + 1;
		line = realloc(text, *length + 1);
		if (line)
			memcpy(line + *length - 1, "\n", 2);
		else
			free(text);
	}
	return line;
}
