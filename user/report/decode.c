// SPDX-License-Identifier: GPL-2.0-or-later
#include "report/decode.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "log/counters.h"
#include "log/logs.h"
#include "model/advice.h"
#include "model/origins.h"
#include "output/common.h"

static const char *name_of(enum log_field field)
{
	return log_fields[field];
}

uint64_t decode_number(const struct record *record, enum log_field field)
{
	const struct value *value = &record->field[field];

	return value->kind == VALUE_NUMBER || value->kind == VALUE_BOOL ? value->number : 0;
}

static uint64_t number_in(const struct value *object, const char *key)
{
	struct value value;

	return value_get(object, key, &value) &&
			       (value.kind == VALUE_NUMBER || value.kind == VALUE_BOOL)
		       ? value.number
		       : 0;
}

/* A string of the record; "" if it has none. */
static const char *text_of(const struct value *value)
{
	return value->kind == VALUE_STRING ? value->text : "";
}

static bool is(const struct value *value, const char *text)
{
	return value->kind == VALUE_STRING && !strcmp(value->text, text);
}

enum trace_kind decode_kind(const struct record *record)
{
	int kind = kind_from_name(text_of(&record->field[FIELD_KIND]));

	return kind < 0 ? TRACE_KIND_UNKNOWN : (enum trace_kind)kind;
}

/* A string; NULL: there is none. */
static const char *known_of(const struct value *value)
{
	return value->kind == VALUE_STRING ? value->text : NULL;
}

static const char *known_in(const struct value *object, enum log_field field)
{
	struct value value;

	return value_get(object, name_of(field), &value) ? known_of(&value) : NULL;
}

/* The strings are the record's. */
static void decode_cgroup(const struct record *record, struct event_cgroup *cgroup)
{
	const struct value *container = &record->field[FIELD_CONTAINER];

	cgroup->path = known_of(&record->field[FIELD_CGROUP]);
	cgroup->unit = known_of(&record->field[FIELD_UNIT]);
	cgroup->container = known_in(container, FIELD_ID);
	cgroup->runtime = known_in(container, FIELD_RUNTIME);
	cgroup->pod = known_in(container, FIELD_POD_UID);
}

void decode_process(const struct record *record, struct event *event)
{
	struct event_process *process = &event->process;
	struct value value;

	process->pid = (uint32_t)decode_number(record, FIELD_PID);
	process->tid = (uint32_t)decode_number(record, FIELD_TID);
	process->ns_pid = (uint32_t)decode_number(record, FIELD_NS_PID);
	process->ns_tid = (uint32_t)decode_number(record, FIELD_NS_TID);
	process->uid = (uint32_t)decode_number(record, FIELD_UID);
	process->start_time = decode_number(record, FIELD_START_NS);
	value_copy(&record->field[FIELD_COMM], process->comm, sizeof(process->comm));
	value_copy(&record->field[FIELD_EXE], process->exe, sizeof(process->exe));
	decode_cgroup(record, &process->cgroup);
	value_get(&record->field[FIELD_TORCH], name_of(FIELD_FILE), &value);
	value_copy(&value, event->torch.file, sizeof(event->torch.file));
	value_get(&record->field[FIELD_TORCH], name_of(FIELD_VERSION), &value);
	value_copy(&value, event->torch.version, sizeof(event->torch.version));
}

/* False: it is no place. */
static bool decode_frame(const struct value *object, struct event_frame *frame)
{
	struct value file, function, line;

	if (object->kind != VALUE_OBJECT)
		return false;
	value_get(object, name_of(FIELD_FILE), &file);
	value_get(object, name_of(FIELD_FUNCTION), &function);
	*frame = (struct event_frame){.file = text_of(&file), .function = text_of(&function)};
	if (value_get(object, name_of(FIELD_LINE), &line) && line.kind == VALUE_NUMBER &&
	    line.number <= INT_MAX)
		frame->line = (int)line.number;
	return true;
}

static bool is_same(const struct event_frame *one, const struct event_frame *other)
{
	return one->line == other->line && !strcmp(one->file, other->file) &&
	       !strcmp(one->function, other->function);
}

