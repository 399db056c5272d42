// SPDX-License-Identifier: GPL-2.0-or-later
#include "report/replay_lines.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "log/parse.h"

int replay_lines_put(struct replay_lines *lines, const char *text, size_t length, uint64_t seq)
{
	struct replay_line *line = malloc(sizeof(*line) + length + PARSE_PADDING);

	if (!line)
		return -ENOMEM;
	*line = (struct replay_line){.seq = seq, .length = length};
	memcpy(line->text, text, length);
	memset(line->text + length, 0, PARSE_PADDING);
	if (lines->last)
		lines->last->next = line;
	else
		lines->first = line;
	lines->last = line;
	lines->count++;
	lines->bytes += length;
	return 0;
}

struct replay_line *replay_lines_take(struct replay_lines *lines)
{
	struct replay_line *line = lines->first;

	if (!line)
		return NULL;
	lines->first = line->next;
	if (!lines->first)
		lines->last = NULL;
	lines->count--;
	lines->bytes -= line->length;
	return line;
}

void replay_lines_move(struct replay_lines *to, struct replay_lines *from)
{
	if (!from->first)
		return;
	if (to->last)
		to->last->next = from->first;
	else
		to->first = from->first;
	to->last = from->last;
	to->count += from->count;
	to->bytes += from->bytes;
	*from = (struct replay_lines){0};
}

void replay_lines_free(struct replay_lines *lines)
{
	struct replay_line *line;

	while ((line = replay_lines_take(lines)))
		free(line);
}
