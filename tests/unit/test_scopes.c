// SPDX-License-Identifier: GPL-2.0-or-later
/* user/model/scopes: changes in, each scope out once, with what became of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "model/scopes.h"

#define MAX_TOLD 4096
#define TRACE    7

struct told {
	uint64_t begin, end, operators;
	uint8_t from, to;
	enum restored restored;
	bool drift, with_operator, uncounted, before_attach;
};

struct fixture {
	struct scopes *scopes;
	struct told told[MAX_TOLD];
	size_t count;
	uint64_t time, operators, changes;
	bool inference;          /* at the next changes */
	struct change_role role; /* the same: caller, guard, owner, place */
	struct scopes_origin origin;
};

static void take(void *context, const struct scope *scope)
{
	struct fixture *fixture = context;

	assert_true(fixture->count < MAX_TOLD);
	assert_non_null(scope->data);
	assert_int_equal(scope->size, sizeof(scope->record));
	fixture->told[fixture->count++] = (struct told){
		.begin = scope->record.header.time,
		.end = scope->end,
		.operators = scope->operators,
		.from = scope->record.from,
		.to = scope->record.to,
		.restored = scope->restored,
		.drift = scope->drift,
		.with_operator = scope->operator_data != NULL,
		.uncounted = scope->uncounted,
		.before_attach = scope->before_attach,
	};
}

static int setup(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	if (!fixture)
		return -1;
	fixture->scopes = scopes_new(NULL, take, fixture);
	fixture->origin = (struct scopes_origin){GW_STATE_GRAD, true};
	*state = fixture;
	return fixture->scopes ? 0 : -1;
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;

	scopes_free(fixture->scopes);
	free(fixture);
	return 0;
}

static void record(struct fixture *fixture, uint64_t trace, enum gw_record_type type, uint8_t from,
		   uint8_t to, enum change_kind kind, const char *name)
{
	struct change_role role = fixture->role;
	struct gw_event_record record = {
		.header = {.type = type, .time = ++fixture->time},
		.trace = trace,
		.operators = fixture->operators,
		.changes = fixture->changes,
		.from = from,
		.to = to,
		.inference = fixture->inference,
	};

	role.kind = kind;
	strcpy(role.name, name);
	if (type == GW_RECORD_CHANGE)
		record.changes = ++fixture->changes;
	if (type == GW_RECORD_OPERATOR)
		assert_int_equal(scopes_operator(fixture->scopes, &record, &record, sizeof(record)),
				 0);
	else
		assert_int_equal(scopes_change(fixture->scopes, &record, &record, sizeof(record),
					       &role, &fixture->origin),
				 0);
}

static void change(struct fixture *fixture, uint8_t to, enum change_kind kind, const char *name)
{
	record(fixture, TRACE, GW_RECORD_CHANGE, !to, to, kind, name);
}

static void end(struct fixture *fixture, uint8_t state)
{
	struct scopes_trace_end trace_end = {++fixture->time, fixture->operators, fixture->changes,
					     state};

	scopes_end(fixture->scopes, TRACE, &trace_end);
}

static void test_with(void **state)
{
	struct fixture *fixture = *state;

	change(fixture, 0, CHANGE_ENTER, "no_grad");
	record(fixture, TRACE, GW_RECORD_OPERATOR, 0, 0, 0, "");
	fixture->operators = 3;
	change(fixture, 1, CHANGE_LEAVE, "no_grad");
	assert_int_equal(fixture->count, 1);
	assert_int_equal(fixture->told[0].restored, RESTORED_YES);
	assert_int_equal(fixture->told[0].operators, 3);
	assert_int_equal(fixture->told[0].end - fixture->told[0].begin, 2);
	assert_true(fixture->told[0].with_operator);
	end(fixture, GW_STATE_GRAD);
	end(fixture, GW_STATE_GRAD); /* a trace that is not known any more */
	assert_int_equal(fixture->count, 1);
}