uint32_t decode_python(const struct event *event)
{
	const char *path[] = {event->torch.file, event->process.exe};
	unsigned int major, minor;

	for (size_t i = 0; i < sizeof(path) / sizeof(path[0]); i++) {
		const char *at = strstr(path[i], "/python3.");

		if (at && sscanf(at, "/python%1u.%3u", &major, &minor) == 2 && minor < 256)
			return major << 8 | minor;
	}
	return 0;
}

void decode_stack(const struct record *record, struct decoded *decoded)
{
	struct event_stack *stack = &decoded->event.stack;
	const struct origins_hint hint = {.torch_file = decoded->event.torch.file,
					  .python = decode_python(&decoded->event)};
	struct value frames[DECODE_FRAMES_MAX];
	size_t count = value_list(&record->field[FIELD_STACK], frames, DECODE_FRAMES_MAX);
	struct event_frame user;

	*stack = (struct event_stack){
		.frame = decoded->frame, .origin = decoded->origin, .user = -1};
	for (unsigned int i = 0; i < GW_STACK_MAX; i++)
		if (is(&record->field[FIELD_STACK_STATUS], output_stack_status(i)))
			stack->status = (enum gw_stack_status)i;
	while (stack->count < count &&
	       decode_frame(&frames[stack->count], &decoded->frame[stack->count]))
		stack->count++;
	origins_find(decoded->frame, stack->count, &hint, decoded->origin);
	if (!decode_frame(&record->field[FIELD_USER], &user))
		return;
	for (size_t i = 0; i < stack->count && stack->user < 0; i++)
		if (is_same(&user, &decoded->frame[i]))
			stack->user = (int)i;
	/* Beyond what is kept, or not in the stack at all. */
	if (stack->user < 0) {
		size_t last = stack->count < DECODE_FRAMES_MAX ? stack->count++
							       : DECODE_FRAMES_MAX - 1;

		decoded->frame[last] = user;
		decoded->origin[last] = (struct event_origin){.whose = ORIGIN_USER};
		stack->user = (int)last;
	}
}

static uint8_t decode_state(const struct value *object)
{
	if (object->kind != VALUE_OBJECT)
		return GW_STATE_UNKNOWN;
	return (uint8_t)((number_in(object, name_of(FIELD_GRAD)) ? GW_STATE_GRAD : 0) |
			 (number_in(object, name_of(FIELD_INFERENCE)) ? GW_STATE_INFERENCE : 0));
}

static enum advice decode_advice(const struct value *value)
{
	for (int i = ADVICE_NONE + 1; i < ADVICE_MAX; i++)
		if (is(value, advice_key((enum advice)i)))
			return (enum advice)i;
	return ADVICE_NONE;
}

enum severity decode_severity(const struct record *record)
{
	int severity = 0;

	while (severity < SEVERITY_MAX &&
	       !is(&record->field[FIELD_SEVERITY], output_severity((enum severity)severity)))
		severity++;
	return (enum severity)severity;
}

enum restored decode_restored(const struct record *record)
{
	const struct value *restored = &record->field[FIELD_RESTORED];

	if (restored->kind != VALUE_BOOL)
		return RESTORED_UNKNOWN;
	return restored->number ? RESTORED_YES : RESTORED_NO;
}

/* False: a word that is not known. */
static bool decode_words(const struct record *record, struct event_finding *finding)
{
	int category = 0;

	while (category < FINDING_CATEGORY_MAX &&
	       !is(&record->field[FIELD_CATEGORY],
		   output_category((enum finding_category)category)))
		category++;
	finding->category = (enum finding_category)category;
	finding->severity = decode_severity(record);
	for (int owner = 0; owner < OWNER_MAX; owner++)
		if (is(&record->field[FIELD_WHOSE], output_owner((enum owner)owner)))
			finding->owner = (enum owner)owner;
	return category < FINDING_CATEGORY_MAX && finding->severity < SEVERITY_MAX;
}

static void begin_event(const struct record *record, struct event *event)
{
	memset(event, 0, sizeof(*event));
	event->time = decode_number(record, FIELD_MONO_NS);
	decode_process(record, event);
}

void decode_event(const struct record *record, struct decoded *decoded)
{
	begin_event(record, &decoded->event);
	decode_stack(record, decoded);
}

