/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The names in logs of the ledger's counters, and of what else can go wrong. */
#ifndef GRADWATCH_LOG_COUNTERS_H
#define GRADWATCH_LOG_COUNTERS_H

#include "gradwatch/abi.h"

extern const char *const log_counters[GW_COUNTER_MAX];

#endif