/* with set_grad_enabled(False): with set_grad_enabled(True): ... */
static void test_calls_that_nest(void **state)
{
	struct fixture *fixture = *state;

	change(fixture, 0, CHANGE_CALL, "set_grad_enabled");
	change(fixture, 1, CHANGE_CALL, "set_grad_enabled");
	assert_int_equal(fixture->count, 0); /* may be a pair of bare calls, or nested */
	change(fixture, 0, CHANGE_LEAVE, "set_grad_enabled");
	assert_int_equal(fixture->count, 1);
	assert_int_equal(fixture->told[0].to, 1);
	change(fixture, 1, CHANGE_LEAVE, "set_grad_enabled");
	assert_int_equal(fixture->count, 2);
	assert_int_equal(fixture->told[1].begin, 1);
	assert_int_equal(fixture->told[1].restored, RESTORED_YES);
}

static void test_bare_calls(void **state)
{
	struct fixture *fixture = *state;

	for (int i = 0; i < 2; i++) {
		change(fixture, 0, CHANGE_CALL, "set_grad_enabled");
		change(fixture, 1, CHANGE_CALL, "set_grad_enabled");
	}
	change(fixture, 0, CHANGE_CALL, "set_grad_enabled");
	end(fixture, 0);
	assert_int_equal(fixture->count, 3);
	assert_int_equal(fixture->told[0].restored, RESTORED_YES);
	assert_int_equal(fixture->told[0].end, 2);
	assert_int_equal(fixture->told[1].restored, RESTORED_YES);
	assert_int_equal(fixture->told[2].restored, RESTORED_NO);
}

/* The outer one's end is not taken for that of bare calls inside, whose values fit as well. */
static void test_bare_calls_inside(void **state)
{
	struct fixture *fixture = *state;

	change(fixture, 0, CHANGE_ENTER, "no_grad");
	change(fixture, 1, CHANGE_CALL, "set_grad_enabled");
	change(fixture, 0, CHANGE_CALL, "set_grad_enabled");
	change(fixture, 1, CHANGE_LEAVE, "no_grad");
	assert_int_equal(fixture->count, 2);
	assert_int_equal(fixture->told[0].begin, 2);
	assert_int_equal(fixture->told[0].restored, RESTORED_YES);
	assert_int_equal(fixture->told[1].begin, 1);
	assert_int_equal(fixture->told[1].end, 4);
}

/* A scope that moved down leaves nothing behind for the one that takes its place. */
static void test_moved(void **state)
{
	struct fixture *fixture = *state;

	change(fixture, 0, CHANGE_CALL, "set_grad_enabled");
	change(fixture, 1, CHANGE_CALL, "set_grad_enabled");
	change(fixture, 0, CHANGE_CALL, "set_grad_enabled");
	record(fixture, TRACE, GW_RECORD_OPERATOR, 0, 0, 0, "");
	change(fixture, 1, CHANGE_LEAVE,
	       "no_grad"); /* the first two are a pair; closes the third */
	assert_int_equal(fixture->count, 2);
	assert_true(fixture->told[1].with_operator);
	change(fixture, 0, CHANGE_ENTER, "no_grad");
	change(fixture, 1, CHANGE_ENTER, "enable_grad");
	change(fixture, 0, CHANGE_LEAVE, "enable_grad");
	change(fixture, 1, CHANGE_LEAVE, "no_grad");
	assert_int_equal(fixture->count, 4);
	assert_false(fixture->told[2].with_operator);
	assert_false(fixture->told[3].with_operator);
}

static void test_direct_calls(void **state)
{
	struct fixture *fixture = *state;

	for (int i = 0; i < 1000; i++) {
		change(fixture, 0, CHANGE_DIRECT, "");
		change(fixture, 1, CHANGE_DIRECT, "");
		assert_int_equal(fixture->count, i + 1);
		assert_int_equal(fixture->told[i].restored, RESTORED_YES);
	}
}

