// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/report_options.h"

#include <errno.h>
#include <string.h>

#include "base/str.h"

/* 9 stands for a digit; a time may end behind each of the parts. */
int report_options_time(const char *option, char *text, struct err *err)
{
	static const char form[] = "9999-99-99T99:99:99";
	static const size_t ends[] = {10, 13, 16, 19};
	size_t length = strlen(text);

	if (length && text[length - 1] == 'Z')
		text[--length] = '\0';
	if (length > 10 && text[10] == ' ')
		text[10] = 'T';
	for (size_t i = 0; i < length && i < sizeof(form) - 1; i++)
		if (form[i] == '9' ? text[i] < '0' || text[i] > '9' : text[i] != form[i])
			length = 0;
	/* What records have: nanoseconds. */
	if (length > 20 && text[19] == '.' && strspn(text + 20, "0123456789") == length - 20)
		length = 19;
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
		if (length == ends[i])
			return 0;
	return err_set(err, -EINVAL, "%s wants a time in UTC: 2026-01-02, or 2026-01-02T03:04:05",
		       option);
}

int report_options_trace(struct report_options *options, const char *text, struct err *err)
{
	if (!str_to_u64(text, 1, UINT64_MAX, &options->trace))
		return 0;
	return err_set(err, -EINVAL, "--trace wants the number of a trace, not '%s'", text);
}
