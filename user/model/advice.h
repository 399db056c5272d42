/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Advice: what can be done about a finding. Each piece was tried: tests/e2e/test_advice.py applies
 * it to a program, after which the finding is gone and the graph is what the advice says. Where
 * none is known to hold there is none. Pure.
 */
#ifndef GRADWATCH_MODEL_ADVICE_H
#define GRADWATCH_MODEL_ADVICE_H

#include "model/event.h"
#include "model/frames.h"

/* What advice depends on besides the finding itself. */
struct advice_case {
	struct change_role role;
	enum change_maker maker;
	bool region; /* PyTorch makes a region of the graph of it */
	bool mixed;  /* the trace has a backward pass, or turns grad on and off: see advice.c */
};

enum advice advice_for(const struct event_finding *finding, const struct advice_case *at);

/* A key of the JSON schema ("record"); NULL for ADVICE_NONE. */
const char *advice_key(enum advice advice);

/* A sentence for people; NULL for ADVICE_NONE. */
const char *advice_text(enum advice advice);

#endif