static bool undone(struct fixture *fixture, uint8_t from, uint8_t to)
{
	struct gw_event_record record = {
		.header = {.type = GW_RECORD_DRIFT, .time = ++fixture->time},
		.trace = TRACE,
		.operators = fixture->operators,
		.from = from,
		.to = to,
	};
	const struct change_role role = {.kind = CHANGE_DIRECT};

	return scopes_undone(fixture->scopes, &record, &role, &fixture->origin);
}

/* Calls within inference_mode, which puts the grad mode back by itself. */
static void test_undone(void **state)
{
	struct fixture *fixture = *state;

	assert_false(undone(fixture, 1, 0)); /* not a trace with changes */
	change(fixture, 0, CHANGE_DIRECT, "");
	assert_true(undone(fixture, 1, 1));
	assert_int_equal(fixture->count, 1);
	assert_int_equal(fixture->told[0].restored, RESTORED_YES);
	assert_int_equal(fixture->told[0].operators, 0);
	/* The state is what the open scope made of it, past those that were undone. */
	change(fixture, 0, CHANGE_ENTER, "no_grad");
	fixture->operators = 3;
	change(fixture, 1, CHANGE_CALL, "set_grad_enabled");
	assert_false(undone(fixture, 1, GW_STATE_INFERENCE));
	assert_true(undone(fixture, 1, 0));
	assert_int_equal(fixture->count, 2);
	/* A block that goes on is left by a call: what contradicts it is a drift. */
	assert_false(undone(fixture, 0, 1));
	change(fixture, 1, CHANGE_CALL, "set_grad_enabled");
	fixture->operators = 4;
	assert_true(undone(fixture, 1, 0)); /* whatever was traced in it */
	assert_int_equal(fixture->count, 3);
	assert_int_equal(fixture->told[2].restored, RESTORED_YES);
	assert_int_equal(fixture->told[2].operators, 1);
}

/* The state behind the setter's back: a drift is what differs from what is open. */
static void test_drift_in_block(void **state)
{
	struct fixture *fixture = *state;
	struct gw_event_record record = {
		.header = {.type = GW_RECORD_DRIFT, .time = 50},
		.trace = TRACE,
		.changes = 1,
		.from = 1, /* BPF: as at the operator before the block */
		.to = 1,
	};
	const struct change_role role = {.kind = CHANGE_DIRECT};

	/* with no_grad(): with inference_mode(False): an operator */
	change(fixture, 0, CHANGE_ENTER, "no_grad");
	assert_false(scopes_undone(fixture->scopes, &record, &role, &fixture->origin));
	assert_int_equal(record.from, 0);
	end(fixture, GW_STATE_GRAD);
	/* A backward pass turned it off unseen, a block in it ended, and it is on again. */
	fixture->changes = 0;
	change(fixture, 1, CHANGE_ENTER, "enable_grad");
	change(fixture, 0, CHANGE_LEAVE, "enable_grad");
	record.from = 0;
	assert_true(scopes_undone(fixture->scopes, &record, &role, &fixture->origin));
	/* Of a trace whose begin is not known, what BPF says holds. */
	fixture->origin.state = GW_STATE_UNKNOWN;
	record.from = 0;
	assert_false(scopes_undone(fixture->scopes, &record, &role, &fixture->origin));
}

