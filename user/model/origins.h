/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Whose code the frames of a stack are, from the names of their files (private to model/). */
#ifndef GRADWATCH_MODEL_ORIGINS_H
#define GRADWATCH_MODEL_ORIGINS_H

#include "model/event.h"

/* What is known of the process besides the stack. */
struct origins_hint {
	const char *torch_file; /* the mapped libtorch file; "": not known */
	uint32_t python;        /* its version, as gw_python.version; 0: not known */
};

/*
 * Fills origin[count]. torch's folder is the one above the mapped file's .../torch/lib/ if a frame
 * is in it. Else (a distribution's library folder, symbolic links, another mount namespace) it is
 * where a frame's file shows it, by a path that only torch has. Else it is any in site-packages or
 * dist-packages. functorch and torchgen are beside it.
 *
 * The standard library is the folder lib/pythonX.Y of this version, outside of its site-packages;
 * of several such folders the one where a frame's file shows it.
 */
void origins_find(const struct event_frame *frame, size_t count, const struct origins_hint *hint,
		  struct event_origin *origin);

#endif
