// SPDX-License-Identifier: GPL-2.0-or-later
#include "log/format.h"

const char *const log_types[LOG_TYPE_MAX] = {
#define X(name, text) [LOG_TYPE_##name] = (text),
	LOG_TYPES(X)
#undef X
};

const char *const log_fields[FIELD_MAX] = {
#define X(name, text) [FIELD_##name] = (text),
	LOG_FIELDS(X)
#undef X
};
