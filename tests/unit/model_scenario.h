/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Random lives of some processes, as the model is given them: scenario_run(). */
#ifndef GRADWATCH_TESTS_MODEL_SCENARIO_H
#define GRADWATCH_TESTS_MODEL_SCENARIO_H

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "model/inputs.h"

#define SCENARIO_TRACES 6
#define SCENARIO_CODES  8

struct scenario {
	uint64_t dice;
	uint64_t now;
	uint64_t lost;
	struct gw_trace trace[SCENARIO_TRACES];
	struct model_decision decision;
	uint64_t counter[GW_COUNTER_MAX];
	unsigned int known; /* how much the resolver knows by now */
};

static inline uint32_t scenario_random(struct scenario *scenario, uint32_t sides)
{
	scenario->dice = scenario->dice * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)(scenario->dice >> 33) % sides;
}

/* Its answers change in the course of a run, as those of the registry do. */
static inline void scenario_process(void *context, uint32_t pid, uint64_t start_time,
				    struct event_process *process)
{
	const struct scenario *scenario = context;

	(void)start_time;
	if (scenario->known > 100)
		snprintf(process->exe, sizeof(process->exe), "/usr/bin/python3.1%u", pid % 5);
	if (scenario->known > 50 && pid % 2)
		process->cgroup = (struct event_cgroup){
			.path = "/docker/0123", .container = "0123", .runtime = "docker"};
	else if (pid % 3)
		process->cgroup = (struct event_cgroup){.path = "/a.service", .unit = "a.service"};
}

static inline void scenario_torch(void *context, uint32_t file_id, struct event_torch *torch)
{
	const struct scenario *scenario = context;

	snprintf(torch->file, sizeof(torch->file), "/lib/python3.11/site-packages/torch/lib/%u.so",
		 file_id);
	if (scenario->known > 200)
		snprintf(torch->version, sizeof(torch->version), "2.%u.0", file_id);
}

static inline void scenario_code(struct model *model, uint64_t id, uint32_t pid)
{
	static const char *const name[SCENARIO_CODES][2] = {
		{"/lib/python3.11/site-packages/torch/autograd/grad_mode.py", "no_grad.__enter__"},
		{"/lib/python3.11/site-packages/torch/autograd/grad_mode.py", "no_grad.__exit__"},
		{"/home/me/model.py", "Net.forward"},
		{"/home/me/model.py", "helper"},
		{"/lib/python3.11/site-packages/torch/fx/experimental/proxy_tensor.py", "make_fx"},
		{"/lib/python3.11/site-packages/torch/export/__init__.py", "export"},
		{"/lib/python3.11/site-packages/torch/utils/_contextlib.py", "decorate_context"},
		{"/home/me/train.py", "<module>"},
	};
	struct gw_code_record record = {
		.header = {.type = GW_RECORD_CODE, .version = GW_ABI_VERSION},
		.id = id,
		.pid = pid,
		.start_time = 1000000000ull * pid,
		.first_line = (uint32_t)id,
		.version = 3 << 8 | 11,
		.file_kind = 1,
		.name_kind = 1,
		.file_bytes = (uint16_t)strlen(name[id % SCENARIO_CODES][0]),
		.name_bytes = (uint16_t)strlen(name[id % SCENARIO_CODES][1]),
	};

	memcpy(record.file, name[id % SCENARIO_CODES][0], record.file_bytes);
	memcpy(record.name, name[id % SCENARIO_CODES][1], record.name_bytes);
	record.header.size = sizeof(record);
	model_record(model, &record, sizeof(record), NULL, NULL);
}

static inline void scenario_begin(struct scenario *scenario, struct gw_trace *trace)
{
	static uint64_t id;
	uint32_t pid = 10 + scenario_random(scenario, 3);

	*trace = (struct gw_trace){
		.id = ++id,
		.mode = scenario_random(scenario, 4) ? 0x1000 + id : GW_MODE_PRE_DISPATCH,
		.start_time = 1000000000ull * pid,
		.first_push = scenario->now,
		.last_push = scenario->now,
		.pushes = 1,
		.pid = pid,
		.tid = pid + 1,
		.ns_pid = 2,
		.ns_tid = 3,
		.uid = 1000,
		.file_id = pid % 2,
		.seen_from_start = scenario_random(scenario, 8) > 0,
		.state_begin = GW_STATE_GRAD,
		.state_end = GW_STATE_UNKNOWN,
		.began = scenario_random(scenario, 4) ? GW_STATE_GRAD : 0,
	};
	memcpy(trace->comm, "python", 7);
}

