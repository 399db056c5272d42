// SPDX-License-Identifier: GPL-2.0-or-later
#include "log/parse.h"

#define SIMDJSON_EXCEPTIONS 0
#include <cstring>
#include <new>
#include <simdjson.h>

using simdjson::dom::element;

static_assert(sizeof(element) == sizeof(value::inside), "an element fits");
static_assert(std::is_trivially_copyable<element>::value, "and can be copied");
static_assert(PARSE_PADDING >= simdjson::SIMDJSON_PADDING, "lines have room behind them");

namespace
{
/* Names of fields by a hash that tells most of them apart. */
struct names {
	static constexpr unsigned int size = 1024;
	uint8_t slot[size] = {}; /* field + 1; 0: none */
	uint8_t length[FIELD_MAX];

	static unsigned int hash(const char *key, size_t length)
	{
		unsigned int first = (uint8_t)key[0], last = (uint8_t)key[length - 1];
		unsigned int middle = (uint8_t)key[length / 2];

		return (unsigned int)(length * 67 + first * 5 + last * 131 + middle * 29) % size;
	}

	names()
	{
		for (unsigned int field = 0; field < FIELD_MAX; field++) {
			unsigned int at;

			length[field] = (uint8_t)strlen(log_fields[field]);
			at = hash(log_fields[field], length[field]);
			while (slot[at])
				at = (at + 1) % size;
			slot[at] = (uint8_t)(field + 1);
		}
	}

	unsigned int find(const char *key, size_t key_length) const
	{
		if (!key_length)
			return FIELD_MAX;
		for (unsigned int at = hash(key, key_length); slot[at]; at = (at + 1) % size) {
			unsigned int field = slot[at] - 1u;

			if (length[field] == key_length &&
			    !memcmp(log_fields[field], key, key_length))
				return field;
		}
		return FIELD_MAX;
	}
};
static_assert(FIELD_MAX < 255, "fields fit into a slot");

/* The keys of one object so far. */
struct keys {
	uint64_t known[(FIELD_MAX + 63) / 64] = {};
	unsigned int count = 0, others = 0;
	uint64_t hashes = 0; /* of the others */
	std::string_view other[PARSE_KEYS_MAX];

	/* False: it was there already, or there are too many. */
	bool add(std::string_view key, unsigned int field)
	{
		uint64_t bit;

		if (++count > PARSE_KEYS_MAX)
			return false;
		if (field < FIELD_MAX) {
			bit = 1ull << field % 64;
			if (known[field / 64] & bit)
				return false;
			known[field / 64] |= bit;
			return true;
		}
		bit = 1ull << (key.empty() ? 0
					   : (key.size() * 7 + (uint8_t)key.front() +
					      (uint8_t)key[key.size() / 2] * 3) %
						     64);
		for (unsigned int i = 0; hashes & bit && i < others; i++)
			if (other[i] == key)
				return false;
		hashes |= bit;
		other[others++] = key;
		return true;
	}
};

void fill(struct value *value, const element &from)
{
	std::string_view text;
	int64_t number;

	switch (from.type()) {
	case simdjson::dom::element_type::ARRAY:
		value->kind = VALUE_ARRAY;
		memcpy(value->inside, &from, sizeof(from));
		break;
	case simdjson::dom::element_type::OBJECT:
		value->kind = VALUE_OBJECT;
		memcpy(value->inside, &from, sizeof(from));
		break;
	case simdjson::dom::element_type::INT64:
		number = from.get_int64().value_unsafe();
		value->kind = number < 0 ? VALUE_NEGATIVE : VALUE_NUMBER;
		value->number = (uint64_t)number;
		break;
	case simdjson::dom::element_type::UINT64:
		value->kind = VALUE_NUMBER;
		value->number = from.get_uint64().value_unsafe();
		break;
	case simdjson::dom::element_type::DOUBLE:
		value->kind = VALUE_REAL;
		break;
	case simdjson::dom::element_type::STRING:
		text = from.get_string().value_unsafe();
		value->kind = VALUE_STRING;
		value->text = text.data();
		value->length = text.size();
		break;
	case simdjson::dom::element_type::BOOL:
		value->kind = VALUE_BOOL;
		value->number = from.get_bool().value_unsafe();
		break;
	case simdjson::dom::element_type::NULL_VALUE:
		value->kind = VALUE_NULL;
		break;
	}
}

element inside_of(const struct value *value)
{
	element inside;

	memcpy(static_cast<void *>(&inside), value->inside, sizeof(inside));
	return inside;
}
} // namespace

