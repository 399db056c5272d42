/* SPDX-License-Identifier: GPL-2.0-or-later */
/* report --torch-trace DIR: the logs of PyTorch in a folder, with findings. */
#ifndef GRADWATCH_CLI_TORCH_TRACE_H
#define GRADWATCH_CLI_TORCH_TRACE_H

#include "report/history.h"

/*
 * For each log NAME.log of TORCH_TRACE in the folder writes NAME_gradwatch.log: the same, then the
 * findings of its process. The log itself is not touched. Negative errno: why is logged.
 */
int torch_trace_folder(const char *path, const struct history *history,
		       const struct summary *summary);

#endif