static void test_drift(void **state)
{
	struct fixture *fixture = *state;

	record(fixture, TRACE, GW_RECORD_DRIFT, 1, 2, 0, "");
	record(fixture, TRACE, GW_RECORD_DRIFT, 2, 1, 0, "");
	assert_int_equal(fixture->count, 1);
	assert_true(fixture->told[0].drift);
	assert_int_equal(fixture->told[0].restored, RESTORED_YES);
	/* put back with no operator after it: the next change shows it, or the end */
	record(fixture, TRACE, GW_RECORD_DRIFT, 1, 2, 0, "");
	change(fixture, 0, CHANGE_ENTER, "no_grad");
	assert_int_equal(fixture->count, 2);
	assert_int_equal(fixture->told[1].restored, RESTORED_YES);
	change(fixture, 1, CHANGE_LEAVE, "no_grad");
	record(fixture, TRACE, GW_RECORD_DRIFT, 1, 2, 0, "");
	end(fixture, GW_STATE_GRAD);
	assert_int_equal(fixture->count, 4);
	assert_int_equal(fixture->told[3].restored, RESTORED_YES);
	record(fixture, TRACE, GW_RECORD_DRIFT, 1, 2, 0, "");
	end(fixture, GW_STATE_INFERENCE);
	assert_int_equal(fixture->told[4].restored, RESTORED_NO);
}

/* Until the inference mode is left, whatever the setter does within it. */
static void test_drift_with_changes(void **state)
{
	struct fixture *fixture = *state;

	record(fixture, TRACE, GW_RECORD_DRIFT, 1, GW_STATE_INFERENCE, 0, "");
	fixture->inference = true;
	change(fixture, 1, CHANGE_ENTER, "enable_grad");
	change(fixture, 0, CHANGE_LEAVE, "enable_grad");
	assert_int_equal(fixture->count, 1);
	assert_false(fixture->told[0].drift);
	fixture->inference = false;
	change(fixture, 0, CHANGE_ENTER, "no_grad");
	assert_int_equal(fixture->count, 2);
	assert_true(fixture->told[1].drift);
	assert_int_equal(fixture->told[1].restored, RESTORED_YES);
	/* in no_grad it changes the inference mode only */
	record(fixture, TRACE, GW_RECORD_DRIFT, 0, GW_STATE_INFERENCE, 0, "");
	change(fixture, 1, CHANGE_LEAVE, "no_grad");
	assert_int_equal(fixture->count, 4);
	assert_true(fixture->told[2].drift);
	assert_int_equal(fixture->told[2].restored, RESTORED_YES);
	assert_int_equal(fixture->told[3].restored, RESTORED_YES);
}

static void test_gaps(void **state)
{
	struct fixture *fixture = *state;

	change(fixture, 0, CHANGE_ENTER, "no_grad");
	fixture->changes += 4; /* not sent: back, away, back, away */
	change(fixture, 1, CHANGE_LEAVE, "no_grad");
	assert_int_equal(fixture->count, 1);
	assert_int_equal(fixture->told[0].restored, RESTORED_UNKNOWN);
	assert_true(fixture->told[0].uncounted);
	/* The second part of what was not sent is no scope of its own. */
	end(fixture, GW_STATE_GRAD);
	assert_int_equal(fixture->count, 1);

	change(fixture, 0, CHANGE_ENTER, "no_grad");
	fixture->changes++;
	end(fixture, GW_STATE_UNKNOWN);
	assert_int_equal(fixture->told[1].restored, RESTORED_UNKNOWN);
}

/* Second parts of blocks and of bare calls, after gaps; a change away is a scope nevertheless. */
static void test_halves(void **state)
{
	struct fixture *fixture = *state;

	fixture->changes = 3;
	change(fixture, 0, CHANGE_LEAVE, "enable_grad");
	change(fixture, 1, CHANGE_LEAVE, "no_grad");
	assert_int_equal(fixture->count, 0);
	fixture->changes += 3;
	change(fixture, 1, CHANGE_CALL, "set_grad_enabled");
	assert_int_equal(fixture->count, 0);
	fixture->changes += 4;
	change(fixture, 0, CHANGE_CALL, "set_grad_enabled");
	end(fixture, 0);
	assert_int_equal(fixture->count, 1);
	assert_int_equal(fixture->told[0].restored, RESTORED_NO);
}

/* The end of a block that was begun before gradwatch came; not so in a trace seen from its start.
 */
