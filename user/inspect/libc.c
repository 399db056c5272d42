// SPDX-License-Identifier: GPL-2.0-or-later
#include "inspect/libc.h"

#include <ctype.h>
#include <string.h>

#include "base/str.h"

static bool begins(const char *name, const char *with)
{
	return !strncmp(name, with, strlen(with));
}

/* As glibc before 2.34 named its files: "libc-2.31.so" after "libc-". */
static bool is_version(const char *rest)
{
	return isdigit((unsigned char)rest[0]) && rest[1] == '.';
}

bool libc_is_glibc(const char *name)
{
	return !strcmp(name, "libc.so.6") || begins(name, "ld-linux") ||
	       (begins(name, "libc-") && is_version(name + 5)) ||
	       (begins(name, "ld-") && is_version(name + 3));
}

bool libc_is_another(const char *name)
{
	return !libc_is_glibc(name) && (begins(name, "ld-musl") || begins(name, "libc."));
}

void libc_doubt(struct inspect_plan *plan, const char *name)
{
	if (!plan->abi.certain)
		return;
	plan->abi.certain = 0;
	str_format(plan->doubt, sizeof(plan->doubt),
		   "the C library is not glibc (%.100s): where it keeps thread-local state is not "
		   "known",
		   name);
}
