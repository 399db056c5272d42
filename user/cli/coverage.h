/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef GRADWATCH_CLI_COVERAGE_H
#define GRADWATCH_CLI_COVERAGE_H

#include <stdio.h>

/*
 * Prints what the tests have seen on this version of PyTorch ("2.13.0+cpu"; by its first two
 * numbers), or which versions were tested. The table, coverage.tsv, is written by `make coverage`.
 */
void coverage_print(FILE *stream, const char *version);

#endif