static void test_before_attach(void **state)
{
	struct fixture *fixture = *state;

	fixture->origin = (struct scopes_origin){0, false};
	change(fixture, 1, CHANGE_LEAVE, "no_grad");
	assert_int_equal(fixture->count, 1);
	assert_true(fixture->told[0].before_attach);
	assert_int_equal(fixture->told[0].restored, RESTORED_UNKNOWN);
	change(fixture, 0, CHANGE_ENTER, "no_grad");
	change(fixture, 1, CHANGE_LEAVE, "no_grad");
	assert_int_equal(fixture->count, 2);
	assert_false(fixture->told[1].before_attach);
	end(fixture, GW_STATE_GRAD);

	fixture->origin = (struct scopes_origin){0, true};
	fixture->changes = 0;
	change(fixture, 1, CHANGE_LEAVE, "no_grad");
	end(fixture, GW_STATE_GRAD);
	assert_int_equal(fixture->count, 3);
	assert_false(fixture->told[2].before_attach);
	assert_int_equal(fixture->told[2].restored, RESTORED_NO);
}

/* CPython 3.9 and 3.10 do not tell whose __exit__ it is. */
static void test_without_names(void **state)
{
	struct fixture *fixture = *state;

	change(fixture, 0, CHANGE_ENTER, "");
	change(fixture, 1, CHANGE_ENTER, "");
	change(fixture, 0, CHANGE_LEAVE, "");
	change(fixture, 1, CHANGE_LEAVE, "");
	assert_int_equal(fixture->count, 2);
	assert_int_equal(fixture->told[0].begin, 2);
	assert_int_equal(fixture->told[1].begin, 1);
}

static void guard(struct fixture *fixture, uint8_t to, enum owner owner, uint64_t frame)
{
	fixture->role = (struct change_role){.owner = owner, .guard = frame, .place = 1};
	change(fixture, to, CHANGE_DIRECT, "");
	fixture->role = (struct change_role){0};
}

/* The end of a block whose begin changed nothing: nobody has to put that back. */
static void test_end_that_changes(void **state)
{
	struct fixture *fixture = *state;

	change(fixture, 0, CHANGE_LEAVE, "no_grad");
	change(fixture, 1, CHANGE_DIRECT, "");
	assert_int_equal(fixture->count, 1);
	assert_int_equal(fixture->told[0].from, 1);
	assert_int_equal(fixture->told[0].restored, RESTORED_YES);
}

/* Bare calls of a backward pass are paired before its end takes back what is left of them. */
static void test_ended_backward(void **state)
{
	struct fixture *fixture = *state;

	fixture->role.backward = 1;
	record(fixture, TRACE, GW_RECORD_DRIFT, 1, 0, 0, "");
	change(fixture, 1, CHANGE_CALL, "set_grad_enabled");
	fixture->operators = 4;
	change(fixture, 0, CHANGE_CALL, "set_grad_enabled");
	assert_int_equal(fixture->count, 0);
	assert_false(undone(fixture, 0, 1)); /* the pass is over: so is the drift */
	assert_int_equal(fixture->count, 1);
	assert_int_equal(fixture->told[0].operators, 4);
	assert_int_equal(fixture->told[0].restored, RESTORED_YES);
}

/* What a backward pass has left over hides that its drift is over, too. */
static void test_uncovered_drift(void **state)
{
	struct fixture *fixture = *state;

	fixture->role.backward = 1;
	record(fixture, TRACE, GW_RECORD_DRIFT, 1, 0, 0, "");
	change(fixture, 1, CHANGE_CALL, "set_grad_enabled");
	change(fixture, 0, CHANGE_CALL, "set_grad_enabled");
	fixture->role.backward = 0;
	change(fixture, 0, CHANGE_ENTER, "no_grad");
	assert_int_equal(fixture->count, 2);
	assert_true(fixture->told[1].drift);
	assert_int_equal(fixture->told[1].restored, RESTORED_YES);
}

