// SPDX-License-Identifier: GPL-2.0-or-later
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "cli/option_table.h"

#define HELP_COLUMN 27 /* where the second column begins */
#define HELP_WIDTH  80

/* The second column, broken at blanks. */
static void print_wrapped(FILE *stream, const char *text)
{
	size_t width = HELP_WIDTH - HELP_COLUMN;

	while (strlen(text) > width) {
		const char *blank = memrchr(text, ' ', width + 1);
		int length = (int)(blank ? blank - text : (long)width);

		fprintf(stream, "%.*s\n%*s", length, text, HELP_COLUMN, "");
		text += length + (blank != NULL);
	}
	fprintf(stream, "%s\n", text);
}

static void print_row(FILE *stream, const struct option_row *row)
{
	char left[64];
	int code, length;

	if (row->id < 256)
		code = str_format(left, sizeof(left), "  -%c, --%s", row->id, row->name);
	else
		code = str_format(left, sizeof(left), "      --%s", row->name);
	if (code)
		return;
	length = fprintf(stream, "%s%s%s", left, row->value ? " " : "",
			 row->value ? row->value : "");
	if (length >= HELP_COLUMN)
		fprintf(stream, "\n%*s", HELP_COLUMN, "");
	else
		fprintf(stream, "%*s", HELP_COLUMN - length, "");
	print_wrapped(stream, row->help);
}

static const struct usage {
	enum command command;
	const char *text;
} usages[] = {
	{COMMAND_WATCH, "  gradwatch [OPTIONS] --pid N          a running process\n"
			"  gradwatch [OPTIONS] -- CMD ARGS      a command, from its start\n"
			"  gradwatch [OPTIONS] --all            every process of the host\n"},
	{COMMAND_RELEASE,
	 "  gradwatch release PID ...            resume what --on-violation hold stopped\n"},
	{COMMAND_DOCTOR,
	 "  gradwatch doctor                     can this machine do it?\n"
	 "  gradwatch doctor --pid N | FILE      what can be seen in this libtorch?\n"},
	{COMMAND_RECORD,
	 "  gradwatch record -o DIR -- CMD ARGS  a command, with a log and a report in DIR\n"},
	{COMMAND_REPORT, "  gradwatch report FILE|DIR ...        what logs say\n"},
	{COMMAND_VERIFY, "  gradwatch verify FILE|DIR ...        are these logs whole?\n"},
	{COMMAND_STATUS,
	 "  gradwatch status                     what the gradwatch that runs here sees\n"},
};

static void print_usages(FILE *stream, unsigned int commands)
{
	for (size_t i = 0; i < sizeof(usages) / sizeof(usages[0]); i++)
		if (commands >> usages[i].command & 1)
			fputs(usages[i].text, stream);
	fputc('\n', stream);
}

/* Options that a set of commands takes, but for those that are printed elsewhere. */
static void print_options(FILE *stream, unsigned int commands, unsigned int but)
{
	for (size_t i = 0; i < option_count; i++)
		if (option_rows[i].commands & commands && !(option_rows[i].commands & but))
			print_row(stream, &option_rows[i]);
}

void options_help(FILE *stream, enum command command)
{
	const unsigned int watching = 1u << COMMAND_WATCH | 1u << COMMAND_RECORD;

	fputs("gradwatch: reports code that changes PyTorch's grad mode while a graph is "
	      "traced\n\n",
	      stream);
	if (command != COMMAND_WATCH) {
		print_usages(stream, 1u << command);
		print_options(stream, 1u << command, 0);
		return;
	}
	print_usages(stream, ~0u);
	print_options(stream, watching, 0);
	fputs("\nof report, status and doctor (each has --help, too):\n", stream);
	print_options(stream, ~0u, watching);
	fputs("\nexit status: the command's with -- CMD; 0; 2 bad use or nothing could be\n"
	      "watched; 3 with --fail-on; 126, 127 the command could not be run or found\n",
	      stream);
}
