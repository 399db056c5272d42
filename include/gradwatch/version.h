/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef GRADWATCH_VERSION_H
#define GRADWATCH_VERSION_H

#define GRADWATCH_VERSION "0.1.0"

#endif
