/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where a build keeps its thread-local state, from the code of its accessors. */
#ifndef GRADWATCH_INSPECT_OFFSETS_H
#define GRADWATCH_INSPECT_OFFSETS_H

#include "inspect/elf_image.h"
#include "inspect/plan.h"

/* The common start of the names of the mode functions, c10/core/impl/TorchDispatchModeTLS.h. */
#define OFFSETS_MODE_TLS "_ZN3c104impl20TorchDispatchModeTLS"

/*
 * Fills the "tls_", tls_pair and grad_ fields of plan->abi, whose mode_api is set, and
 * `certain`; or leaves certain at 0 and says in plan->doubt what was not understood. -ENOMEM.
 */
int offsets_find(const struct elf_image *image, struct inspect_plan *plan);

#endif
