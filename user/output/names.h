/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Words of the JSON schema that the command line uses as well. */
#ifndef GRADWATCH_OUTPUT_NAMES_H
#define GRADWATCH_OUTPUT_NAMES_H

#include "gradwatch/abi.h"

/* "report", "hold", "raise", "signal", "kill" */
const char *output_action(enum gw_action action);

#endif