/* A record of a trace with a stack. */
static inline void scenario_record(struct scenario *scenario, struct model *model,
				   struct gw_trace *trace, enum gw_record_type type)
{
	struct {
		struct gw_event_record record;
		struct gw_frame frame[6];
	} one = {.record = {
			 .header = {.type = (uint16_t)type,
				    .version = GW_ABI_VERSION,
				    .time = scenario->now,
				    .lost = scenario->lost},
			 .trace = scenario_random(scenario, 20) ? trace->id : 0,
			 .mode = trace->mode,
			 .start_time = trace->start_time,
			 .operators = trace->operators,
			 .changes = trace->changes,
			 .pid = trace->pid,
			 .tid = trace->tid,
			 .uid = trace->uid,
			 .file_id = trace->file_id,
			 .from = trace->changes & 1,
			 .to = !(trace->changes & 1),
			 .certain = 1,
			 .began = trace->began,
			 .caller = (uint8_t)scenario_random(scenario, GW_CALLER_MAX),
			 .ask = scenario_random(scenario, 8)
					? 0
					: scenario_random(scenario, GW_ASK_MAX),
			 .frames = scenario_random(scenario, 7),
			 .stack = GW_STACK_WHOLE,
		 }};
	bool decides = scenario_random(scenario, 2);
	size_t size;

	memcpy(one.record.comm, trace->comm, sizeof(trace->comm));
	for (uint32_t i = 0; i < one.record.frames; i++) {
		one.frame[i].code = 1 + 100 * trace->pid +
				    scenario_random(scenario, SCENARIO_CODES);
		one.frame[i].position = (int32_t)scenario_random(scenario, 3);
	}
	size = sizeof(one.record) + one.record.frames * sizeof(struct gw_frame);
	one.record.header.size = (uint32_t)size;
	if (!scenario_random(scenario, 50))
		one.record.header.version++; /* a bad one */
	model_record(model, &one, size, scenario_random(scenario, 5) ? trace : NULL,
		     decides ? &scenario->decision : NULL);
	if (decides && scenario->decision.subject == MODEL_SUBJECT_CHANGE) {
		struct event_action *action = &scenario->decision.event.action;

		action->action = GW_ACTION_RAISE;
		action->outcome = scenario_random(scenario, ACTION_OUTCOME_MAX);
		action->fallback = GW_ACTION_REPORT;
		action->duration_ns = scenario->now;
		snprintf(action->detail, sizeof(action->detail), "detail %u",
			 scenario_random(scenario, 9));
		model_action(model, &scenario->decision.event);
	}
}

static inline void scenario_step(struct scenario *scenario, struct model *model)
{
	struct gw_trace *trace = &scenario->trace[scenario_random(scenario, SCENARIO_TRACES)];
	uint32_t step = scenario_random(scenario, 40);

	scenario->now += 1000 + scenario_random(scenario, 1000000);
	scenario->known++;
	if (!trace->id || step == 0) {
		if (trace->id)
			model_trace_detach(model, trace, scenario->now);
		scenario_begin(scenario, trace);
		for (uint64_t i = 0; i < SCENARIO_CODES; i++)
			scenario_code(model, 1 + 100 * trace->pid + i, trace->pid);
		scenario_record(scenario, model, trace, GW_RECORD_TRACE);
	} else if (step < 22) {
		trace->changes++;
		scenario_record(scenario, model, trace, GW_RECORD_CHANGE);
	} else if (step < 30) {
		trace->operators += 1 + scenario_random(scenario, 3);
		scenario_record(scenario, model, trace, GW_RECORD_OPERATOR);
	} else if (step < 32) {
		scenario_record(scenario, model, trace, GW_RECORD_DRIFT);
	} else if (step == 32) {
		scenario->lost++;
		trace->changes++;
	} else if (step == 33) {
		trace->end_reason = GW_END_LEFT;
		trace->end = scenario->now;
		trace->throttled = scenario_random(scenario, 3);
		trace->state_end = (uint8_t)scenario_random(scenario, 2);
		model_trace(model, trace, MODEL_MODE_UNKNOWN, scenario->now);
		trace->id = 0;
	} else if (step < 36) {
		trace->last_pop = scenario->now;
		if (model_trace(model, trace, scenario_random(scenario, 3), scenario->now))
			trace->id = 0;
	} else if (step == 36) {
		model_process(model, 10 + scenario_random(scenario, 9), 5);
	} else if (step == 37) {
		model_process_ended(model, 10 + scenario_random(scenario, 9), 5, scenario->now);
	} else if (step == 38 && !scenario_random(scenario, 4)) {
		model_set(model, KINDS_ALL & ~(1u << scenario_random(scenario, TRACE_KIND_MAX)),
			  scenario_random(scenario, 2), 1000000);
	} else {
		scenario->counter[GW_HITS] += 3;
		scenario->counter[GW_LOST] = scenario->lost;
		scenario->counter[scenario_random(scenario, GW_COUNTER_MAX)]++;
		scenario->now += 1000000000;
		model_counters(model, scenario->counter, scenario->now);
	}
}

static inline void scenario_finish(struct scenario *scenario, struct model *model)
{
	const struct event_coverage coverage = {.probed = 3, .missed = 1, .unarmed = 1};

	for (int i = 0; i < SCENARIO_TRACES; i++)
		if (scenario->trace[i].id)
			model_trace_detach(model, &scenario->trace[i], scenario->now);
	model_coverage(model, &coverage);
	model_finish(model, scenario->now);
}

#endif
