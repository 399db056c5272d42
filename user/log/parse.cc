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
const char no_json[] = "no JSON";
const char key_twice[] = "a key that is there twice";
const char too_many_keys[] = "an object with too many keys";

/* Eight bytes, whatever they are. */
uint64_t word_at(const char *text)
{
	uint64_t word;

	memcpy(&word, text, sizeof(word));
	return word;
}

/* Names of fields by a hash that tells most of them apart. */
struct names {
	static constexpr unsigned int size = 1024;
	static constexpr unsigned int readable = 32; /* bytes of a name, zeros behind it */
	uint8_t slot[size] = {};                     /* field + 1; 0: none */
	uint8_t length[FIELD_MAX];
	char text[FIELD_MAX][readable] = {};

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
			memcpy(text[field], log_fields[field], length[field]);
			at = hash(log_fields[field], length[field]);
			while (slot[at])
				at = (at + 1) % size;
			slot[at] = (uint8_t)(field + 1);
		}
	}

	/* The key is simdjson's, which has room to read behind each string. */
	bool is(unsigned int field, const char *key, size_t key_length) const
	{
		uint64_t differ;

		if (length[field] != key_length)
			return false;
		if (key_length > 2 * sizeof(differ))
			return !memcmp(text[field], key, key_length);
		differ = word_at(text[field]) ^ word_at(key);
		if (key_length < sizeof(differ))
			return !(differ << (64 - 8 * key_length));
		return !(differ | (word_at(text[field] + key_length - sizeof(differ)) ^
				   word_at(key + key_length - sizeof(differ))));
	}

	unsigned int find(const char *key, size_t key_length) const
	{
		if (!key_length)
			return FIELD_MAX;
		for (unsigned int at = hash(key, key_length); slot[at]; at = (at + 1) % size)
			if (is(slot[at] - 1u, key, key_length))
				return slot[at] - 1u;
		return FIELD_MAX;
	}
};
static_assert(FIELD_MAX < 255, "fields fit into a slot");

/* The keys of one object so far. */
struct keys {
	uint64_t hashes; /* one bit each: most keys are new at the first look */
	unsigned int count;
	uint64_t head[PARSE_KEYS_MAX]; /* the first eight bytes of each */
	std::string_view key[PARSE_KEYS_MAX];

	void clear()
	{
		hashes = 0;
		count = 0;
	}

	/* False: it was there already, or there are too many. The key is simdjson's, as above. */
	bool add(std::string_view added)
	{
		size_t missing = added.size() < 8 ? 8 - added.size() : 0;
		uint64_t first = missing == 8 ? 0 : word_at(added.data()) << 8 * missing;
		uint64_t bit = 1ull << ((first ^ added.size()) * 0x9e3779b97f4a7c15u >> 58);

		if (count == PARSE_KEYS_MAX)
			return false;
		if (hashes & bit)
			for (unsigned int i = 0; i < count; i++)
				if (head[i] == first && key[i] == added)
					return false;
		hashes |= bit;
		head[count] = first;
		key[count++] = added;
		return true;
	}
};

