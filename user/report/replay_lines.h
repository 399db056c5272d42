/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Lines that wait, in order (private to report/). */
#ifndef GRADWATCH_REPORT_REPLAY_LINES_H
#define GRADWATCH_REPORT_REPLAY_LINES_H

#include <stddef.h>
#include <stdint.h>

/* With PARSE_PADDING readable bytes behind the text. */
struct replay_line {
	struct replay_line *next;
	uint64_t seq;
	size_t length;
	char text[];
};

/* Zeros: none. */
struct replay_lines {
	struct replay_line *first, *last;
	size_t count, bytes;
};

/* Appends a copy. -ENOMEM. */
int replay_lines_put(struct replay_lines *lines, const char *text, size_t length, uint64_t seq);

/* Takes out the first, to be freed with free(3). NULL: there is none. */
struct replay_line *replay_lines_take(struct replay_lines *lines);

/* Moves all of one list behind those of the other. */
void replay_lines_move(struct replay_lines *to, struct replay_lines *from);

void replay_lines_free(struct replay_lines *lines);

#endif
