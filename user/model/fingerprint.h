/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a finding is called from run to run, so that two logs can be compared: "fp1:" and 16 digits.
 * It depends on the kind of trace, the category, the file relative to its root and the qualified
 * name of the finding's place; not on lines, processes, machines, or where a project lies. Another
 * rule would get another number: what begins with "fp1:" never changes its meaning. Pure.
 */
#ifndef GRADWATCH_MODEL_FINGERPRINT_H
#define GRADWATCH_MODEL_FINGERPRINT_H

#include "model/event.h"

/*
 * Of an EVENT_FINDING. The root of a file is, the first that there is: the site-packages or
 * dist-packages it is in; the folder of the script that the process runs, which is the outermost
 * frame of user code, if that is a module's; else the file is its path's last three components.
 */
void fingerprint(const struct event *event, char out[FINGERPRINT_SIZE]);

/* The file of a place, relative to its root; the file's own memory. */
const char *fingerprint_file(const struct event *event, const char *file);

#endif