struct parser {
	simdjson::dom::parser json{LOG_LINE_MAX};
	struct names names;
	struct keys keys[PARSE_DEPTH]; /* of the objects that are open */

	const char *check_object(const simdjson::dom::object &object, unsigned int depth,
				 struct record *record)
	{
		struct keys &seen = keys[depth];

		memset(seen.known, 0, sizeof(seen.known));
		seen.count = seen.others = 0;
		seen.hashes = 0;
		for (auto pair : object) {
			unsigned int field = names.find(pair.key.data(), pair.key.size());
			const char *wrong;

			if (!seen.add(pair.key, field))
				return seen.count > PARSE_KEYS_MAX ? "an object with too many keys"
								   : "a key that is there twice";
			if (record && field < FIELD_MAX)
				fill(&record->field[field], pair.value);
			wrong = check(pair.value, depth + 1);
			if (wrong)
				return wrong;
		}
		return nullptr;
	}

	/* Whether no object in it has a key twice. Depth is bounded by simdjson. */
	const char *check(const element &value, unsigned int depth)
	{
		simdjson::dom::object object;
		simdjson::dom::array array;
		const char *wrong = nullptr;

		if (depth >= PARSE_DEPTH)
			return "too deep a nesting";
		if (!value.get_object().get(object))
			return check_object(object, depth, nullptr);
		if (value.get_array().get(array))
			return nullptr;
		for (element inner : array) {
			wrong = check(inner, depth + 1);
			if (wrong)
				break;
		}
		return wrong;
	}
};

static enum log_type type_of(const struct value *type)
{
	for (int i = 0; i < LOG_TYPE_MAX; i++)
		if (strlen(log_types[i]) == type->length &&
		    !memcmp(log_types[i], type->text, type->length))
			return (enum log_type)i;
	return LOG_TYPE_MAX;
}

struct parser *parser_new(void)
{
	struct parser *parser = new (std::nothrow) struct parser();

	if (parser && parser->json.allocate(1 << 16, PARSE_DEPTH)) {
		delete parser;
		return nullptr;
	}
	return parser;
}

void parser_free(struct parser *parser)
{
	delete parser;
}

const char *parser_parse(struct parser *parser, const char *line, size_t length,
			 struct record *record)
{
	const struct value *version = &record->field[FIELD_V];
	const struct value *type = &record->field[FIELD_TYPE];
	simdjson::dom::object object;
	element root;
	const char *wrong;

	memset(static_cast<void *>(record), 0, sizeof(*record));
	if (parser->json.parse((const uint8_t *)line, length, false).get(root))
		return "no JSON";
	if (root.get_object().get(object))
		return "no object";
	wrong = parser->check_object(object, 0, record);
	if (wrong)
		return wrong;
	if (version->kind != VALUE_NUMBER || type->kind != VALUE_STRING)
		return "no record: it lacks \"v\" or \"type\"";
	record->type = type_of(type);
	record->newer = version->number > LOG_SCHEMA;
	return nullptr;
}

bool value_get(const struct value *object, const char *key, struct value *value)
{
	simdjson::dom::object inside;
	element found;

	*value = {};
	if (object->kind != VALUE_OBJECT || inside_of(object).get_object().get(inside) ||
	    inside.at_key(key).get(found))
		return false;
	fill(value, found);
	return true;
}

bool value_at(const struct value *array, size_t n, struct value *value)
{
	simdjson::dom::array inside;
	element found;

	*value = {};
	if (array->kind != VALUE_ARRAY || inside_of(array).get_array().get(inside) ||
	    inside.at(n).get(found))
		return false;
	fill(value, found);
	return true;
}