/* Of a trace whose end is not seen, what is open was not put back. */
static void test_unseen_end(void **state)
{
	struct fixture *fixture = *state;

	change(fixture, 0, CHANGE_DIRECT, "");
	end(fixture, GW_STATE_UNKNOWN);
	assert_int_equal(fixture->count, 1);
	assert_int_equal(fixture->told[0].restored, RESTORED_NO);
}

/*
 * set_grad_enabled(True) ... set_grad_enabled(False) are a pair, and what follows is put back by
 * the end of a block, if that is where its block began; else it may be the end of the first of
 * them.
 */
static void test_own_end(void **state)
{
	struct fixture *fixture = *state;

	for (int direct = 0; direct <= 1; direct++) {
		fixture->count = 0;
		fixture->role = (struct change_role){.place = 1};
		change(fixture, 1, CHANGE_CALL, "set_grad_enabled");
		change(fixture, 0, CHANGE_CALL, "set_grad_enabled");
		change(fixture, 1, CHANGE_DIRECT, "");
		fixture->role = (struct change_role){.place = 2, .direct = direct};
		change(fixture, 0, CHANGE_LEAVE, "set_grad_enabled");
		assert_int_equal(fixture->count, 2);
		assert_int_equal(fixture->told[0].from, direct ? 0 : 1);
		assert_int_equal(fixture->told[1].from, 0);
		assert_int_equal(fixture->told[1].restored, RESTORED_YES);
	}
}

/* A guard's destructor is told by its native frame, whatever was left open since. */
static void test_guards(void **state)
{
	struct fixture *fixture = *state;

	guard(fixture, 0, OWNER_CPP, 0x2000);
	guard(fixture, 1, OWNER_CPP, 0x1000);
	change(fixture, 0, CHANGE_DIRECT, "");
	guard(fixture, 1, OWNER_CPP, 0x2000); /* the outer one's */
	assert_int_equal(fixture->count, 2);
	assert_int_equal(fixture->told[0].restored, RESTORED_YES); /* of the inner and the call */
	assert_int_equal(fixture->told[1].begin, 1);
	assert_int_equal(fixture->told[1].restored, RESTORED_YES);
	/* Without frames one place has one guard. */
	guard(fixture, 0, OWNER_CPP, 0);
	guard(fixture, 1, OWNER_AUTOGRAD, 0);
	guard(fixture, 0, OWNER_AUTOGRAD, 0);
	assert_int_equal(fixture->count, 3);
	assert_int_equal(fixture->told[2].from, 0);
}

/* C++ code that Function.apply has called: further down the stack, in the same Python frame. */
static void test_in_apply(void **state)
{
	struct fixture *fixture = *state;
	const struct gw_event_record at = {.trace = TRACE};
	struct change_role inner = {.place = 5, .guard = 0x7f00};

	assert_false(scopes_in_apply(fixture->scopes, &at, &inner));
	fixture->role = (struct change_role){
		.owner = OWNER_AUTOGRAD, .caller = GW_CALLER_APPLY, .place = 5, .guard = 0x8000};
	change(fixture, 0, CHANGE_DIRECT, "");
	change(fixture, 1, CHANGE_DIRECT, "");
	assert_int_equal(fixture->count, 1);
	assert_true(scopes_in_apply(fixture->scopes, &at, &inner));
	inner.place = 6;
	assert_false(scopes_in_apply(fixture->scopes, &at, &inner));
	inner = (struct change_role){.place = 5, .guard = 0x8100};
	assert_false(scopes_in_apply(fixture->scopes, &at, &inner));
	inner.guard = 0;
	assert_false(scopes_in_apply(fixture->scopes, &at, &inner));
}

static void test_too_deep(void **state)
{
	struct fixture *fixture = *state;

	for (int i = 0; i < 100; i++)
		change(fixture, i & 1, CHANGE_CALL, "set_grad_enabled");
	end(fixture, GW_STATE_GRAD);
	/* all of them were told: a pair is one */
	assert_int_equal(fixture->count, 50);
}