/* Returns its type. */
__attribute__((always_inline)) inline simdjson::dom::element_type fill(struct value *value,
								       const element &from)
{
	simdjson::dom::element_type type = from.type();
	std::string_view text;
	int64_t number;

	switch (type) {
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
	return type;
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

	uint8_t after[FIELD_MAX + 1] = {}; /* the field that was behind this one last time */

	/* Records of a type have their keys in one order: mostly the guess is right. */
	unsigned int field_of(std::string_view key, unsigned int before)
	{
		unsigned int field = after[before];

		if (!names.is(field, key.data(), key.size())) {
			field = names.find(key.data(), key.size());
			if (field < FIELD_MAX)
				after[before] = (uint8_t)field;
		}
		return field;
	}

	/* The fields of a record, into it. */
	const char *take_fields(const simdjson::dom::object &object, struct record *record)
	{
		struct keys &others = keys[0];
		unsigned int before = FIELD_MAX, count = 0;

		others.clear();
		for (auto pair : object) {
			unsigned int field = field_of(pair.key, before);
			const char *wrong;

			if (++count > PARSE_KEYS_MAX)
				return too_many_keys;
			if (field == FIELD_MAX ? !others.add(pair.key)
					       : record->present[field / 64] >> field % 64 & 1)
				return key_twice;
			if (field < FIELD_MAX) {
				record->present[field / 64] |= 1ull << field % 64;
				fill(&record->field[field], pair.value);
			}
			before = field;
			wrong = check(pair.value, 1);
			if (wrong)
				return wrong;
		}
		return nullptr;
	}

	const char *check_object(const simdjson::dom::object &object, unsigned int depth)
	{
		struct keys &seen = keys[depth];

		seen.clear();
		for (auto pair : object) {
			const char *wrong;

			if (!seen.add(pair.key))
				return seen.count == PARSE_KEYS_MAX ? too_many_keys : key_twice;
			wrong = check(pair.value, depth + 1);
			if (wrong)
				return wrong;
		}
		return nullptr;
	}

	/* Whether no object in it has a key twice. Depth is bounded by simdjson. */
	const char *check(const element &value, unsigned int depth)
	{
		simdjson::dom::element_type type = value.type();

		return type == simdjson::dom::element_type::OBJECT ||
				       type == simdjson::dom::element_type::ARRAY
			       ? check_inside(value, type, depth)
			       : nullptr;
	}

	const char *check_inside(const element &value, simdjson::dom::element_type type,
				 unsigned int depth)
	{
		simdjson::dom::object object;
		simdjson::dom::array array;
		const char *wrong = nullptr;

		if (depth >= PARSE_DEPTH)
			return "too deep a nesting";
		if (type == simdjson::dom::element_type::OBJECT)
			return value.get_object().get(object) ? no_json
							      : check_object(object, depth);
		if (value.get_array().get(array))
			return no_json;
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
	static const uint8_t length[LOG_TYPE_MAX] = {
#define X(name, text) sizeof(text) - 1,
		LOG_TYPES(X)
#undef X
	};

	for (int i = 0; i < LOG_TYPE_MAX; i++)
		if (length[i] == type->length && !memcmp(log_types[i], type->text, type->length))
			return (enum log_type)i;
	return LOG_TYPE_MAX;
}

/* Most of its fields are absent, in each line. */
static void clear(struct record *record)
{
	for (unsigned int i = 0; i < PARSE_FIELD_WORDS; i++) {
		for (uint64_t rest = record->present[i]; rest; rest &= rest - 1)
			record->field[64 * i + (unsigned int)__builtin_ctzll(rest)] = {};
		record->present[i] = 0;
	}
	record->type = (enum log_type)0;
	record->newer = false;
	record->head = false;
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

	clear(record);
	if (parser->json.parse((const uint8_t *)line, length, false).get(root))
		return no_json;
	if (root.get_object().get(object))
		return "no object";
	wrong = parser->take_fields(object, record);
	if (wrong)
		return wrong;
	if (version->kind != VALUE_NUMBER || type->kind != VALUE_STRING)
		return "no record: it lacks \"v\" or \"type\"";
	record->type = type_of(type);
	record->newer = version->number > LOG_SCHEMA;
	return nullptr;
}

void record_set(struct record *record, enum log_field field, const struct value *value)
{
	record->present[field / 64] |= 1ull << field % 64;
	record->field[field] = *value;
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

size_t value_list(const struct value *array, struct value *values, size_t room)
{
	simdjson::dom::array inside;
	size_t count = 0;

	if (array->kind != VALUE_ARRAY || inside_of(array).get_array().get(inside))
		return 0;
	for (element found : inside) {
		if (count == room)
			break;
		values[count] = {};
		fill(&values[count++], found);
	}
	return count;
}