/* "" for what no version of gradwatch makes: it is printed as it is. */
static void decode_fingerprint(const struct value *value, char fingerprint[FINGERPRINT_SIZE])
{
	value_copy(value, fingerprint, FINGERPRINT_SIZE);
	if (fingerprint[strspn(fingerprint, "0123456789:abcdefghijklmnopqrstuvwxyz")])
		*fingerprint = '\0';
}

bool decode_finding(const struct record *record, struct decoded *decoded)
{
	struct event_finding *finding = &decoded->event.finding;

	begin_event(record, &decoded->event);
	decoded->event.type = EVENT_FINDING;
	finding->number = decode_number(record, FIELD_FINDING);
	finding->count = decode_number(record, FIELD_COUNT);
	finding->trace = decode_number(record, FIELD_TRACE);
	finding->kind = decode_kind(record);
	finding->from = decode_state(&record->field[FIELD_FROM]);
	finding->to = decode_state(&record->field[FIELD_TO]);
	finding->began = decode_state(&record->field[FIELD_BEGAN]);
	finding->certain = decode_number(record, FIELD_CERTAIN);
	finding->restored = decode_restored(record);
	finding->duration_ns = decode_number(record, FIELD_DURATION_NS);
	finding->operators = decode_number(record, FIELD_OPERATORS);
	finding->uncounted = record->field[FIELD_OPERATORS].kind != VALUE_NUMBER;
	finding->before_attach = decode_number(record, FIELD_BEFORE_ATTACH);
	finding->decorator = decode_number(record, FIELD_DECORATOR);
	finding->advice = decode_advice(&record->field[FIELD_ADVICE]);
	value_copy(&record->field[FIELD_MANAGER], finding->manager, sizeof(finding->manager));
	decode_fingerprint(&record->field[FIELD_FINGERPRINT], finding->fingerprint);
	if (decode_frame(&record->field[FIELD_DECORATED], &decoded->decorated))
		finding->decorated = &decoded->decorated;
	if (decode_frame(&record->field[FIELD_CALLER], &decoded->caller))
		finding->caller = &decoded->caller;
	if (record->field[FIELD_SUPPRESSED_BY].kind == VALUE_STRING)
		finding->suppression = record->field[FIELD_SUPPRESSED_BY].text;
	return decode_words(record, finding) && finding->number;
}

void decode_totals(const struct record *record, struct event_totals *totals)
{
	const struct value *coverage = &record->field[FIELD_COVERAGE];

	*totals = (struct event_totals){
		.processes = decode_number(record, FIELD_PROCESSES),
		.traces = decode_number(record, FIELD_TRACES),
		.violations = decode_number(record, FIELD_VIOLATIONS),
		.infos = decode_number(record, FIELD_INFOS),
		.findings = decode_number(record, FIELD_FINDINGS),
		.notes = decode_number(record, FIELD_NOTES),
		.suppressed = decode_number(record, FIELD_SUPPRESSED),
		.findings_forgotten = decode_number(record, FIELD_FINDINGS_FORGOTTEN),
		.lost = decode_number(record, FIELD_LOST),
		.lost_output = decode_number(record, FIELD_LOST_OUTPUT),
		.coverage = {.probed = number_in(coverage, name_of(FIELD_PROBED)),
			     .missed = number_in(coverage, name_of(FIELD_MISSED)),
			     .mappings_lost = number_in(coverage, name_of(FIELD_MAPPINGS_LOST)),
			     .refused = number_in(coverage, name_of(FIELD_REFUSED)),
			     .files_refused = number_in(coverage, name_of(FIELD_FILES_REFUSED)),
			     .unarmed = number_in(coverage, name_of(FIELD_UNARMED)),
			     .bad_records = number_in(coverage, name_of(FIELD_BAD_RECORDS))},
	};
	for (unsigned int i = 0; i < ACTION_OUTCOME_MAX; i++)
		totals->actions[i] = number_in(&record->field[FIELD_ACTIONS],
					       output_outcome((enum action_outcome)i));
	for (unsigned int i = 0; i < GW_COUNTER_MAX; i++)
		totals->counter[i] =
			number_in(&record->field[i <= GW_THROTTLED ? FIELD_LEDGER : FIELD_COUNTERS],
				  log_counters[i]);
	totals->counter[GW_DRIFTS] = decode_number(record, FIELD_DRIFTS);
}