static void test_too_many_traces(void **state)
{
	struct fixture *fixture = *state;

	for (uint64_t trace = 1; trace <= SCOPES_MAX_TRACES + 3; trace++) {
		fixture->changes = 0;
		record(fixture, trace, GW_RECORD_CHANGE, 1, 0, CHANGE_ENTER, "no_grad");
	}
	assert_int_equal(fixture->count, 3);
	assert_int_equal(fixture->told[0].restored, RESTORED_UNKNOWN);
	assert_int_equal(fixture->told[0].begin, 1);
}

/* A random program of nested blocks, in a grad mode; returns how many scopes it has. */
static size_t random_blocks(struct fixture *fixture, uint8_t grad, int depth)
{
	static const char *const names[] = {"no_grad", "enable_grad", "set_grad_enabled"};
	size_t scopes = 0;

	for (int i = rand() % 4; i > 0; i--) {
		const char *name = names[rand() % 3];
		uint8_t to = name[0] == 'n' ? 0 : name[0] == 'e' ? 1 : rand() % 2;

		fixture->operators += (unsigned int)rand() % 3;
		if (to != grad)
			change(fixture, to, name[0] == 's' ? CHANGE_CALL : CHANGE_ENTER, name);
		scopes += to != grad;
		if (depth)
			scopes += random_blocks(fixture, to, depth - 1);
		if (to != grad)
			change(fixture, grad, CHANGE_LEAVE, name);
	}
	return scopes;
}

static void test_random_programs(void **state)
{
	struct fixture *fixture = *state;
	size_t many = 0;

	for (unsigned int seed = 1; seed <= 500; seed++) {
		size_t scopes;

		srand(seed);
		fixture->count = 0;
		scopes = random_blocks(fixture, 1, 5);
		assert_int_equal(fixture->count, scopes);
		for (size_t i = 0; i < scopes; i++)
			assert_int_equal(fixture->told[i].restored, RESTORED_YES);
		end(fixture, GW_STATE_GRAD);
		assert_int_equal(fixture->count, scopes);
		many += scopes;
	}
	assert_true(many > 5000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_with, setup, teardown),
		cmocka_unit_test_setup_teardown(test_calls_that_nest, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bare_calls, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bare_calls_inside, setup, teardown),
		cmocka_unit_test_setup_teardown(test_moved, setup, teardown),
		cmocka_unit_test_setup_teardown(test_direct_calls, setup, teardown),
		cmocka_unit_test_setup_teardown(test_undone, setup, teardown),
		cmocka_unit_test_setup_teardown(test_drift_in_block, setup, teardown),
		cmocka_unit_test_setup_teardown(test_drift, setup, teardown),
		cmocka_unit_test_setup_teardown(test_drift_with_changes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_gaps, setup, teardown),
		cmocka_unit_test_setup_teardown(test_halves, setup, teardown),
		cmocka_unit_test_setup_teardown(test_before_attach, setup, teardown),
		cmocka_unit_test_setup_teardown(test_without_names, setup, teardown),
		cmocka_unit_test_setup_teardown(test_guards, setup, teardown),
		cmocka_unit_test_setup_teardown(test_end_that_changes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_ended_backward, setup, teardown),
		cmocka_unit_test_setup_teardown(test_own_end, setup, teardown),
		cmocka_unit_test_setup_teardown(test_unseen_end, setup, teardown),
		cmocka_unit_test_setup_teardown(test_uncovered_drift, setup, teardown),
		cmocka_unit_test_setup_teardown(test_in_apply, setup, teardown),
		cmocka_unit_test_setup_teardown(test_too_deep, setup, teardown),
		cmocka_unit_test_setup_teardown(test_too_many_traces, setup, teardown),
		cmocka_unit_test_setup_teardown(test_random_programs, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
